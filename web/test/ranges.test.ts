import { expect, test } from 'vitest';

import { afterGap, ahead, end, start } from '../src/player/ranges';

const ranges = (...pairs: [number, number][]) => ({
  length: pairs.length,
  start: (i: number) => pairs[i]?.[0] ?? NaN,
  end: (i: number) => pairs[i]?.[1] ?? NaN,
});

test('what lies ahead ends at the first gap', () => {
  expect(ahead(ranges([0, 5], [8, 10]), 2)).toBe(3);
  expect(ahead(ranges([0, 5], [8, 10]), 6)).toBe(0);
  expect(ahead(ranges(), 0)).toBe(0);
});

test('first start and last end', () => {
  expect([start(ranges([1, 5], [8, 10])), end(ranges([1, 5], [8, 10]))]).toEqual([1, 10]);
  expect([start(ranges()), end(ranges())]).toEqual([undefined, undefined]);
});

test('a play head at a gap goes to what follows it', () => {
  expect(afterGap(ranges([0, 5], [8, 10]), 5)).toBeCloseTo(8.01);
  expect(afterGap(ranges([0, 5], [8, 10]), 3)).toBeUndefined();
  expect(afterGap(ranges([0, 5]), 5)).toBeUndefined();
  expect(afterGap(ranges([2, 5]), 0)).toBeCloseTo(2.01);
});
