/** Publishers that break off, change their picture, or whose clock jumps: Chromium plays on, with no page loaded anew. */

import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { launch } from './browser.ts';
import { isPlaying, Viewer, type Look } from './playback-viewer.ts';
import { Server, type Programme } from './server.ts';

let server: Server;
let browser: Browser;

const TRANSPORTS = ['ws-flv', 'http-flv', 'hls'] as const;
/** What can go wrong, and how its publisher is started after it. */
const SYMPTOMS: Record<string, Programme> = {
  restart: {},
  size: { size: [320, 180] },
  jump: { clock: 7_200 },
};

beforeAll(async () => {
  server = await Server.start(Object.keys(SYMPTOMS), '[publish]\ngrace = "20s"\n');
  browser = await launch();
  return async () => {
    await browser.close();
    await server.stop();
  };
});

describe.each(Object.entries(SYMPTOMS))('%s', (name, after) => {
  test('within the grace time: the picture goes on by every transport', { timeout: 120_000 }, async () => {
    const first = await server.publish(name);
    const viewers = await Promise.all(
      TRANSPORTS.map((transport) => Viewer.open(browser, `${server.origin}/@${name}?transport=${transport}`)),
    );
    const each = (act: (viewer: Viewer) => Promise<unknown>) => Promise.all(viewers.map(act));
    await each((viewer) => viewer.plays(30_000));

    await first.kill();
    const since = Date.now();
    await server.publish(name, after);
    const isNew = (look: Look): boolean => isPlaying(look) && (look.clock ?? 0) > since;
    const begun = await Promise.all(viewers.map((viewer) => viewer.sees('a picture drawn since', 30_000, isNew)));
    await each((viewer) => viewer.runs(2, 5, 30_000));
    for (const [n, viewer] of viewers.entries()) {
      const look = await viewer.look();
      expect(isNew(look)).toBe(true);
      expect(look.size).toEqual(after.size ?? [640, 360]);
      expect(look.soundBytes).toBeGreaterThan(begun[n]?.soundBytes ?? Infinity);
      expect((await viewer.history()).filter((line) => /error|offline|broken/.test(line))).toEqual([]);
      expect(viewer.navigations).toBe(1);
      expect(viewer.complaints).toEqual([]);
      await viewer.close();
    }
  });
});
