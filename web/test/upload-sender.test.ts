import type * as Library from 'tus-js-client';
import { beforeEach, expect, test, vi } from 'vitest';

import { giveUp, Sender, type Told } from '../src/site/upload-sender';

vi.mock('../src/lib/messages', () => ({ t: (key: string) => key }));

/** What tus-js-client does as far as it matters here; the server answers when a test says so. */
class Tus {
  static all: Tus[] = [];
  static ended: string[] = [];
  /** What the server answers who ends one. */
  static answer = 204;
  static terminate(url: string): Promise<void> {
    Tus.ended.push(url);
    if (Tus.answer === 204) return Promise.resolve();
    return Promise.reject(Object.assign(new Error('refused'), { originalResponse: { getStatus: () => Tus.answer } }));
  }
  url: string | null = null;
  starts = 0;
  aborted = false;
  constructor(
    readonly file: File,
    readonly options: Library.UploadOptions,
  ) {
    Tus.all.push(this);
  }
  start(): void {
    this.starts += 1;
    this.aborted = false;
  }
  abort(): Promise<void> {
    this.aborted = true;
    return Promise.resolve();
  }
  /** The upload is made, or found. */
  made(url = '/api/v1/uploads/7'): void {
    this.url = url;
    this.options.onUploadUrlAvailable?.();
  }
  breaks(answer: { status: number; error: string } | null = null): void {
    const response = answer && { getStatus: () => answer.status, getBody: () => JSON.stringify({ error: answer.error }) };
    this.options.onError?.(Object.assign(new Error(), { originalResponse: response }));
  }
}

let load: () => Promise<typeof Library>;
let loaded: () => void;
const told = { known: vi.fn(), progress: vi.fn(), retrying: vi.fn(), received: vi.fn(), failed: vi.fn() } satisfies Told;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const the = (): Tus => {
  expect(Tus.all.length, 'there is one upload of a file').toBe(1);
  return Tus.all[0] as Tus;
};

beforeEach(() => {
  vi.clearAllMocks();
  Tus.all = [];
  Tus.ended = [];
  Tus.answer = 204;
  const library = new Promise<void>((resolve) => (loaded = resolve));
  load = () => library.then(() => ({ Upload: Tus }) as unknown as typeof Library);
});

function sender(id = ''): Sender {
  return new Sender({ file: new File(['film'], 'a.mp4'), channel: 'ada', fingerprint: '4-5-ab', id }, told, load);
}

test('paused and resumed in haste, it is begun once', async () => {
  const one = sender();
  one.go();
  one.rest();
  one.go();
  one.rest();
  one.go();
  loaded();
  await turn();
  expect(the().starts).toBe(1);
  one.rest();
  one.go();
  expect([the().starts, the().aborted], 'the server makes it at this moment').toEqual([1, false]);
  the().made();
  expect(the().aborted).toBe(false);
  expect(the().options.metadata).toEqual({ filename: 'a.mp4', channel: 'ada', fingerprint: '4-5-ab' });
});

test('paused while the server makes it, it stops once it is made, and goes on there', async () => {
  const one = sender();
  loaded();
  one.go();
  await turn();
  one.rest();
  expect(the().aborted).toBe(false);
  the().made();
  expect(the().aborted).toBe(true);
  one.go();
  await turn();
  expect([the().starts, the().aborted]).toEqual([2, false]);
  expect(told.known).toHaveBeenCalledWith('7', '');
});

test('cancelled before it is begun, it is never begun', async () => {
  const one = sender();
  one.go();
  const ended = one.end();
  loaded();
  await ended;
  expect([the().starts, Tus.ended]).toEqual([0, []]);
});

test('cancelled while the server makes it, it is ended once its address is known', async () => {
  const one = sender();
  loaded();
  one.go();
  await turn();
  let over = false;
  const ended = one.end().then(() => (over = true));
  await turn();
  expect([over, Tus.ended]).toEqual([false, []]);
  the().made('/api/v1/uploads/9');
  await ended;
  expect([the().aborted, Tus.ended]).toEqual([true, ['/api/v1/uploads/9']]);
});

test('cancelled while the server makes it, and refused there, nothing is left to end', async () => {
  const one = sender();
  loaded();
  one.go();
  await turn();
  const ended = one.end();
  the().breaks();
  await ended;
  expect(Tus.ended).toEqual([]);
  expect(told.failed).not.toHaveBeenCalled();
});

test('what is there from before goes on, or is ended, by its id', async () => {
  const one = sender('3');
  loaded();
  one.go();
  await turn();
  expect(the().options.uploadUrl).toBe('/api/v1/uploads/3');
  the().made('/api/v1/uploads/3');
  await one.end();
  expect(Tus.ended).toEqual(['/api/v1/uploads/3']);
});

test.for([[204, true], [404, true], [409, false]] as const)('cancelled with the answer %i, that it is gone is %s', async ([answer, gone]) => {
  Tus.answer = answer;
  loaded();
  expect(await giveUp('3', load)).toBe(gone);
});

test('a broken line is tried again by itself, unless it is paused meanwhile', async () => {
  vi.useFakeTimers();
  try {
    const one = sender();
    loaded();
    one.go();
    await vi.advanceTimersByTimeAsync(0);
    the().breaks();
    expect(told.retrying).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(the().starts).toBe(2);
    the().breaks({ status: 502, error: '' });
    one.rest();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(the().starts).toBe(2);
    one.go();
    await vi.advanceTimersByTimeAsync(0);
    expect(the().starts).toBe(3);
    expect(told.failed).not.toHaveBeenCalled();
  } finally {
    vi.useRealTimers();
  }
});

test('it gives up when nothing gets through, and begins to count anew when something does', async () => {
  vi.useFakeTimers();
  try {
    const one = sender();
    loaded();
    one.go();
    await vi.advanceTimersByTimeAsync(0);
    for (let tries = 0; tries < 8; tries += 1) {
      the().breaks();
      await vi.advanceTimersByTimeAsync(600_000);
    }
    the().made();
    the().options.onProgress?.(5, 10);
    for (let tries = 0; tries < 10; tries += 1) {
      the().breaks();
      await vi.advanceTimersByTimeAsync(600_000);
      the().options.onProgress?.(5, 10);
      the().options.onProgress?.(9, 10); // given to the line, and not heard of again
    }
    expect(told.failed).not.toHaveBeenCalled();
    the().breaks();
    expect(told.failed).toHaveBeenCalledWith(null);
  } finally {
    vi.useRealTimers();
  }
});

test('what the server refuses is not tried again', async () => {
  const one = sender();
  loaded();
  one.go();
  await turn();
  the().breaks({ status: 415, error: 'this is a text file, not a video' });
  expect(told.failed).toHaveBeenCalledWith({ words: 'upload_text', again: false });
  expect(told.retrying).not.toHaveBeenCalled();
});
