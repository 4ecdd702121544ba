import { expect, test } from 'vitest';

import { LiveEdge } from '../src/player/edge';

test('is unknown before anything arrived', () => {
  expect(new LiveEdge().at(5)).toBeUndefined();
});

test('moves on with the clock while the download stalls', () => {
  const edge = new LiveEdge();
  edge.observe(100, 10);
  edge.observe(103, 10);
  expect(edge.at(103)).toBe(13);
});

test('takes a burst at the start as live', () => {
  const edge = new LiveEdge();
  edge.observe(100, 0.5);
  edge.observe(100.2, 4);
  edge.observe(101, 4.8);
  expect(edge.at(101)).toBeCloseTo(4.8);
});

test('forgets an edge that was not reached again', () => {
  const edge = new LiveEdge();
  edge.observe(100, 10);
  for (let now = 101; now <= 120; now += 1) edge.observe(now, now - 95);
  expect(edge.at(120)).toBe(25);
});

test('keeps few moments, however long it runs', () => {
  const edge = new LiveEdge();
  for (let now = 0; now < 10_000; now += 0.25) edge.observe(now, now - (now % 3));
  expect(edge.at(10_000)).toBeCloseTo(10_000);
});
