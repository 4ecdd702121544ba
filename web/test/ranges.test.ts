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
  expect(afterGap(ranges([0, 5], [8, 10]), 4.8, 5)).toBeCloseTo(8.01);
  expect(afterGap(ranges([0, 5], [8, 10]), 6, 6.2)).toBeCloseTo(8.01);
  expect(afterGap(ranges([0, 5], [8, 10]), 2.8, 3)).toBeUndefined();
  expect(afterGap(ranges([0, 5]), 4.8, 5)).toBeUndefined();
  expect(afterGap(ranges([2, 5]), 0, 0)).toBeCloseTo(2.01);
});

test('a play head that was carried across a gap seeks where it is', () => {
  expect(afterGap(ranges([0, 5], [5.2, 10]), 4.8, 5.3)).toBe(5.3);
  expect(afterGap(ranges([0, 5], [5.2, 10]), 5.3, 5.5)).toBeUndefined();
  expect(afterGap(ranges([0, 5], [5.2, 10]), NaN, 5.3)).toBeUndefined();
  expect(afterGap(ranges([2, 5]), 1.9, 2.1)).toBeUndefined();
});
