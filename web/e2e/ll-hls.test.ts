/** Low-Latency HLS in a real browser: near live without a stall for a minute, and plain HLS at the same address. */

import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { launch } from './browser.ts';
import { isPlaying, latency, Viewer, type Look } from './playback-viewer.ts';
import { Server, until } from './server.ts';

/** Most seconds behind live, by the player's own account and by the clock in the picture. */
const BEHIND = 1.5;

describe('Chromium', () => {
  let server: Server;
  let browser: Browser;

  beforeAll(async () => {
    server = await Server.start(['clock']);
    browser = await launch({ sound: true });
    await server.publish('clock');
    return async () => {
      await browser.close();
      await server.stop();
    };
  });

  /** Opens the channel's page, and writes down what of the stream is asked for. */
  async function open(transport: string): Promise<{ viewer: Viewer; asked: URL[] }> {
    const viewer = await Viewer.open(browser, 'about:blank');
    const asked: URL[] = [];
    viewer.page.on('request', (request) => {
      const url = new URL(request.url());
      if (/^\/live\/clock(\.m3u8|\/)/.test(url.pathname)) asked.push(url);
    });
    await viewer.page.addInitScript(countWaits);
    await viewer.page.goto(`${server.origin}/@clock?transport=${transport}`);
    await viewer.plays(30_000);
    return { viewer, asked };
  }

  test('plays by parts, near live and without a stall for a minute', { timeout: 180_000 }, async () => {
    const { viewer, asked } = await open('ll-hls');
    // Where the machine is too busy for the publisher or the browser to keep time, a later minute will do, or another viewer:
    // whoever fell behind takes a minute to come near again.
    const looks: (Look & { waits: number })[] = [];
    const minute = await until('a minute near live without a stall', 120_000, async () => {
      await viewer.page.waitForTimeout(400);
      looks.push({ ...(await viewer.look()), waits: await countedWaits(viewer) });
      while (looks[0]?.waits !== looks.at(-1)?.waits || looks.some((look) => !isPlaying(look))) looks.shift();
      while ((looks.at(-1)?.at ?? 0) - (looks[1]?.at ?? Infinity) >= 60_000) looks.shift();
      const [first, last] = [looks[0], looks.at(-1)];
      if (!first || !last || last.at - first.at < 60_000) return null;
      const shown = median(looks.map((look) => look.behind ?? Infinity));
      const seen = median(looks.map(latency));
      const near = shown <= BEHIND && seen <= BEHIND;
      return near ? { media: last.time - first.time, wall: (last.at - first.at) / 1000, shown, seen } : null;
    });
    expect(minute.media, 'seconds of media').toBeGreaterThan(minute.wall - 1);
    // What the page says is how late the picture is.
    expect(Math.abs(minute.shown - minute.seen)).toBeLessThan(0.75);
    expect(new Set(looks.map(({ transport }) => transport))).toEqual(new Set(['ll-hls']));
    expect(asked.some((url) => url.searchParams.has('_HLS_part')), 'lists are waited for').toBe(true);
    expect(asked.some(isPart), 'parts are asked for').toBe(true);
    expect(viewer.complaints).toEqual([]);
    await viewer.close();
  });

  test('plays the same address as plain HLS', async () => {
    const { viewer, asked } = await open('hls');
    await viewer.runs(6, 9, 30_000);
    expect(asked[0]?.pathname).toBe('/live/clock.m3u8');
    expect(asked.filter(isPart).map(String), 'whole segments alone').toEqual([]);
    expect(asked.some((url) => url.pathname.endsWith('.m4s'))).toBe(true);
    expect(viewer.complaints).toEqual([]);
    await viewer.close();
  });
});

/** A part of a segment: `{segment}.{part}.m4s`. */
function isPart(url: URL): boolean {
  return /\.\d+\.m4s$/.test(url.pathname);
}

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

function countedWaits(viewer: Viewer): Promise<number> {
  return viewer.page.evaluate(() => (window as unknown as { waits_: number }).waits_);
}

/** Runs in the page before its own scripts: counts how often the picture waits for data. */
function countWaits(): void {
  const page = window as unknown as { waits_: number };
  page.waits_ = 0;
  const count = ({ target }: Event): void => {
    if (target instanceof HTMLVideoElement) page.waits_ += 1;
  };
  addEventListener('waiting', count, { capture: true });
}
