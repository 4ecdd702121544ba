/** What the player remembers in this browser: where each video was left, and how loud it was. */

const POSITIONS = 'positions';
const VOLUME = 'volume';
/** Videos whose places are kept. */
const MOST = 100;
/** Seconds from the beginning that are not worth coming back to. */
const SHORT = 10;
/** The part of a video after which it counts as seen. */
const SEEN = 0.95;

export interface Volume {
  level: number;
  muted: boolean;
}

/** What is asked of a video that is left. */
export type Left = Pick<HTMLVideoElement, 'readyState' | 'ended' | 'currentTime' | 'duration'>;

type Positions = Record<string, { at: number; on: number }>;

/** Where a video was left, in seconds; `undefined` where it is to begin. */
export function position(id: string, storage: Storage = localStorage): number | undefined {
  return positions(storage)[id]?.at;
}

/** Remembers where a video is left. One that is hardly begun, or seen, is forgotten; of one that never came nothing is known. */
export function leave(id: string, video: Left, now: number, storage: Storage = localStorage): void {
  if (video.readyState === 0) return;
  const { duration } = video;
  const at = video.ended ? 0 : video.currentTime;
  const all = positions(storage);
  if (at < SHORT || !(at < duration * SEEN)) {
    if (!(id in all)) return;
    // The others stay as they are.
    write(storage, POSITIONS, Object.fromEntries(Object.entries(all).filter(([other]) => other !== id)));
    return;
  }
  all[id] = { at: Math.floor(at), on: now };
  const newest = Object.entries(all).sort(([, a], [, b]) => b.on - a.on);
  write(storage, POSITIONS, Object.fromEntries(newest.slice(0, MOST)));
}

export function volume(storage: Storage = localStorage): Volume | undefined {
  const kept = read(storage, VOLUME) as Partial<Volume> | undefined;
  const level = kept?.level;
  if (typeof level !== 'number' || !(level >= 0 && level <= 1)) return undefined;
  return { level, muted: kept?.muted === true };
}

export function keepVolume(kept: Volume, storage: Storage = localStorage): void {
  write(storage, VOLUME, kept);
}

function positions(storage: Storage): Positions {
  const kept = read(storage, POSITIONS);
  if (typeof kept !== 'object' || kept === null) return {};
  const entries = Object.entries(kept as Positions);
  return Object.fromEntries(entries.filter(([, value]) => Number.isFinite(value?.at) && Number.isFinite(value?.on)));
}

/** A browser may keep nothing, and what it kept may be anything. */
function read(storage: Storage, key: string): unknown {
  try {
    return JSON.parse(storage.getItem(key) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

function write(storage: Storage, key: string, value: unknown): void {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    // Nothing is remembered then.
  }
}
