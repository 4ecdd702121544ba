/** Which uploads run, and how fast they are. Pure. */

/**
 * - `waiting`: for its turn
 * - `sending`
 * - `retrying`: the line broke, and it goes on by itself
 * - `paused`: by whoever uploads
 * - `broke`: it can go on once it is told to
 * - `unfinished`: part of it is at the server, and the file is not known here
 * - `received`, `refused`, `cancelled`: nothing more happens
 */
export type UploadState =
  | 'waiting'
  | 'sending'
  | 'retrying'
  | 'paused'
  | 'broke'
  | 'unfinished'
  | 'received'
  | 'refused'
  | 'cancelled';

export interface Queued {
  state: UploadState;
}

/** Starts what waits, in its order, so that no more than `most` run at a time. */
export class Queue<Item extends Queued> {
  readonly items: Item[] = [];

  constructor(
    private readonly start: (item: Item) => void,
    private readonly most = AT_ONCE,
  ) {}

  add(item: Item): void {
    this.items.push(item);
    this.fill();
  }

  remove(item: Item): void {
    const at = this.items.indexOf(item);
    if (at >= 0) this.items.splice(at, 1);
    this.fill();
  }

  /** Says what has become of `item`. */
  set(item: Item, state: UploadState): void {
    item.state = state;
    this.fill();
  }

  /** Whether something would be lost time if the page went away. */
  get isActive(): boolean {
    return this.items.some(isUnderWay);
  }

  private fill(): void {
    for (const item of this.items) {
      if (this.items.filter(runs).length >= this.most) return;
      if (item.state !== 'waiting') continue;
      item.state = 'sending';
      this.start(item);
    }
  }
}

/** Whether it is sent without being told to. */
export function isUnderWay(item: Queued): boolean {
  return item.state === 'waiting' || runs(item);
}

function runs(item: Queued): boolean {
  return item.state === 'sending' || item.state === 'retrying';
}

/** How fast something grows, over its last seconds. */
export class Speed {
  #samples: [time: number, bytes: number][] = [];

  /** `now` in milliseconds. */
  take(now: number, bytes: number): void {
    const last = this.#samples.at(-1);
    // It began anew elsewhere: what came before says nothing.
    if (last && bytes < last[1]) this.#samples = [];
    this.#samples.push([now, bytes]);
    while (this.#samples.length > 2 && now - (this.#samples[0]?.[0] ?? now) > WINDOW_MS) this.#samples.shift();
  }

  forget(): void {
    this.#samples = [];
  }

  /** Bytes per second; `null` while too little is known. */
  get perSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last[0] - first[0] < LEAST_MS) return null;
    return ((last[1] - first[1]) * 1000) / (last[0] - first[0]);
  }
}

const AT_ONCE = 2;
const WINDOW_MS = 8_000;
const LEAST_MS = 500;
