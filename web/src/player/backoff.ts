/** When to try again. Pure. */

/** Milliseconds before attempt number `failures` (from 1): doubling, bounded, spread so that a crowd does not return as one. */
export function retryDelay(failures: number, random: () => number): number {
  const base = Math.min(FIRST_MS * 2 ** Math.max(0, failures - 1), LONGEST_MS);
  return Math.round(base * (1 - SPREAD + 2 * SPREAD * random()));
}

/** Milliseconds until the next question whether an offline stream has started, after waiting `waitedMs`. */
export function pollDelay(waitedMs: number, random: () => number): number {
  const base = waitedMs < 30_000 ? 2_000 : waitedMs < 5 * 60_000 ? 5_000 : 15_000;
  return Math.round(base * (1 - SPREAD + 2 * SPREAD * random()));
}

const FIRST_MS = 500;
const LONGEST_MS = 10_000;
const SPREAD = 0.2;
