import { beforeEach, expect, test, vi } from 'vitest';

import { open, type Failure } from '../src/player/video/source';

/** The part of hls.js that is used, moved by the test. */
class FakeHls {
  static Events = {
    MANIFEST_LOADED: 'manifest-loaded',
    MANIFEST_PARSED: 'manifest-parsed',
    LEVEL_SWITCHED: 'level-switched',
    ERROR: 'error',
  };
  static ErrorTypes = { NETWORK_ERROR: 'networkError', MEDIA_ERROR: 'mediaError' };
  static ErrorDetails = { MANIFEST_INCOMPATIBLE_CODECS_ERROR: 'manifestIncompatibleCodecsError' };
  static opened: FakeHls[] = [];
  static isSupported = (): boolean => true;
  static getMediaSource = (): unknown => ({ isTypeSupported: (type: string) => /avc1|mpeg/.test(type) });
  recoveries = 0;
  #video: FakeVideo | undefined;
  #listeners = new Map<string, (event: string, data: unknown) => void>();

  constructor() {
    FakeHls.opened.push(this);
  }
  on(event: string, listener: (event: string, data: unknown) => void): void {
    this.#listeners.set(event, listener);
  }
  tell(event: string, data: unknown): void {
    this.#listeners.get(event)?.(event, data);
  }
  fail(details = 'bufferAppendError'): void {
    this.tell('error', { fatal: true, type: 'mediaError', details });
  }
  loadSource(): void {
    this.recoveries = 0;
  }
  attachMedia(video: FakeVideo): void {
    this.#video = video;
  }
  recoverMediaError(): void {
    this.recoveries += 1;
    this.#video?.begin();
  }
  destroy(): void {
    this.#video?.begin();
  }
}
vi.mock('hls.js', () => ({ default: FakeHls }));

/** A video that begins anew, and rests, with each source, as browsers do. */
class FakeVideo extends EventTarget {
  readyState = 0;
  currentTime = 0;
  paused = true;
  #src = '';

  get src(): string {
    return this.#src;
  }
  set src(src: string) {
    this.#src = src;
    this.begin();
  }
  begin(): void {
    [this.readyState, this.currentTime, this.paused] = [0, 0, true];
  }
  canPlayType(): string {
    return '';
  }
  async play(): Promise<void> {
    this.paused = false;
  }
  /** What is played now has come. */
  comes(): void {
    this.readyState = 4;
    this.dispatchEvent(new Event('loadedmetadata'));
  }
}

let video: FakeVideo;
let hls: FakeHls;
let failures: Failure[];

beforeEach(async () => {
  [video, failures, FakeHls.opened] = [new FakeVideo(), [], []];
  const nothing = (): void => undefined;
  const events = { levels: nothing, shown: nothing, lacks: nothing, failed: (why: Failure) => failures.push(why) };
  open(video as unknown as HTMLVideoElement, { hls: '/index.m3u8', file: '/file' }, events);
  hls = await vi.waitUntil(() => FakeHls.opened[0]);
});

/** It plays, and is there now. */
function plays(at: number): void {
  video.comes();
  [video.currentTime, video.paused] = [at, false];
}

test('the file goes on where the segments broke twice, and plays as they did', () => {
  plays(50);
  hls.fail();
  expect([hls.recoveries, video.src]).toEqual([1, '']);
  video.comes();
  expect([video.currentTime, video.paused]).toEqual([50, false]);
  hls.fail();
  expect([hls.recoveries, video.src]).toEqual([1, '/file']);
  video.comes();
  expect([video.currentTime, video.paused]).toEqual([50, false]);
});

test('the place outlasts two errors in a row', () => {
  plays(50);
  hls.fail();
  hls.fail();
  expect(video.src).toBe('/file');
  video.comes();
  expect([video.currentTime, video.paused]).toEqual([50, false]);
});

test('one that rested rests on', () => {
  plays(50);
  video.paused = true;
  hls.fail();
  hls.fail();
  video.comes();
  expect([video.currentTime, video.paused]).toEqual([50, true]);
});

test('an error far from the last is mended as that was', () => {
  plays(50);
  hls.fail();
  plays(61);
  hls.fail();
  expect([hls.recoveries, video.src]).toEqual([2, '']);
  plays(70);
  hls.fail();
  expect([hls.recoveries, video.src]).toEqual([2, '/file']);
});

test('the file plays at once where only its segments cannot', () => {
  video.paused = false;
  // Browsers that play MP3 by itself need not play it in MP4.
  hls.tell('manifest-loaded', { levels: [{ attrs: { CODECS: 'avc1.64001f,mp4a.40.34' } }] });
  hls.fail('manifestIncompatibleCodecsError');
  expect([hls.recoveries, video.src, failures]).toEqual([0, '/file', []]);
  video.comes();
  expect(video.paused).toBe(false);
});

test('where the browser lacks the codec, it is said', () => {
  hls.tell('manifest-loaded', { levels: [{ attrs: { CODECS: 'hvc1.1.6.L93.B0,mp4a.40.34' } }] });
  hls.fail('manifestIncompatibleCodecsError');
  expect([hls.recoveries, video.src, failures]).toEqual([0, '', ['codec']]);
});
