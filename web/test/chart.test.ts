import { expect, test } from 'vitest';

import { paths } from '../src/site/chart';

test('the newest value stands at the right, the highest near the top, nothing at the bottom', () => {
  expect(paths([0, 5, 10], 10)).toEqual({
    line: 'M358 63L359 32.5L360 2',
    area: 'M358 63L359 32.5L360 2L360 64L358 64Z',
  });
});

test('an hour takes the whole width, and nothing needs no height', () => {
  const { line } = paths(Array<number>(360).fill(0), 0);
  expect(line.startsWith('M0 63L1 63')).toBe(true);
  expect(line.endsWith('L360 63')).toBe(true);
});

test('before the first sample nothing is drawn', () => {
  expect(paths([], 0)).toEqual({ line: '', area: '' });
});
