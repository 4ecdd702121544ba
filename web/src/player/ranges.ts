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

/** Where to go from `time` when it stands before a gap: the start of the next range. */
export function afterGap(ranges: Ranges, time: number): number | undefined {
  if (ahead(ranges, time) > TOLERANCE) return undefined;
  for (let i = 0; i < ranges.length; i += 1) {
    if (ranges.start(i) > time) return ranges.start(i) + 0.01;
  }
  return undefined;
}

const TOLERANCE = 0.1;
