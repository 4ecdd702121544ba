/** How fast a video can be played, times its own speed; the slowest first. */
export const RATES = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

/** The next one in a direction; the same where there is none, or where `rate` is none of them. */
export function next(rate: number, by: number): number {
  const at = RATES.indexOf(rate);
  return at < 0 ? rate : (RATES[Math.max(0, Math.min(RATES.length - 1, at + by))] ?? rate);
}
