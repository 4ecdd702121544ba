/**
 * A viewer's session with one live stream: on air or not, which transport, when to try again.
 *
 * ```text
 *            on air                    time advances
 * offline ------------> connecting -------------------> playing
 *    ^                      |  next transport              | end, error, stall
 *    |       not on air     v                              v
 *    '------------------- reconnecting <-------------------'
 * ```
 *
 * It owns the engine (one at a time) and every retry; engines never retry by themselves. It touches no DOM, so it
 * runs in tests with fake timers.
 */

import type { LiveStream } from '../lib/api';
import { pollDelay, retryDelay } from './backoff';
import { missingCodec, plan, unheard, type Capabilities, type Transport } from './transport';

export type State = 'connecting' | 'playing' | 'reconnecting' | 'offline' | 'error';

/** Why the picture does not move: our connection, the publisher's, the browser's decoder, or no way through. */
export type Reason = 'connection' | 'publisher' | 'codec' | 'media' | 'transport';

export interface Snapshot {
  state: State;
  transport: Transport | null;
  reason: Reason | null;
  /** Codec that the browser lacks. */
  codec: string | null;
  /** Codec of the sound that the browser lacks, while the picture plays without it. */
  unheard: string | null;
  /** When the next attempt comes, in `Date.now()` milliseconds. */
  retryAt: number | null;
  live: LiveStream | null;
  /** When it was seen to end in this session. */
  endedAt: number | null;
}

/** Plays one connection into the video element. */
export interface Engine {
  destroy(): void;
}

export interface EngineEvents {
  /** The connection failed, or the media could not be decoded. */
  failed(kind: 'network' | 'media'): void;
  /** The stream came to its end. */
  ended(): void;
}

export interface Ports {
  /** The stream, `null` where it is not on air; throws where the server cannot be asked. */
  find(): Promise<LiveStream | null>;
  /** Plays `live`, without the sound where it names none. */
  open(transport: Transport, live: LiveStream, events: EngineEvents): Engine;
  changed(snapshot: Snapshot): void;
  random(): number;
}

/** How the video element fares; reported about four times a second. */
export interface Progress {
  /** Media time. */
  time: number;
  /** There is something to play, but the viewer stopped it, or the browser did not let it start. */
  paused: boolean;
}

