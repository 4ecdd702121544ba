import { describe, expect, it } from 'vitest';

import { keepVolume, leave, position, volume } from '../src/player/video/memory';
import { distinct, lacked } from '../src/player/video/source';
import { command } from '../src/player/video/keys';
import { next } from '../src/player/video/rates';
import { clock, seconds, startOf } from '../src/player/video/times';

function storage(kept: Record<string, string> = {}): Storage {
  const map = new Map(Object.entries(kept));
  return {
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => void map.set(key, value),
  } as unknown as Storage;
}

function leaveAt(id: string, currentTime: number, duration: number, now: number, kept: Storage, readyState = 4): void {
  leave(id, { readyState, ended: false, currentTime, duration }, now, kept);
}

describe('where a video was left', () => {
  it('is remembered, but for its beginning and its end', () => {
    const kept = storage();
    leaveAt('a', 5, 100, 1, kept);
    expect(position('a', kept)).toBeUndefined();
    leaveAt('a', 50.9, 100, 2, kept);
    expect(position('a', kept)).toBe(50);
    leaveAt('a', 96, 100, 3, kept);
    expect(position('a', kept)).toBeUndefined();
    leaveAt('b', 50, 100, 4, kept);
    leave('b', { readyState: 4, ended: true, currentTime: 100, duration: 100 }, 5, kept);
    expect(position('b', kept)).toBeUndefined();
  });

  it('stays where the video did not come', () => {
    const kept = storage();
    leaveAt('a', 50, 100, 1, kept);
    leaveAt('a', 0, Number.NaN, 2, kept, 0);
    leaveAt('a', 0, 100, 3, kept, 0);
    expect(position('a', kept)).toBe(50);
  });

  it('is kept for the last hundred', () => {
    const kept = storage();
    for (let n = 0; n < 101; n += 1) leaveAt(`v${n}`, 50, 100, n, kept);
    expect(position('v0', kept)).toBeUndefined();
    expect(position('v1', kept)).toBe(50);
    expect(position('v100', kept)).toBe(50);
  });

  it('survives a storage that is broken or refuses', () => {
    expect(position('a', storage({ positions: '{' }))).toBeUndefined();
    expect(position('a', storage({ positions: '{"a":7,"b":{"at":"x"}}' }))).toBeUndefined();
    const full = { ...storage(), setItem: () => { throw new Error('full'); } } as unknown as Storage;
    expect(() => leaveAt('a', 50, 100, 1, full)).not.toThrow();
  });
});

it('how loud it was is remembered', () => {
  const kept = storage();
  expect(volume(kept)).toBeUndefined();
  keepVolume({ level: 0.4, muted: true }, kept);
  expect(volume(kept)).toEqual({ level: 0.4, muted: true });
  expect(volume(storage({ volume: '{"level":7}' }))).toBeUndefined();
});

it.each([
  ['1:02:03', 3723], ['2:03', 123], ['0:00', 0], ['90', 90], ['1h2m3s', 3723], ['5m', 300], ['12s', 12],
])('%s is a time', (text, at) => {
  expect(seconds(text)).toBe(at);
  expect(startOf(`?t=${encodeURIComponent(text)}`)).toBe(at);
});

it.each(['', 'x', '1:2', '-5', '1:02:03:04', 'NaN', '1e9'])('%j is none', (text) => {
  expect(seconds(text)).toBeUndefined();
});

it('a size in a codec that is not played is left out, and said', () => {
  const plays = (type: string): boolean => /avc1|mp4a|mpeg/.test(type);
  expect(lacked(['avc1.64001f,mp4a.40.2', undefined], plays)).toBeUndefined();
  expect(lacked(['avc1.64001f,mp4a.40.2', 'hvc1.1.6.L93.B0, mp4a.40.2'], plays)).toBe('hvc1.1.6.L93.B0');
  expect(lacked(['avc1.64001f,ac-3'], plays)).toBe('ac-3');
});

it('sizes to choose from are told once, the largest first', () => {
  const levels = [{ index: 0, size: 720 }, { index: 1, size: 360 }, { index: 2, size: 720 }, { index: 3, size: 0 }];
  expect(distinct(levels)).toEqual([{ index: 0, size: 720 }, { index: 1, size: 360 }]);
});

it.each([[0, '0:00'], [59.9, '0:59'], [60, '1:00'], [3723, '1:02:03'], [-1, '0:00']])('%d is shown as a clock', (at, text) => {
  expect(clock(at)).toBe(text);
});

it('speeds end at both ends', () => {
  expect([next(1, 1), next(1, -1), next(2, 1), next(0.25, -1), next(3, 1)]).toEqual([1.25, 0.75, 2, 0.25, 3]);
});

it('keys of a video: frames only where it rests, all others as in every player', () => {
  const press = (key: string, rests = false, change = {}) =>
    command({ key, altKey: false, ctrlKey: false, metaKey: false, ...change }, rests);
  expect(press('.', true)).toEqual({ do: 'frame', by: 1 });
  expect(press(',', true)).toEqual({ do: 'frame', by: -1 });
  expect(press('.')).toBeUndefined();
  expect(press('Home')).toEqual({ do: 'begin' });
  expect(press('End')).toEqual({ do: 'end' });
  expect(press('I')).toEqual({ do: 'toggle-pip' });
  expect(press('l')).toEqual({ do: 'seek', by: 10 });
  expect(press('Home', true, { ctrlKey: true })).toBeUndefined();
});
