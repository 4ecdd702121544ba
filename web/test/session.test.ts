import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { LiveStream } from '../src/lib/api';
import { Session, type EngineEvents, type Snapshot } from '../src/player/session';
import type { Capabilities, Transport } from '../src/player/transport';

const EVERYTHING: Capabilities = {
  plays: () => true,
  webSocket: true,
  streamingFetch: true,
  nativeHls: false,
  playsPlain: () => true,
  apple: false,
};

const LIVE: LiveStream = {
  app: 'live',
  name: 'movie',
  state: 'live',
  started_at: '2026-01-01T00:00:00Z',
  viewers: 1,
  title: null,
  category: null,
  language: null,
  avatar_url: null,
  video: { codec: 'avc1.64001f', width: 1280, height: 720, frame_rate: 30 },
  audio: null,
  urls: { page: '/@movie', thumbnail: '/live/movie.jpg', flv: '/live/movie.flv', hls: '/live/movie.m3u8' },
};

/** A stream, a browser and a viewer that the test moves by hand. */
class Stage {
  /** What the server answers; `Error` where it cannot be reached. */
  server: LiveStream | null | Error = LIVE;
  opened: { transport: Transport; events: EngineEvents; destroyed: boolean }[] = [];
  readonly session: Session;
  #time = 0;

  constructor(can = EVERYTHING, wanted: Transport | null = null) {
    this.session = new Session(
      {
        find: () => (this.server instanceof Error ? Promise.reject(this.server) : Promise.resolve(this.server)),
        open: (transport, _, events) => {
          const opened = { transport, events, destroyed: false };
          this.opened.push(opened);
          return { destroy: () => (opened.destroyed = true) };
        },
        changed: () => undefined,
        random: () => 0.5,
      },
      can,
      wanted,
    );
  }

  get state(): Snapshot {
    return this.session.snapshot;
  }

  get engine() {
    const engine = this.opened.at(-1);
    if (!engine) throw new Error('no engine was opened');
    return engine;
  }

  get openCount(): number {
    return this.opened.filter((engine) => !engine.destroyed).length;
  }

  /** Time passes while the picture moves, stands, or is paused. */
  async pass(seconds: number, picture: 'moves' | 'stands' | 'paused' = 'stands'): Promise<void> {
    for (let quarter = 0; quarter < seconds * 4; quarter += 1) {
      if (picture === 'moves') this.#time += 0.25;
      this.session.progress({ time: this.#time, paused: picture === 'paused' });
      await vi.advanceTimersByTimeAsync(250);
    }
  }
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('Session', () => {
  test('plays by the quickest way when the stream is on air', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    expect(stage.state).toMatchObject({ state: 'connecting', transport: 'ws-flv' });
    await stage.pass(1, 'moves');
    expect(stage.state).toMatchObject({ state: 'playing', transport: 'ws-flv', reason: null });
  });

  test('falls back at once when a way fails before the first picture', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    stage.engine.events.failed('network');
    await stage.pass(0.25);
    expect(stage.state.transport).toBe('http-flv');
    expect(stage.openCount).toBe(1);
  });

  test('falls back when a way stays silent, with more patience for HLS', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(9);
    expect(stage.state.transport).toBe('http-flv');
    await stage.pass(10);
    expect(stage.state.transport).toBe('ll-hls');
    await stage.pass(12);
    expect(stage.openCount).toBe(1);
  });

  test('a paused player is not a silent one', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(30, 'paused');
    expect(stage.opened).toHaveLength(1);
    expect(stage.state.state, 'it waits for the viewer alone').toBe('playing');
  });

