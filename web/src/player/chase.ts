/**
 * Keeps a live picture near live. Pure: the caller says how things stand, this says what to do.
 *
 * A little late: play a little faster, which nobody hears. Far late, or back from a background tab: jump. A picture
 * that stalled asks for more reserve, which is given back when it runs well for a while.
 */

/** How close to live a way of delivery can play. */
export interface Profile {
  /** Seconds behind live to aim for. */
  target: number;
  /** Seconds beyond the target that are left alone. */
  slack: number;
  /** Seconds beyond the target from which on to jump. */
  jump: number;
}

export interface Situation {
  /** Seconds, of any steady clock. */
  now: number;
  /** Seconds behind live. */
  behind: number;
  /** Seconds of buffer in front of the play head. */
  ahead: number;
  /** A jump is hardly noticed now: the picture has just begun, or its tab has just come back. */
  unnoticed: boolean;
}

export interface Correction {
  rate: number;
  /** Seconds behind live to jump to. */
  jumpTo?: number;
}

export class Chaser {
  #profile: Profile;
  #reserve = 0;
  #calmSince = -Infinity;
  #chasing = false;

  constructor(profile: Profile) {
    this.#profile = profile;
  }

  /** Seconds behind live that are aimed for now. */
  get target(): number {
    return this.#profile.target + this.#reserve;
  }

  /** The way of delivery says itself how many seconds behind live it can play. */
  aim(target: number): void {
    if (target !== this.#profile.target) this.#profile = { ...this.#profile, target };
  }

  /** The picture stopped for want of data. */
  stalled(now: number): void {
    this.#reserve = Math.min(this.#reserve + RESERVE_STEP, MAX_RESERVE);
    this.#calmSince = now;
    this.#chasing = false;
  }

  correct({ now, behind, ahead, unnoticed }: Situation): Correction {
    if (this.#reserve > 0 && now - this.#calmSince >= CALM_SECONDS) {
      this.#reserve = Math.max(0, this.#reserve - RESERVE_STEP);
      this.#calmSince = now;
    }
    const late = behind - this.target;
    if (late > (unnoticed ? UNNOTICED_JUMP : this.#profile.jump) && ahead > late) {
      this.#chasing = false;
      return { rate: 1, jumpTo: this.target };
    }
    if (late > this.#profile.slack) this.#chasing = true;
    if (late <= CLOSE_ENOUGH || ahead < MIN_AHEAD) this.#chasing = false;
    return { rate: this.#chasing ? 1 + Math.min(MAX_SPEED_UP, Math.max(MIN_SPEED_UP, late / 10)) : 1 };
  }
}

/** Plays faster by at most this much. */
export const MAX_SPEED_UP = 0.1;
const MIN_SPEED_UP = 0.03;
const CLOSE_ENOUGH = 0.1;
/** With less buffer than this, playing faster would only stall. */
const MIN_AHEAD = 0.4;
const UNNOTICED_JUMP = 0.75;
const RESERVE_STEP = 0.5;
const MAX_RESERVE = 3;
const CALM_SECONDS = 45;
