/** The last hour of a number as the paths of a small picture. */

/** The line of `values` and the area under it, in a picture of {@link WIDTH} by {@link HEIGHT}. */
export function paths(values: number[], most: number): { line: string; area: string } {
  if (values.length === 0) return { line: '', area: '' };
  const step = WIDTH / (KEPT - 1);
  const left = WIDTH - (values.length - 1) * step;
  const points = values.map((value, index) => {
    const y = HEIGHT - 1 - (most > 0 ? (value / most) * (HEIGHT - 3) : 0);
    return `${round(left + index * step)} ${round(y)}`;
  });
  const line = `M${points.join('L')}`;
  return { line, area: `${line}L${WIDTH} ${HEIGHT}L${round(left)} ${HEIGHT}Z` };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Samples of an hour; the server takes one every ten seconds. */
export const KEPT = 360;
export const WIDTH = 360;
export const HEIGHT = 64;
