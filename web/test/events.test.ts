import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { listen } from '../src/site/events';

/** What stands for the browser's: connections that the test moves by hand. */
class FakeSource extends EventTarget {
  static all: FakeSource[] = [];
  closed = false;

  constructor(readonly url: string) {
    super();
    FakeSource.all.push(this);
  }

  close(): void {
    this.closed = true;
  }

  tell(kind: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }));
  }

  fail(): void {
    this.dispatchEvent(new Event('error'));
  }
}

let tab: EventTarget & { hidden: boolean };

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  vi.stubGlobal('EventSource', FakeSource);
  tab = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal('document', tab);
  FakeSource.all = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function newest(): FakeSource {
  const source = FakeSource.all.at(-1);
  if (!source) throw new Error('nobody listens');
  return source;
}

test('hands over the data of each kind', () => {
  const heard: unknown[] = [];
  listen('?stream=live/a', { stream: (data) => heard.push(data) });
  newest().tell('stream', { viewers: 3 });
  newest().tell('stream', null);
  expect(newest().url).toBe('/api/v1/events?stream=live/a');
  expect(heard).toEqual([{ viewers: 3 }, null]);
});

test('comes back after a failure, later and later, and at once again after an event', () => {
  listen('', { list: () => undefined });
  const waits: number[] = [];
  const failAndWait = (): void => {
    const before = FakeSource.all.length;
    newest().fail();
    expect(newest().closed).toBe(true);
    let waited = 0;
    while (FakeSource.all.length === before) {
      vi.advanceTimersByTime(100);
      waited += 100;
    }
    waits.push(waited);
  };
  failAndWait();
  failAndWait();
  failAndWait();
  newest().tell('list', {});
  failAndWait();
  expect(waits).toEqual([500, 1000, 2000, 500]);
});

test('listens only while the tab is seen', () => {
  listen('', {});
  tab.hidden = true;
  tab.dispatchEvent(new Event('visibilitychange'));
  expect(newest().closed).toBe(true);
  expect(FakeSource.all).toHaveLength(1);
  tab.hidden = false;
  tab.dispatchEvent(new Event('visibilitychange'));
  expect(FakeSource.all).toHaveLength(2);
  expect(newest().closed).toBe(false);
});
