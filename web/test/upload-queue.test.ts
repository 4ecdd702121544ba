import { expect, test } from 'vitest';

import { Queue, Speed, type Queued, type UploadState } from '../src/site/upload-queue';

interface Named extends Queued {
  name: string;
}

function queue(): { queue: Queue<Named>; started: string[]; add: (name: string, state?: UploadState) => Named } {
  const started: string[] = [];
  const made = new Queue<Named>((item) => started.push(item.name));
  const add = (name: string, state: UploadState = 'waiting'): Named => {
    const item = { name, state };
    made.add(item);
    return item;
  };
  return { queue: made, started, add };
}

test('two run at a time, and the next begins when one ends', () => {
  const { queue: uploads, started, add } = queue();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => add(name)) as [Named, Named, Named, Named];
  expect(started).toEqual(['a', 'b']);
  expect([a, b, c, d].map(({ state }) => state)).toEqual(['sending', 'sending', 'waiting', 'waiting']);
  uploads.set(b, 'refused');
  expect(started).toEqual(['a', 'b', 'c']);
  uploads.set(a, 'retrying');
  expect(d.state, 'what goes on by itself keeps its place').toBe('waiting');
  uploads.set(a, 'received');
  expect(started).toEqual(['a', 'b', 'c', 'd']);
});

test('what is paused makes room, and waits for its turn again', () => {
  const { queue: uploads, started, add } = queue();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => add(name)) as [Named, Named, Named];
  uploads.set(a, 'paused');
  expect([c.state, started.at(-1)]).toEqual(['sending', 'c']);
  uploads.set(a, 'waiting');
  expect(a.state).toBe('waiting');
  uploads.remove(b);
  expect([a.state, started.at(-1)]).toEqual(['sending', 'a']);
});

test('leaving loses time only while something runs or waits', () => {
  const { queue: uploads, add } = queue();
  add('of another day', 'unfinished');
  expect(uploads.isActive).toBe(false);
  const a = add('a');
  for (const state of ['retrying', 'sending'] as const) {
    uploads.set(a, state);
    expect(uploads.isActive, state).toBe(true);
  }
  for (const state of ['paused', 'broke', 'received', 'refused', 'cancelled'] as const) {
    uploads.set(a, state);
    expect(uploads.isActive, state).toBe(false);
  }
});

test('speed is that of the last seconds, and unknown at first', () => {
  const speed = new Speed();
  expect(speed.perSecond).toBeNull();
  speed.take(0, 0);
  speed.take(100, 1_000_000);
  expect(speed.perSecond).toBeNull();
  for (let second = 1; second <= 20; second += 1) speed.take(second * 1_000, second < 10 ? 1_000_000 : 1_000_000 + (second - 9) * 500);
  expect(speed.perSecond).toBe(500);
  speed.take(21_000, 10);
  expect(speed.perSecond, 'it began anew').toBeNull();
});