  test('says so when every way failed twice, and tries again by itself', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    for (let i = 0; i < 8; i += 1) {
      stage.engine.events.failed('network');
      await stage.pass(i < 7 ? 11 : 0.25);
    }
    expect(stage.state).toMatchObject({ state: 'error', reason: 'transport' });
    expect(stage.state.retryAt).toBeGreaterThan(Date.now());
    const before = stage.opened.length;
    await stage.pass(30);
    expect(stage.opened.length).toBeGreaterThan(before);
  });

  test('names the codec that the browser lacks', () => {
    const stage = new Stage({ ...EVERYTHING, plays: () => false });
    stage.session.start(LIVE);
    expect(stage.state).toMatchObject({ state: 'error', reason: 'codec', codec: 'avc1.64001f' });
    expect(stage.opened).toHaveLength(0);
  });

  test('keeps to the way that was asked for', async () => {
    const stage = new Stage(EVERYTHING, 'http-flv');
    stage.session.start(LIVE);
    stage.engine.events.failed('network');
    await stage.pass(2);
    expect(stage.opened.map((engine) => engine.transport)).toEqual(['http-flv', 'http-flv']);
  });

  test('reconnects in the same way after a break, without a pause the first time', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(1, 'moves');
    stage.engine.events.failed('network');
    await stage.pass(0.25);
    expect(stage.state).toMatchObject({ state: 'reconnecting', transport: 'ws-flv', reason: 'connection' });
    expect(stage.opened).toHaveLength(2);
    await stage.pass(1, 'moves');
    expect(stage.state.state).toBe('playing');
  });

  test('waits longer after each further break, and forgives after a steady while', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(1, 'moves');
    stage.engine.events.failed('network');
    await stage.pass(1, 'moves');
    stage.engine.events.failed('network');
    await vi.advanceTimersByTimeAsync(0);
    expect(stage.state.retryAt).toBe(Date.now() + 1000);
    await stage.pass(14, 'moves');
    stage.engine.events.failed('network');
    await vi.advanceTimersByTimeAsync(0);
    expect(stage.state.retryAt).toBeNull();
  });

  test('a stream that ends is offline, and comes alive by itself', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(1, 'moves');
    stage.server = null;
    stage.engine.events.ended();
    await stage.pass(5);
    expect(stage.state).toMatchObject({ state: 'offline', transport: null });
    expect(stage.state.endedAt).not.toBeNull();
    expect(stage.openCount).toBe(0);
    stage.server = LIVE;
    await stage.pass(3);
    expect(stage.state.transport).toBe('ws-flv');
    await stage.pass(1, 'moves');
    expect(stage.state).toMatchObject({ state: 'playing', endedAt: null });
  });

  test('a page that was opened too early waits, and asks at once when its tab is seen again', async () => {
    const stage = new Stage();
    stage.server = null;
    stage.session.start(null);
    expect(stage.state).toMatchObject({ state: 'offline', endedAt: null });
    await stage.pass(400);
    stage.server = LIVE;
    stage.session.visible();
    await stage.pass(0.25);
    expect(stage.state.state).toBe('connecting');
  });

  test('keeps its connection while the publisher is away for a moment', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(1, 'moves');
    stage.server = { ...LIVE, state: 'reconnecting' };
    await stage.pass(12, 'stands');
    expect(stage.state).toMatchObject({ state: 'reconnecting', reason: 'publisher' });
    expect(stage.opened).toHaveLength(1);
    expect(stage.engine.destroyed).toBe(false);
    await stage.pass(0.5, 'moves');
    expect(stage.state).toMatchObject({ state: 'playing', reason: null });
  });

  test('connects anew when the publisher is back but this connection stays silent', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(1, 'moves');
    stage.server = { ...LIVE, state: 'reconnecting' };
    await stage.pass(5, 'stands');
    stage.server = LIVE;
    await stage.pass(14, 'stands');
    expect(stage.opened).toHaveLength(2);
  });

  test('connects when a publisher who was away on arrival comes back', async () => {
    const stage = new Stage();
    stage.server = { ...LIVE, state: 'reconnecting' };
    stage.session.start(stage.server);
    expect(stage.state).toMatchObject({ state: 'reconnecting', reason: 'publisher', retryAt: null });
    await stage.pass(4);
    expect(stage.opened).toHaveLength(0);
    stage.server = LIVE;
    await stage.pass(2);
    expect(stage.opened).toHaveLength(1);
  });

  test('outlasts a server that cannot be reached', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(1, 'moves');
    stage.server = new Error('down');
    stage.engine.events.failed('network');
    await stage.pass(60);
    expect(stage.state).toMatchObject({ state: 'reconnecting', reason: 'connection' });
    expect(stage.openCount).toBe(0);
    stage.server = LIVE;
    await stage.pass(11);
    expect(stage.state.transport).toBe('ws-flv');
    expect(stage.openCount).toBe(1);
  });

  test('what an old engine says no longer counts', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    const old = stage.engine;
    old.events.failed('network');
    await stage.pass(0.25);
    old.events.failed('network');
    old.events.ended();
    await stage.pass(0.25);
    expect(stage.opened).toHaveLength(2);
  });

  test('a suspended session does nothing until it is resumed', async () => {
    const stage = new Stage();
    stage.session.start(LIVE);
    await stage.pass(1, 'moves');
    stage.session.suspend();
    await stage.pass(120, 'paused');
    expect(stage.openCount).toBe(0);
    stage.session.resume();
    await stage.pass(0.25);
    expect(stage.openCount).toBe(1);
  });
});