export class Session {
  readonly #ports: Ports;
  readonly #can: Capabilities;
  readonly #wanted: Transport | null;
  #snapshot: Snapshot = {
    state: 'connecting',
    transport: null,
    reason: null,
    codec: null,
    unheard: null,
    retryAt: null,
    live: null,
    endedAt: null,
  };
  #engine: Engine | null = null;
  /** Grows with every new course of action; what belongs to an older one is ignored. */
  #course = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #failures = 0;
  /** Questions in a row that the server did not answer. */
  #unanswered = 0;
  #rounds = 0;
  #openedAt = 0;
  #moved = false;
  #lastTime = -1;
  #lastMove = 0;
  #movingSince = 0;
  #lastAsked = 0;
  /** The publisher is away, so that a standing picture is nobody's fault here. */
  #awaiting = false;
  #hasPlayed = false;
  #waitingSince = 0;

  constructor(ports: Ports, can: Capabilities, wanted: Transport | null) {
    this.#ports = ports;
    this.#can = can;
    this.#wanted = wanted;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Begins with what the page already knows: the stream, or `null` where it was off air. */
  start(known: LiveStream | null): void {
    if (known) this.#meet(known);
    else this.#wait();
  }

  /** Lets go of everything; a later `resume` begins anew. */
  suspend(): void {
    this.#turn();
    this.#closeEngine();
  }

  /** Asks at once and plays, whatever was planned. */
  resume(): void {
    this.#failures = 0;
    this.#rounds = 0;
    this.#attempt = 0;
    this.#set({ state: 'connecting', reason: null, retryAt: null });
    void this.#ask();
  }

  /** The tab has come back: a planned question need not wait any longer. */
  visible(): void {
    if (this.#snapshot.state === 'offline') this.#poll(0);
  }

  /** Reports how the video element fares. */
  progress({ time, paused }: Progress): void {
    if (!this.#engine) return;
    const now = Date.now();
    if (time !== this.#lastTime) {
      const first = this.#lastTime < 0;
      this.#lastTime = time;
      this.#lastMove = now;
      if (!first) this.#advanced(now);
      return;
    }
    if (paused) {
      this.#lastMove = now;
      this.#openedAt = now;
      // It has what it takes to play, so that there is nothing to wait for but the viewer.
      if (this.#snapshot.state !== 'playing') this.#set({ state: 'playing', reason: null, retryAt: null });
      return;
    }
    const still = now - this.#lastMove;
    if (!this.#moved) {
      const patience = this.#snapshot.transport?.endsWith('hls') ? START_HLS_MS : START_FLV_MS;
      if (now - this.#openedAt > patience) this.#fail('network');
    } else if (still > STALL_FATAL_MS && !this.#awaiting) {
      this.#fail('network');
    } else if (still > STALL_ASK_MS && now - this.#lastAsked > ASK_EVERY_MS) {
      void this.#lookWhy();
    }
  }

  #advanced(now: number): void {
    if (!this.#moved || this.#snapshot.state !== 'playing') {
      this.#moved = true;
      this.#hasPlayed = true;
      this.#movingSince = now;
      this.#awaiting = false;
      this.#set({ state: 'playing', reason: null, retryAt: null, endedAt: null });
    } else if (now - this.#movingSince > STEADY_MS) {
      this.#failures = 0;
      this.#rounds = 0;
    }
  }

  /** The picture stands though the connection does: the server knows whether the publisher is gone. */
  async #lookWhy(): Promise<void> {
    this.#lastAsked = Date.now();
    const course = this.#course;
    const live = await this.#ports.find().catch(() => undefined);
    if (course !== this.#course || live === undefined || Date.now() - this.#lastMove < STALL_ASK_MS) return;
    if (live === null) this.#wait();
    else if (live.state === 'reconnecting') {
      this.#awaiting = true;
      this.#set({ state: 'reconnecting', reason: 'publisher', live });
    } else if (this.#awaiting) {
      // It is back, and this connection should carry it any moment; the stall clock starts again.
      this.#awaiting = false;
      this.#lastMove = Date.now();
      this.#set({ live });
    }
  }

  #fail(kind: 'network' | 'media'): void {
    const neverMoved = !this.#moved;
    this.#closeEngine();
    this.#failures += 1;
    // A transport that never showed a picture, or keeps failing, gives way to the next.
    if (neverMoved || kind === 'media' || this.#failures >= FAILURES_PER_TRANSPORT) this.#attempt += 1;
    const reason: Reason = kind === 'media' ? 'media' : 'connection';
    this.#set({ state: this.#hasPlayed ? 'reconnecting' : 'connecting', reason, retryAt: null });
    void this.#ask();
  }

  async #ask(): Promise<void> {
    const course = this.#turn();
    let live: LiveStream | null;
    try {
      live = await this.#ports.find();
    } catch {
      if (course !== this.#course) return;
      this.#unanswered += 1;
      this.#later('reconnecting', 'connection', retryDelay(this.#unanswered + 1, this.#ports.random));
      return;
    }
    if (course !== this.#course) return;
    // The pauses between questions were pauses enough.
    if (this.#unanswered > 0) this.#failures = 0;
    this.#unanswered = 0;
    if (live) this.#meet(live);
    else this.#wait();
  }

  /** The stream is on air: connect, now or after a pause that grows with failures. */
  #meet(live: LiveStream): void {
    const ways = plan(this.#can, live, this.#wanted);
    this.#set({ live });
    if (ways.length === 0) {
      const codec = missingCodec(this.#can, live);
      this.#set({ codec });
      this.#later('error', codec ? 'codec' : 'transport', ERROR_RETRY_MS);
      return;
    }
    if (live.state === 'reconnecting') {
      this.#later('reconnecting', 'publisher', PUBLISHER_RETRY_MS);
      this.#set({ retryAt: null });
      return;
    }
    if (this.#attempt >= ways.length) {
      this.#attempt = 0;
      this.#rounds += 1;
      if (this.#rounds >= ROUNDS_BEFORE_ERROR) {
        const reason = this.#snapshot.reason === 'media' ? 'media' : 'transport';
        this.#later('error', reason, ERROR_RETRY_MS);
        return;
      }
    }
    const transport = ways[this.#attempt] ?? 'hls';
    if (this.#failures <= 1) this.#open(transport, live);
    else {
      const state = this.#hasPlayed ? 'reconnecting' : 'connecting';
      this.#later(state, this.#snapshot.reason ?? 'connection', retryDelay(this.#failures, this.#ports.random), () => {
        this.#open(transport, live);
      });
    }
  }

  #open(transport: Transport, live: LiveStream): void {
    const course = this.#turn();
    this.#closeEngine();
    this.#moved = false;
    this.#awaiting = false;
    this.#lastTime = -1;
    this.#openedAt = this.#lastMove = Date.now();
    const state = this.#hasPlayed ? 'reconnecting' : 'connecting';
    const reason = this.#hasPlayed ? 'connection' : null;
    const silent = unheard(this.#can, live);
    this.#set({ state, transport, live, retryAt: null, reason, codec: null, unheard: silent });
    const current = (act: () => void) => () => {
      if (course === this.#course) act();
    };
    this.#engine = this.#ports.open(transport, silent === null ? live : { ...live, audio: null }, {
      failed: (kind) => {
        current(() => {
          this.#fail(kind);
        })();
      },
      ended: current(() => {
        this.#fail('network');
      }),
    });
  }

  /** Off air: say so, and ask now and then. */
  #wait(): void {
    this.#turn();
    this.#closeEngine();
    const endedAt = this.#hasPlayed ? (this.#snapshot.endedAt ?? Date.now()) : null;
    this.#attempt = 0;
    this.#failures = 0;
    this.#rounds = 0;
    this.#waitingSince = Date.now();
    this.#set({ state: 'offline', reason: null, retryAt: null, live: null, transport: null, endedAt });
    this.#poll(pollDelay(0, this.#ports.random));
  }

  #poll(delay: number): void {
    const course = this.#turn();
    this.#timer = setTimeout(() => {
      void (async () => {
        const live = await this.#ports.find().catch(() => null);
        if (course !== this.#course) return;
        if (live) this.#meet(live);
        else this.#poll(pollDelay(Date.now() - this.#waitingSince, this.#ports.random));
      })();
    }, delay);
  }

  #later(state: State, reason: Reason, delay: number, act = (): void => void this.#ask()): void {
    const course = this.#turn();
    this.#closeEngine();
    this.#set({ state, reason, retryAt: Date.now() + delay });
    this.#timer = setTimeout(() => {
      if (course === this.#course) act();
    }, delay);
  }

  /** A new course of action: whatever was planned or asked before no longer counts. */
  #turn(): number {
    clearTimeout(this.#timer);
    this.#course += 1;
    return this.#course;
  }

  #closeEngine(): void {
    this.#engine?.destroy();
    this.#engine = null;
  }

  #set(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    this.#ports.changed(this.#snapshot);
  }
}

const START_FLV_MS = 8_000;
const START_HLS_MS = 15_000;
const STALL_ASK_MS = 2_000;
const STALL_FATAL_MS = 8_000;
const ASK_EVERY_MS = 2_000;
/** A picture that has moved this long forgives earlier failures. */
const STEADY_MS = 10_000;
const FAILURES_PER_TRANSPORT = 3;
const ROUNDS_BEFORE_ERROR = 2;
const ERROR_RETRY_MS = 15_000;
const PUBLISHER_RETRY_MS = 1_500;
