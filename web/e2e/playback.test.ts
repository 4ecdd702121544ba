/**
 * Real pictures in a real browser: FFmpeg publishes to the real server, Chromium plays, and a clock in the picture says
 * that it is the right one and how late.
 */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import HLS from 'hls-parser';
import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { launch, SCREENS } from './browser.ts';
import { readBlocks, timeOf } from './playback-clock.ts';
import { Proxy, type FlvPolicy } from './playback-proxy.ts';
import { isPlaying, latency, Viewer } from './playback-viewer.ts';
import { Server, until } from './server.ts';

let server: Server;
let browser: Browser;

beforeAll(async () => {
  const streams = ['clock', 'radio', 'rare', 'restart'];
  server = await Server.start(streams, '[publish]\ngrace = "12s"\n[thumbnails]\ninterval = "2s"\n');
  browser = await launch();
  await Promise.all([server.publish('clock'), server.publish('radio', { video: false })]);
  // The segmenter starts with its first viewer; a list to begin in takes it a while.
  await segments('clock', 3);
  return async () => {
    await browser.close();
    await server.stop();
  };
});

/** Opens a page of the server. */
function open(path: string, options = {}): Promise<Viewer> {
  return Viewer.open(browser, server.origin + path, options);
}

/** Waits until the playlist of a stream has at least `count` segments, and gives it. */
function segments(name: string, count: number): Promise<string> {
  return until(`${count} segments of ${name}`, 30_000, async () => {
    const list = await (await fetch(`${server.origin}/live/${name}/ts.m3u8`)).text();
    return list.split('#EXTINF').length > count ? list : null;
  });
}

/** Watches for three seconds of media, and checks that the picture moved on, and how late it was. */
async function playsSteadily(viewer: Viewer, transport: string, mostLate: number): Promise<void> {
  await viewer.plays();
  const [first, last] = await viewer.runs(3, 5);
  expect(last.transport).toBe(transport);
  expect(last.size).toEqual([640, 360]);
  expect(last.soundBytes).toBeGreaterThan(first.soundBytes);
  expect(latency(last)).toBeGreaterThan(0);
  expect(latency(last)).toBeLessThan(mostLate);
  const shown = ((last.clock ?? 0) - (first.clock ?? 0)) / 1000;
  // FFmpeg draws the time of day at which it comes to draw: on a busy machine in bursts, so not to the second.
  expect(shown, 'seconds that passed in the picture').toBeGreaterThan(1);
  expect(viewer.complaints).toEqual([]);
}

