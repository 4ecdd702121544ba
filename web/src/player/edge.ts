/**
 * Where live is on the media timeline. Pure.
 *
 * The end of the buffer alone would call a stalled download "live". So the edge is taken from the best moment of the
 * last seconds: the largest distance between buffer end and clock, carried on by the clock. Old moments expire, so a
 * publisher's break or a drifting clock does not count for ever.
 */
export class LiveEdge {
  #moments: { at: number; offset: number }[] = [];

  /** The buffer ends at `end` (media seconds) at `now` (seconds of any steady clock). */
  observe(now: number, end: number): void {
    const offset = end - now;
    while (this.#moments.length > 0 && (this.#moments.at(-1)?.offset ?? 0) <= offset) this.#moments.pop();
    this.#moments.push({ at: now, offset });
    while (this.#moments.length > 1 && now - (this.#moments[0]?.at ?? now) > MEMORY_SECONDS) this.#moments.shift();
  }

  /** Where live is at `now`; `undefined` before anything was observed. */
  at(now: number): number | undefined {
    const best = this.#moments[0];
    return best && now + best.offset;
  }

  /** Forgets everything, for a new connection. */
  reset(): void {
    this.#moments = [];
  }
}

const MEMORY_SECONDS = 12;
