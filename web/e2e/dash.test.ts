/** MPEG-DASH in a page of somebody else: the real server, a real publisher, and players that others made. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';

import type { Browser, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';

import { launch } from './browser.ts';
import { readBlocks, timeOf } from './playback-clock.ts';
import { FFMPEG, Server, until, type Publisher } from './server.ts';

let server: Server;
let browser: Browser;
let publisher: Publisher;
let elsewhere: string;

/** How each player is told to play `url` in `video`; its complaints go to `fail`. */
const PLAYERS = {
  'dash.js': {
    script: 'dashjs/dist/modern/umd/dash.all.min.js',
    start: `
      const player = dashjs.MediaPlayer().create();
      player.on('error', (e) => fail(JSON.stringify(e.error)));
      player.initialize(video, url, true);`,
  },
  shaka: {
    script: 'shaka-player/dist/shaka-player.compiled.js',
    start: `
      const player = new shaka.Player();
      player.addEventListener('error', (e) => fail(e.detail.code + ' ' + e.detail.data));
      player.attach(video).then(() => player.load(url)).catch((e) => fail(e.code + ' ' + e.data));`,
  },
};

beforeAll(async () => {
  server = await Server.start(['movie'], '[publish]\ngrace = "20s"\n');
  browser = await launch();
  publisher = await server.publish('movie');
  const pages = createServer((request, response) => {
    const player = new URL(request.url ?? '/', 'http://x').pathname.slice(1) as keyof typeof PLAYERS;
    if (!(player in PLAYERS)) return void response.writeHead(404).end();
    const script = readFileSync(new URL(`../node_modules/${PLAYERS[player].script}`, import.meta.url), 'utf8');
    const start = `const url = '${server.origin}/live/movie.mpd'; const video = document.querySelector('video');
      window.words = []; const fail = (text) => window.words.push(text);
      video.addEventListener('error', () => fail(video.error.message)); ${PLAYERS[player].start}`;
    response.setHeader('content-type', 'text/html').end(
      `<!doctype html><title>Elsewhere</title><video muted autoplay></video>
       <script>${script.replaceAll('</script', '<\\/script')}</script><script>${start}</script>`,
    );
  });
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  elsewhere = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  return async () => {
    pages.close();
    await browser.close();
    await server.stop();
  };
});

/** What one sees: the picture's clock, the player's time, and whether there is sound. */
async function look(page: Page) {
  const seen = await page.evaluate(
    `(() => { const video = document.querySelector('video'); return {
      blocks: (${readBlocks.toString()})(video), time: video.currentTime, ready: video.readyState,
      sound: video.webkitAudioDecodedByteCount, words: window.words }; })()`,
  );
  const { blocks, ...rest } = seen as { blocks: number[] | null; time: number; ready: number; sound: number; words: string[] };
  return { ...rest, clock: timeOf(blocks, Date.now()) };
}

async function plays(page: Page, since: { time: number; clock: number | null; sound: number }, seconds: number) {
  let last = await look(page);
  try {
    return await until(`${seconds} seconds of DASH`, 30_000, async () => {
      last = await look(page);
      const on = last.clock !== null && last.clock - (since.clock ?? 0) > seconds * 1000;
      return on && last.time > since.time && last.sound > since.sound ? last : null;
    });
  } catch (error) {
    throw new Error(`${JSON.stringify(last)} since ${JSON.stringify(since)}\n${server.log}`, { cause: error });
  }
}

test.each(Object.keys(PLAYERS))('%s plays, and goes on when the publisher has come back', async (player) => {
  const page = await browser.newPage();
  await page.goto(`${elsewhere}/${player}`);
  const first = await plays(page, { time: -1, clock: 0, sound: -1 }, 1);
  const later = await plays(page, first, 4);
  const late = (Date.now() - (later.clock ?? 0)) / 1000;
  expect(late).toBeGreaterThan(0);
  expect(late).toBeLessThan(15);

  await publisher.kill();
  const away = Date.now();
  publisher = await server.publish('movie');
  const mpd = await until('a second period', 20_000, async () => {
    const text = await (await fetch(`${server.origin}/live/movie.mpd`)).text();
    return text.split('<Period').length > 2 ? text : null;
  });
  expect(mpd).toContain('type="dynamic"');
  const before = await look(page);
  const back = await until('a picture that was drawn since', 40_000, async () => {
    const now = await look(page);
    return now.clock !== null && now.clock > away + 1500 ? now : null;
  });
  await plays(page, { ...back, sound: before.sound }, 3);
  expect(back.words).toEqual([]);
  await page.close();
});

test('FFmpeg plays both tracks as they come', async () => {
  const url = `${server.origin}/live/movie.mpd`;
  const args = ['-nostdin', '-v', 'error', '-i', url, '-t', '4', '-map', '0:v', '-map', '0:a', '-f', 'framecrc', '-'];
  const { stdout, stderr } = await promisify(execFile)(FFMPEG, args);
  expect(stderr).toBe('');
  const lines = stdout.split('\n').filter((line) => /^\d/.test(line));
  // 25 pictures a second, and 48,000 samples in frames of 1024.
  expect(lines.filter((line) => line.startsWith('0,')).length).toBeGreaterThan(90);
  expect(lines.filter((line) => line.startsWith('1,')).length).toBeGreaterThan(170);
});