describe.concurrent('Chromium plays', () => {
  const late = { 'ws-flv': 5, 'http-flv': 5, hls: 20 };
  for (const transport of ['ws-flv', 'http-flv', 'hls'] as const) {
    for (const screen of ['desktop', 'phone'] as const) {
      test(`${transport} on a ${screen}`, async () => {
        const viewer = await open(`/@clock?transport=${transport}`, SCREENS[screen]);
        await playsSteadily(viewer, transport, late[transport]);
        await viewer.close();
      });
    }
  }

  test.each(['ws-flv', 'hls'])('sound alone by %s', async (transport) => {
    const viewer = await open(`/@radio?transport=${transport}`);
    await viewer.sees('sound', 20_000, isPlaying);
    const [first, last] = await viewer.runs(3, 5);
    expect(last).toMatchObject({ transport, size: [0, 0], words: '' });
    expect(last.soundBytes).toBeGreaterThan(first.soundBytes);
    expect((await viewer.history()).join()).not.toContain('error');
    await viewer.close();
  });

  test('sound alone with its name, and shows how loud it is', async () => {
    const viewer = await open('/@radio');
    await viewer.sees('sound', 20_000, isPlaying);
    const player = viewer.page.locator('[data-player]');
    await player.getByText('Sound only').waitFor();
    await player.getByText('radio', { exact: true }).waitFor();
    // Unheard it is a row of dots; what is heard stands out above and below.
    const height = () => player.locator('canvas').evaluate(drawnHeight);
    expect(await height()).toBeLessThan(6);
    await viewer.page.getByRole('button', { name: 'Press for sound' }).click();
    await until('bars', 10_000, async () => (await height()) > 12);
    await viewer.page.keyboard.press('m');
    await until('dots', 10_000, async () => (await height()) < 6);
    await viewer.close();
  });

  test('from the middle of a long group of pictures', async () => {
    const gop = 20;
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
    ['ll-hls', 'refused', /ws-flv.*http-flv.*ll-hls/],
    ['ll-hls', 'held', /ws-flv.*http-flv.*ll-hls/],
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

test.concurrent('a publisher that drops, returns, ends and begins again', { timeout: 150_000 }, async () => {
  let publisher = await server.publish('restart');
  let since = 0;
  const flv = await Promise.all(['ws-flv', 'http-flv'].map((transport) => open(`/@restart?transport=${transport}`)));
  const all = [...flv, await open('/@restart?transport=hls')];
  const each = (viewers: Viewer[], act: (viewer: Viewer) => Promise<unknown>) => Promise.all(viewers.map(act));
  const seesNew = (within: number) => (viewer: Viewer) =>
    viewer.sees('a picture drawn since', within, (look) => isPlaying(look) && (look.clock ?? 0) > since);
  await each(all, seesNew(30_000));

  await publisher.kill();
  // By HLS there is more in reserve, and the break may pass unseen.
  await each(flv, (viewer) =>
    viewer.sees('who is gone', 15_000, (look) => look.words.includes("The broadcaster's connection dropped")),
  );
  since = Date.now();
  publisher = await server.publish('restart');
  await each(all, seesNew(30_000));

  // At once, and with a picture of another size: nothing stands still for longer than it is late.
  const late = await Promise.all(flv.map(async (viewer) => latency(await viewer.look())));
  await publisher.kill();
  since = Date.now();
  publisher = await server.publish('restart', { size: [320, 180] });
  await each(flv, seesNew((Math.max(...late) + 5) * 1_000));
  await each(all, seesNew(30_000));
  await each(all, async (viewer) => expect((await viewer.look()).size).toEqual([320, 180]));

  await publisher.finish();
  await each(all, (viewer) =>
    viewer.sees('the end', 40_000, ({ state, words }) => state === 'offline' && words.includes('The stream has ended')),
  );
  since = Date.now();
  await server.publish('restart');
  await each(all, seesNew(30_000));
  for (const viewer of all) {
    expect(viewer.navigations).toBe(1);
    expect(viewer.complaints).toEqual([]);
    await viewer.close();
  }
});

describe.concurrent('a viewer', () => {
  test('starts without sound where the browser asks for a press, and presses', async () => {
    const viewer = await open('/@clock');
    expect((await viewer.plays()).muted).toBe(true);
    const button = viewer.page.getByRole('button', { name: 'Press for sound' });
    await button.click();
    await viewer.sees('sound', 5_000, (look) => !look.muted && isPlaying(look));
    expect(await button.count()).toBe(0);
    await viewer.runs(2, 4);
    await viewer.close();
  });

  test('watches in a page of somebody else, by the embed page alone', async () => {
    const [embed, channel] = [`${server.origin}/embed/@clock`, `${server.origin}/@clock`];
    const elsewhere = createServer((_, response) => {
      const frames = [embed, channel].map((url) => `<iframe src="${url}" width="640" height="360"></iframe>`);
      response.setHeader('content-type', 'text/html').end(`<!doctype html><title>Elsewhere</title>${frames.join('')}`);
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const outer = await Viewer.open(browser, `http://localhost:${(elsewhere.address() as AddressInfo).port}/`);
    const frame = outer.page.frames().find((each) => each.url() === embed);
    if (!frame) throw new Error('the embed page is not framed');
    const viewer = outer.within(frame);
    await viewer.plays();
    await viewer.runs(2, 4);
    expect(outer.page.frames().map((each) => each.url())).not.toContain(channel);
    expect(await outer.page.frameLocator(`iframe[src="${channel}"]`).locator('[data-player]').count()).toBe(0);
    await outer.close();
    elsewhere.close();
  });

  test('who paused is behind, says so, and goes back to live by the button', async () => {
    const viewer = await open('/@clock');
    await viewer.plays();
    await viewer.page.mouse.move(600, 400);
    await viewer.page.keyboard.press('k');
    const paused = await viewer.sees('a pause', 5_000, (look) => look.state === 'paused');
    await viewer.sees('seven seconds later', 15_000, (look) => look.at - paused.at > 7_000);
    await viewer.page.keyboard.press('k');
    const late = await viewer.sees('how late it is', 10_000, (look) => {
      return isPlaying(look) && Math.abs((look.behind ?? 0) - latency(look)) < 1.5;
    });
    expect(latency(late)).toBeGreaterThan(6);
    const button = viewer.page.getByRole('button', { name: /^Live/ });
    expect(await button.innerText()).toMatch(/Live\s*−\d+ s/);
    await button.click();
    await viewer.sees('live', 10_000, (look) => isPlaying(look) && latency(look) < 3);
    expect(await button.innerText()).toBe('Live');
    await viewer.close();
  });

  test('whose picture was held up catches up by itself', async () => {
    const viewer = await open('/@clock');
    await viewer.plays();
    const before = await viewer.sees('live', 20_000, (look) => latency(look) < 2.5 && look.time > 3);
    // Too little for a jump: it plays a little faster until it has caught up.
    await viewer.page.evaluate(() => {
      const video = document.querySelector('video');
      if (video) video.currentTime -= 2;
    });
    await viewer.sees('a late picture', 5_000, (look) => latency(look) > latency(before) + 1.5);
    await viewer.sees('more speed', 5_000, (look) => look.rate > 1.02 && look.rate <= 1.1);
    await viewer.sees('live', 40_000, (look) => latency(look) < latency(before) + 0.7);
    await viewer.close();
  });
});

test.concurrent('home shows who is live, with a picture of now and the viewers', async () => {
  const viewer = await open('/@clock');
  await viewer.plays();
  const { page } = await Viewer.open(browser, server.origin);
  const card = page.locator('[data-stream="live/clock"]');
  await until('somebody watches', 25_000, async () =>
    /^[1-9]\d* watching/.test(await card.locator('[data-field="viewers"]').innerText()),
  );
  const image = card.locator('img');
  const blocks = await until('a thumbnail', 25_000, () => image.evaluate(readBlocks));
  const drawn = timeOf(blocks, Date.now());
  expect(drawn, `the clock in ${blocks.join()}`).not.toBeNull();
  expect(Date.now() - (drawn ?? 0)).toBeLessThan(30_000);
  expect(await card.locator('[data-uptime]').innerText()).toMatch(/\d/);
  await page.context().close();
  await viewer.close();
});

test.concurrent('hls-parser, strictly, reads both playlists', async () => {
  HLS.setOptions({ strictMode: true });
  const url = `${server.origin}/live/clock.m3u8`;
  const master = HLS.parse(await (await fetch(url)).text()) as HLS.types.MasterPlaylist;
  expect(master.isMasterPlaylist).toBe(true);
  const [variant] = master.variants;
  expect(variant).toMatchObject({ resolution: { width: 640, height: 360 }, frameRate: 25 });
  expect(variant?.codecs).toMatch(/^avc1\.[0-9a-f]{6},mp4a\.40\.2$/);
  const media = HLS.parse(await segments('clock', 3)) as HLS.types.MediaPlaylist;
  expect(media.isMasterPlaylist).toBe(false);
  expect(media.targetDuration).toBeGreaterThanOrEqual(2);
  // At every refresh hls.js walks an array of this length.
  expect(media.discontinuitySequenceBase ?? 0).toBeLessThan(100_000);
  for (const segment of media.segments) {
    expect(segment.duration).toBeLessThanOrEqual(media.targetDuration + 0.5);
    expect(segment.programDateTime).toBeInstanceOf(Date);
    const answer = await fetch(new URL(segment.uri, new URL(variant?.uri ?? '', url)));
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'video/mp2t']);
    await answer.body?.cancel();
  }
});

/** Height of what is drawn on a canvas, in pixels of the page. Runs in the page. */
function drawnHeight(canvas: SVGElement | HTMLElement): number {
  const { width, height } = canvas as HTMLCanvasElement;
  const data = (canvas as HTMLCanvasElement).getContext('2d')?.getImageData(0, 0, width, height).data ?? [];
  const rows = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => data[(y * width + x) * 4 + 3] ?? 0).some((alpha) => alpha > 0),
  );
  return (rows.lastIndexOf(true) - rows.indexOf(true) + 1) / devicePixelRatio;
}
