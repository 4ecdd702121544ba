/**
 * A picture whose clock is read by machine: a row of black and white blocks across the top says the time of day at
 * which FFmpeg drew it, in tenths of a second. So one picture tells that it is real, and how late it is.
 *
 * Blocks from the left: white, black, 16 bits of Gray code with the lowest first, white, black. Each block is drawn at
 * a moment of its own; neighbours in Gray code differ in one bit, so that a row drawn across a tick is still right.
 */

/** A filter graph of that picture over moving bars, with its output still to be named. */
export function clockPicture(size: readonly [number, number], rate: number): string {
  return picture(size, rate, `mod(time(0)*${TICKS_PER_SECOND},${CYCLE})`);
}

/** The same with the number of the picture, from 0, in place of the time: see {@link ticksOf}. */
export function numberedPicture(size: readonly [number, number], rate: number): string {
  return picture(size, rate, 'N');
}

function picture([width, height]: readonly [number, number], rate: number, ticks: string): string {
  const bit = (shift: number): string => `floor(${ticks}/pow(2,X-${shift}))`;
  const white = `if(between(X,${MARKS},${MARKS + BITS - 1}),mod(${bit(MARKS)}+${bit(MARKS - 1)},2),1-mod(X,2))`;
  return (
    `color=size=${BLOCKS}x1:rate=${rate},format=gray,geq=lum='16+219*${white}',` +
    `scale=${width}:${height / BAND}:flags=neighbor[clock];` +
    `testsrc2=size=${width}x${height}:rate=${rate}[bars];[bars][clock]overlay,format=yuv420p`
  );
}

/** Brightness in the middle of each block of what `element` shows; `null` without a picture. Runs in the page. */
export function readBlocks(element: HTMLVideoElement | HTMLImageElement): number[] | null {
  // The page knows nothing of this module.
  const [blocks, band] = [20, 6];
  const [width, height] =
    element instanceof HTMLVideoElement
      ? [element.readyState >= 2 ? element.videoWidth : 0, element.videoHeight]
      : [element.naturalWidth, element.naturalHeight];
  if (width === 0 || height === 0) return null;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, Math.floor(height / band)];
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return null;
  context.drawImage(element, 0, 0);
  return Array.from({ length: blocks }, (_, i) => {
    const x = Math.floor(((i + 0.5) * width) / blocks);
    const [red = 0, green = 0, blue = 0] = context.getImageData(x, Math.floor(canvas.height / 2), 1, 1).data;
    return Math.round((red + green + blue) / 3);
  });
}

/** The time of day that the blocks say, in milliseconds like `Date.now()`; `null` where they say none. */
export function timeOf(blocks: number[] | null, now: number): number | null {
  const ticks = ticksOf(blocks);
  if (ticks === null) return null;
  const cycle = (CYCLE / TICKS_PER_SECOND) * 1000;
  const time = (ticks / TICKS_PER_SECOND) * 1000;
  return time + Math.round((now - time) / cycle) * cycle;
}

/** The number that the blocks say; `null` where they say none. */
export function ticksOf(blocks: number[] | null): number | null {
  if (blocks?.length !== BLOCKS || blocks.some((level) => level > 70 && level < 185)) return null;
  const white = blocks.map((level) => level >= 185);
  const marks = [...white.slice(0, MARKS), ...white.slice(-MARKS)];
  if (marks.join() !== 'true,false,true,false') return null;
  let bit = 0;
  let ticks = 0;
  for (let i = BITS - 1; i >= 0; i -= 1) {
    bit ^= white[MARKS + i] ? 1 : 0;
    ticks = ticks * 2 + bit;
  }
  return ticks;
}

const BITS = 16;
const MARKS = 2;
const BLOCKS = BITS + 2 * MARKS;
const CYCLE = 2 ** BITS;
const TICKS_PER_SECOND = 10;
/** The row of blocks is this part of the height. */
const BAND = 6;
