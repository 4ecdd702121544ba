import { expect, test } from 'vitest';

import { pollDelay, retryDelay } from '../src/player/backoff';

const middle = (): number => 0.5;

test('retries double and stay below ten seconds and a bit', () => {
  expect([1, 2, 3, 4, 5, 6, 50].map((n) => retryDelay(n, middle))).toEqual([500, 1000, 2000, 4000, 8000, 10000, 10000]);
  expect(retryDelay(0, middle)).toBe(500);
});

test('a crowd does not return as one', () => {
  expect(retryDelay(4, () => 0)).toBe(3200);
  expect(retryDelay(4, () => 1)).toBe(4800);
});

test('an offline stream is asked after less and less often', () => {
  expect([0, 29_000, 60_000, 600_000].map((waited) => pollDelay(waited, middle))).toEqual([2000, 2000, 5000, 15000]);
});
