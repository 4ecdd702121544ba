/** Questions to `TimeRanges`. Pure. */

type Ranges = Pick<TimeRanges, 'length' | 'start' | 'end'>;

/** Seconds of media from `time` on without a gap. */
export function ahead(ranges: Ranges, time: number): number {
  for (let i = 0; i < ranges.length; i += 1) {
    if (ranges.start(i) <= time + TOLERANCE && time <= ranges.end(i)) return ranges.end(i) - time;
  }
  return 0;
}

/** The end of the last range. */
export function end(ranges: Ranges): number | undefined {
  return ranges.length === 0 ? undefined : ranges.end(ranges.length - 1);
}

/** The start of the first range. */
export function start(ranges: Ranges): number | undefined {
  return ranges.length === 0 ? undefined : ranges.start(0);
}

/**
 * Where a play head must go that has moved from `last` to `time` by playing: the start of the next range when it stands
 * before a gap; `time` itself when it has crossed one. Sound filled up with silence carries the head across, but the
 * picture stays behind until a seek.
 */
export function afterGap(ranges: Ranges, last: number, time: number): number | undefined {
  const before = ahead(ranges, time) <= TOLERANCE;
  for (let i = 0; i < ranges.length; i += 1) {
    const next = ranges.start(i);
    if (i > 0 && last < next && next <= time) return time;
    if (before && next > time) return next + 0.01;
  }
  return undefined;
}

const TOLERANCE = 0.1;
