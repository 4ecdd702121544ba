/**
 * Real pictures in a real browser: FFmpeg publishes to the real server, Chromium plays, and a clock in the picture says
 * that it is the right one and how late.
 */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import HLS from 'hls-parser';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { launch, SCREENS } from './browser.ts';
import { readBlocks, timeOf } from './playback-clock.ts';
import { Proxy, type FlvPolicy } from './playback-proxy.ts';
import { isPlaying, latency, Viewer } from './playback-viewer.ts';
import { Server, until } from './server.ts';

let server: Server;
let browser: Browser;

beforeAll(async () => {
  const streams = ['clock', 'radio', 'rare', 'restart'];
  [server, browser] = await Promise.all([
    Server.start(streams, '[publish]\ngrace = "12s"\n[thumbnails]\ninterval = "2s"\n'),
    launch(),
  ]);
  await server.publish('clock');
  // The segmenter starts with its first viewer; a list to begin in takes it a while.
  await segments('clock', 3);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Opens a page of the server. */
function open(path: string, options = {}): Promise<Viewer> {
  return Viewer.open(browser, server.origin + path, options);
}

/** Waits until the playlist of a stream has at least `count` segments, and gives it. */
function segments(name: string, count: number): Promise<string> {
  return until(`${count} segments of ${name}`, 30_000, async () => {
    const list = await (await fetch(`${server.origin}/live/${name}/ts.m3u8`)).text();
    return list.split('#EXTINF').length > count && list;
  });
}

/** Watches for three seconds of media, and checks that they took about as long and came in step with the picture. */
async function playsSteadily(viewer: Viewer, mostLate: number): Promise<void> {
  await viewer.plays();
  const [first, last] = await viewer.runs(3, 5);
  expect(last.size).toEqual([640, 360]);
  expect(last.soundBytes).toBeGreaterThan(first.soundBytes);
  expect(latency(last)).toBeGreaterThan(0);
  expect(latency(last)).toBeLessThan(mostLate);
  const shown = ((last.clock ?? 0) - (first.clock ?? 0)) / 1000;
  expect(Math.abs(shown - (last.time - first.time)), 'seconds in the picture against media time').toBeLessThan(0.5);
  expect(viewer.complaints).toEqual([]);
}

describe.concurrent('Chromium plays', () => {
  const late = { 'ws-flv': 5, 'http-flv': 5, hls: 20 };
  for (const transport of ['ws-flv', 'http-flv', 'hls'] as const) {
    for (const screen of ['desktop', 'phone'] as const) {
      test(`${transport} on a ${screen}`, async () => {
        const viewer = await open(`/@clock?transport=${transport}`, SCREENS[screen]);
        await playsSteadily(viewer, late[transport]);
        expect((await viewer.look()).transport).toBe(transport);
        await viewer.close();
      });
    }
  }

  test('sound alone', async () => {
    await server.publish('radio', { video: false });
    for (const transport of ['ws-flv', 'hls']) {
      const viewer = await open(`/@radio?transport=${transport}`);
      await viewer.sees('sound', 20_000, isPlaying);
      const [first, last] = await viewer.runs(3, 5);
      expect(last).toMatchObject({ transport, size: [0, 0], words: '' });
      expect(last.soundBytes).toBeGreaterThan(first.soundBytes);
      expect(await viewer.history()).not.toContainEqual(expect.stringContaining('error'));
      await viewer.close();
    }
  });

  test('from the middle of a long group of pictures', async () => {
    const gop = 10;
    await server.publish('rare', { gop });
    const onAir = Date.now();
    await until('three seconds have passed', 10_000, () => Promise.resolve(Date.now() > onAir + 3_000));
    const viewer = await open('/@rare');
    const look = await viewer.plays();
    expect(look.at - onAir, 'milliseconds: the next keyframe has not come').toBeLessThan(gop * 1_000);
    await viewer.sees('the picture near live', 10_000, (later) => latency(later) < 5);
    await viewer.close();
  });
});

describe.concurrent('the way of delivery', () => {
  test('is WS-FLV where nothing is in the way', async () => {
    const viewer = await open('/@clock');
    expect((await viewer.plays()).transport).toBe('ws-flv');
    expect((await viewer.history()).filter((line) => /http-flv|hls|error/.test(line))).toEqual([]);
    await viewer.close();
  });

  test.each<[chosen: string, flv: FlvPolicy, tried: RegExp]>([
    ['http-flv', 'passed', /ws-flv.*http-flv/],
    ['hls', 'refused', /ws-flv.*http-flv.*hls/],
    ['hls', 'held', /ws-flv.*http-flv.*hls/],
  ])('falls back to %s where WebSockets are refused and FLV is %s', async (chosen, flv, tried) => {
    const proxy = await Proxy.start(server.origin, flv);
    const viewer = await Viewer.open(browser, `${proxy.origin}/@clock`);
    await viewer.sees(`playing by ${chosen}`, 30_000, (look) => isPlaying(look) && look.transport === chosen);
    await viewer.plays();
    const history = (await viewer.history()).join('; ');
    expect(history).toMatch(tried);
    expect(history).toMatch(/Connecting…|Connection lost/);
    expect(history).not.toContain('error');
    expect(viewer.navigations).toBe(1);
    await viewer.close();
    proxy.stop();
  });
});

test('a publisher that drops, returns, ends and begins again', async () => {
  let publisher = await server.publish('restart');
  const viewers = await Promise.all(
    ['ws-flv', 'http-flv', 'hls'].map((transport) => open(`/@restart?transport=${transport}`)),
  );
  const all = (act: (viewer: Viewer) => Promise<unknown>): Promise<unknown> => Promise.all(viewers.map(act));
  const since = Date.now();
  const playsNew = (from: number) => (viewer: Viewer) =>
    viewer.sees('a picture drawn since', 30_000, (look) => isPlaying(look) && (look.clock ?? 0) > from);
  await all(playsNew(since));

  await publisher.kill();
  // By HLS there is more in reserve, and the break may pass unseen.
  for (const viewer of viewers.slice(0, 2)) {
    await viewer.sees('who is gone', 15_000, (look) => look.words.includes("The broadcaster's connection dropped"));
  }
  let restarted = Date.now();
  publisher = await server.publish('restart');
  await all(playsNew(restarted));

  // At once, and with a picture of another size.
  await publisher.kill();
  restarted = Date.now();
  publisher = await server.publish('restart', { size: [320, 180] });
  await all(playsNew(restarted));
  await all(async (viewer) => expect((await viewer.look()).size).toEqual([320, 180]));

  await publisher.finish();
  await all((viewer) => viewer.sees('offline', 40_000, (look) => look.state === 'offline'));
  await all(async (viewer) => expect((await viewer.look()).words).toContain('The stream has ended'));
  restarted = Date.now();
  await server.publish('restart');
  await all(playsNew(restarted));
  for (const viewer of viewers) {
    expect(viewer.navigations).toBe(1);
    expect(viewer.complaints).toEqual([]);
    await viewer.close();
  }
});
