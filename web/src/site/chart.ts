/** The last hour of a number as the paths of a small picture. */

/** The line of `values` and the area under it, in a picture of {@link WIDTH} by {@link HEIGHT}. */
export function paths(values: number[], most: number, kept = KEPT): { line: string; area: string } {
  if (values.length === 0) return { line: '', area: '' };
  const step = WIDTH / (kept - 1);
  const left = WIDTH - (values.length - 1) * step;
  const points = values.map((value, index) => {
    const y = HEIGHT - 1 - (most > 0 ? (value / most) * (HEIGHT - 3) : 0);
    return `${round(left + index * step)} ${round(y)}`;
  });
  const line = `M${points.join('L')}`;
  return { line, area: `${line}L${WIDTH} ${HEIGHT}L${round(left)} ${HEIGHT}Z` };
}

/** The line as a picture, which `label` describes. */
export function draw(values: number[], most: number, kept: number, label: string): SVGSVGElement {
  const svg = element('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
  svg.setAttribute('aria-label', label);
  const { line, area } = paths(values, most, kept);
  svg.append(
    element('path', { d: `M0 ${HEIGHT - 0.5}H${WIDTH}`, class: 'chart-base' }),
    element('path', { d: area, class: 'chart-area' }),
    element('path', { d: line, class: 'chart-line' }),
  );
  return svg;
}

function element<K extends keyof SVGElementTagNameMap>(name: K, attributes: Record<string, string>): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Samples of an hour; the server takes one every ten seconds. */
export const KEPT = 360;
const WIDTH = 360;
const HEIGHT = 64;
