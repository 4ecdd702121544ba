import { expect, test } from 'vitest';

import { duration, relative } from '../src/lib/time';

const t = (key: string, { n = '' }: Record<string, string | number>): string => `${n}${key.slice(5, 6)}`;

test('spans have at most two units', () => {
  const spans = [0, 59.9, 60, 3600, 7500, 273_600, -5].map((seconds) => duration(seconds, t));
  expect(spans).toEqual(['0s', '59s', '1m', '1h', '2h 5m', '3d 4h', '0s']);
});

test('points of time are relative', () => {
  const now = new Date('2026-01-02T12:00:00Z');
  const ago = (seconds: number, language = 'en') => relative(new Date(now.getTime() - seconds * 1000), now, language);
  expect(ago(7200)).toBe('2 hours ago');
  expect(ago(90_000)).toBe('yesterday');
  expect(ago(90_000, 'zh-CN')).toBe('昨天');
  expect(ago(5)).toBe('5 seconds ago');
});
