/**
 * What Enhanced RTMP brings, in a real browser: what it decodes plays, by every way that carries it; what it does not is
 * said in plain words.
 */

import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { launch } from './browser.ts';
import { isPlaying, Viewer } from './playback-viewer.ts';
import { Server, type Programme } from './server.ts';

const SMALL: Programme = { size: [320, 180] };
const OPUS = ['-c:a', 'libopus', '-b:a', '64k'];
const PROGRAMMES: Record<string, Programme> = {
  opus: { ...SMALL, audioCodec: OPUS },
  flac: { ...SMALL, audioCodec: ['-c:a', 'flac'] },
  vp9: {
    ...SMALL,
    videoCodec: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '300k', '-lag-in-frames', '0'],
    audioCodec: OPUS,
  },
  av1: { ...SMALL, videoCodec: ['-c:v', 'libsvtav1', '-preset', '12', '-svtav1-params', 'pred-struct=1'], audioCodec: OPUS },
  hevc: { ...SMALL, videoCodec: ['-c:v', 'libx265', '-preset', 'ultrafast', '-tune', 'zerolatency', '-x265-params', 'log-level=error'] },
  ac3: { ...SMALL, audioCodec: ['-c:a', 'ac3', '-b:a', '96k'] },
};

describe('Chromium', () => {
  let server: Server;
  let browser: Browser;

  beforeAll(async () => {
    server = await Server.start(Object.keys(PROGRAMMES));
    browser = await launch();
    return async () => {
      await browser.close();
      await server.stop();
    };
  });

  /** Plays `name` with the page's own choice of a way, or the one that `query` asks for. */
  async function onAir(name: string, query: string, act: (viewer: Viewer) => Promise<void>): Promise<void> {
    const publisher = await server.publish(name, PROGRAMMES[name]);
    const viewer = await Viewer.open(browser, `${server.origin}/@${name}${query}`);
    await act(viewer);
    await viewer.close();
    await publisher.finish();
  }

  test.each([
    ['opus', 'ws-flv'],
    ['opus', 'll-hls'],
    ['opus', 'hls'],
    ['flac', 'll-hls'],
    ['vp9', 'll-hls'],
    ['vp9', 'hls'],
    ['av1', 'll-hls'],
    ['av1', 'hls'],
  ])('plays %s by %s', { timeout: 90_000 }, async (name, transport) => {
    await onAir(name, `?transport=${transport}`, async (viewer) => {
      await viewer.plays(40_000);
      const [first, last] = await viewer.runs(3, 6, 40_000);
      expect(last).toMatchObject({ transport, size: [320, 180] });
      expect(last.soundBytes).toBeGreaterThan(first.soundBytes);
      expect(viewer.complaints).toEqual([]);
    });
  });

  test.each(['vp9', 'av1', 'flac'])('takes HLS at once for what the player does not take from FLV: %s', async (name) => {
    await onAir(name, '', async (viewer) => {
      expect((await viewer.plays(40_000)).transport).toBe('ll-hls');
      expect((await viewer.history()).join()).not.toMatch(/flv|error/);
    });
  });

  /** As in a browser without these decoders, whatever this one has. */
  async function without(viewer: Viewer, codecs: string): Promise<void> {
    await viewer.page.addInitScript((pattern) => {
      const plays = MediaSource.isTypeSupported.bind(MediaSource);
      MediaSource.isTypeSupported = (type) => !new RegExp(pattern).test(type) && plays(type);
    }, codecs);
  }

  test('refuses HEVC in words that help, and asks for no media', async () => {
    await onAir('hevc', '', async (viewer) => {
      await without(viewer, 'h(vc|ev)1');
      const media: string[] = [];
      viewer.page.on('request', (request) => {
        if (/^\/live\/hevc(\.flv|\.m3u8|\/)/.test(new URL(request.url()).pathname)) media.push(request.url());
      });
      await viewer.page.reload();
      const look = await viewer.sees('a refusal', 10_000, ({ state }) => state === 'error');
      expect(look.words).toContain('This browser cannot play HEVC. Try Safari or Edge.');
      expect(media).toEqual([]);
    });
  });

  test('shows the picture where only the sound cannot be played, and says so', async () => {
    await onAir('ac3', '', async (viewer) => {
      await without(viewer, 'ac-3');
      await viewer.page.reload();
      const look = await viewer.sees('a picture', 20_000, (seen) => isPlaying(seen) && seen.clock !== null);
      expect(look.transport).toBe('ws-flv');
      expect(look.words).toContain('No sound: this browser cannot play AC-3.');
      await viewer.runs(2, 4);
    });
  });
});
