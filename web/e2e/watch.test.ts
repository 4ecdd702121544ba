/** A video from its upload to the screen: it plays from its one file, then in other sizes. */

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { Elsewhere } from './elsewhere.ts';
import { FFMPEG, Server, until } from './server.ts';

interface Video {
  id: string;
  state: string;
  views: number;
  media: { renditions: string[]; storyboard_url: string | null };
}

let server: Server;
let browser: Browser;
/** The administrator's browser, whose cookie the API takes. */
let owner: Page;
let id: string;

beforeAll(async () => {
  const configuration = '[transcode]\nheights = "180"\n';
  [server, browser] = await Promise.all([Server.start([], configuration), launch({ sound: true })]);
  owner = await visitor(await server.setupPath());
  await owner.getByLabel('Name', { exact: true }).fill('ada');
  await owner.getByLabel('Password').fill('a long sentence of mine');
  await owner.getByRole('button', { name: 'Set up this site' }).click();
  await owner.waitForURL('**/admin**');
  await owner.goto(`${server.origin}/studio`);
  await owner.getByLabel('Title').fill('Night market 夜市');
  await owner.getByLabel('Address').fill('night-market');
  await owner.getByRole('button', { name: 'Create channel' }).click();
  await owner.waitForURL('**/studio/night-market');
  id = await upload('Lanterns over the river', '0:05 the boats\n0:20 the bridge\n\nhttps://example.org\nfour\nfive');
  await upload('The second one', '');
  const words = 'WEBVTT\n\n00:00.000 --> 00:30.000\nGood evening\n';
  const captions = await owner.request.put(`${server.origin}/api/v1/videos/${id}/captions/en`, { data: words });
  expect(captions.ok(), await captions.text()).toBe(true);
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Uploads half a minute of moving picture and sound; resolves once it can be watched. */
async function upload(title: string, description: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-clip-'));
  const path = join(directory, 'clip.mp4');
  const sources = ['-f', 'lavfi', '-i', 'mandelbrot=s=640x360:r=25', '-f', 'lavfi', '-i', 'sine=440:r=48000', '-t', '30'];
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-pix_fmt', 'yuv420p', '-c:a', 'aac'];
  await promisify(execFile)(FFMPEG, ['-v', 'error', ...sources, ...coding, path]);
  const file = { name: 'clip.mp4', mimeType: 'video/mp4', buffer: await readFile(path) };
  await rm(directory, { recursive: true });
  const multipart = { title, description, visibility: 'public', channel: 'night-market', file };
  const made = await owner.request.post(`${server.origin}/api/v1/videos`, { multipart });
  expect(made.status(), await made.text()).toBe(201);
  const { id } = (await made.json()) as Video;
  await until('it is ready', 60_000, async () => (await told(id)).state === 'ready');
  return id;
}

async function told(id: string): Promise<Video> {
  return (await owner.request.get(`${server.origin}/api/v1/videos/${id}`)).json() as Promise<Video>;
}

async function visitor(path: string, options = {}): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true, ...options });
  const page = await context.newPage();
  await page.goto(server.origin + path);
  return page;
}

function picture(page: Page): Locator {
  return page.locator('.player-video video');
}

function time(page: Page): Promise<number> {
  return picture(page).evaluate((video: HTMLVideoElement) => video.currentTime);
}

function is(page: Page, what: 'paused' | 'muted' | 'ended'): Promise<boolean> {
  return picture(page).evaluate((video: HTMLVideoElement, what) => video[what], what);
}

async function reaches(page: Page, at: number): Promise<void> {
  await until(`it plays to ${at}`, 30_000, async () => (await time(page).catch(() => 0)) > at);
}

test('it plays, jumps, and goes faster', async () => {
  const page = await visitor(`/w/${id}`);
  await reaches(page, 0.5);
  expect(await picture(page).evaluate((video: HTMLVideoElement) => video.videoWidth)).toBeGreaterThan(0);
  // By a time of the description, without leaving the page.
  await page.getByRole('link', { name: '0:20' }).first().click();
  await reaches(page, 20);
  expect(new URL(page.url()).search).toBe('');
  await page.locator('body').press('k');
  expect(await is(page, 'paused')).toBe(true);
  await page.locator('body').press('j');
  expect(await time(page)).toBeLessThan(15);
  await page.locator('body').press('5');
  await expect.poll(() => time(page)).toBeCloseTo(15, 0);
  const before = await time(page);
  await page.locator('body').press('.');
  await expect.poll(async () => (await time(page)) - before).toBeCloseTo(1 / 25, 2);
  await page.locator('body').press('m');
  expect(await is(page, 'muted')).toBe(true);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByText('1.5×').click();
  expect(await picture(page).evaluate((video: HTMLVideoElement) => video.playbackRate)).toBe(1.5);
  await page.keyboard.press('Escape');
  await page.locator('body').press('t');
  expect(await page.locator('body').getAttribute('data-theatre')).not.toBeNull();
  await page.context().close();
});

test('its link begins at a time, and where one left off it goes on', async () => {
  const page = await visitor(`/w/${id}?t=0:12`);
  await reaches(page, 12);
  expect(await time(page)).toBeLessThan(20);
  await page.locator('body').press('k');
  const left = await time(page);
  await page.getByText('Share', { exact: true }).click();
  // By the mouse: a press on words within a menu does not close it.
  await page.getByText(/^Start at 0:1\d$/).click();
  expect(await page.locator('[data-copy-text]').first().textContent()).toBe(`${server.origin}/w/${id}?t=${Math.floor(left)}`);
  await page.goto(`${server.origin}/about`);
  await page.goto(`${server.origin}/w/${id}`);
  await reaches(page, Math.floor(left) - 1);
  expect(await time(page)).toBeLessThan(left + 5);
  await page.context().close();
});

test('captions are shown when they are asked for', async () => {
  const page = await visitor(`/w/${id}`);
  await reaches(page, 0.5);
  const modes = () =>
    picture(page).evaluate((video: HTMLVideoElement) =>
      [...video.textTracks].filter((track) => track.kind === 'subtitles').map((track) => track.mode),
    );
  expect(await modes()).toEqual(['disabled']);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.locator('.player-video').getByText('English').click();
  expect(await modes()).toEqual(['showing']);
  await until('they are loaded', 10_000, () =>
    picture(page).evaluate((video: HTMLVideoElement) => [...video.textTracks].some((track) => (track.activeCues?.length ?? 0) > 0)),
  );
  await page.locator('.player-video').getByText('Off').click();
  expect(await modes()).toEqual(['disabled']);
  await page.context().close();
});

test('another size is chosen once it is there', async () => {
  await until('a smaller size and the pictures are made', 120_000, async () => {
    const { media } = await told(id);
    return media.renditions.includes('180') && media.storyboard_url;
  });
  const page = await visitor(`/w/${id}`);
  await reaches(page, 0.5);
  const size = (): Promise<number> => picture(page).evaluate((video: HTMLVideoElement) => video.videoHeight);
  await page.getByRole('button', { name: 'Settings' }).click();
  for (const height of [180, 360]) {
    await page.getByText(`${height}p`, { exact: true }).click();
    await until(`it is shown in ${height}p`, 30_000, async () => (await size()) === height);
    const at = await time(page);
    await reaches(page, at + 0.5);
  }
  await page.context().close();
}, 180_000);

test('a view is counted once some of it was played', async () => {
  const page = await visitor(`/w/${id}`);
  const counted = page.waitForResponse((answer) => answer.url().endsWith(`/videos/${id}/views`), { timeout: 30_000 });
  await reaches(page, 0.5);
  expect((await counted).status()).toBe(204);
  expect(await time(page)).toBeGreaterThan(9);
  await page.context().close();
});

test('at its end it can be seen again, or the next one', async () => {
  const page = await visitor(`/w/${id}?t=28`);
  await page.getByRole('link', { name: 'The second one' }).first().waitFor();
  await page.getByRole('button', { name: 'Play again' }).waitFor({ timeout: 30_000 });
  expect(await is(page, 'ended')).toBe(true);
  await page.getByRole('button', { name: 'Play again' }).click();
  await until('it begins anew', 10_000, async () => !(await is(page, 'ended')) && (await time(page)) < 10);
  await page.locator('body').press('End');
  await page.locator('.player-video a').click();
  await page.getByRole('heading', { name: 'The second one' }).waitFor();
  await page.context().close();
});

test('it plays in a page of another site', async () => {
  const elsewhere = await Elsewhere.start();
  const page = await visitor('/about');
  await page.goto(elsewhere.framing(`${server.origin}/embed/${id}`));
  const frame = page.frameLocator('iframe');
  await frame.getByRole('button', { name: 'Play', exact: true }).first().click();
  await frame.locator('.player[data-state="playing"]').waitFor({ timeout: 20_000 });
  await page.context().close();
  elsewhere.stop();
});

test('without JavaScript the browser plays the file', async () => {
  const page = await visitor(`/w/${id}`, { javaScriptEnabled: false });
  const video = page.locator('video[controls]');
  expect(await video.getAttribute('src')).toBe(`/videos/${id}`);
  expect(await page.getByRole('link', { name: '0:20' }).first().getAttribute('href')).toBe(`/w/${id}?t=20`);
  expect(await page.getByText('five').isVisible(), 'nothing is cut off').toBe(true);
  await page.context().close();
});

test('likes are counted, and strangers are led to log in', async () => {
  await owner.goto(`${server.origin}/w/${id}`);
  const button = owner.getByRole('button', { name: 'Like', exact: true }).first();
  await button.click();
  await expect.poll(() => button.getAttribute('aria-pressed')).toBe('true');
  expect(await button.textContent()).toContain('1');
  const page = await visitor(`/w/${id}`);
  await page.locator('.video-row').getByRole('link', { name: 'Like' }).click();
  await page.waitForURL(`**/login?next=/w/${id}`);
  await page.context().close();
});

test('the pages are sound at every width', async () => {
  for (const path of [`/w/${id}`, '/', '/@night-market?sort=views#videos']) {
    const page = await visitor(path);
    if (path.startsWith('/w/')) await reaches(page, 0.5);
    await accessible(page);
    await page.context().close();
  }
}, 120_000);

/** Folder for pictures to look at; none are made without it. */
const folder = process.env.SCREENSHOTS;

test.runIf(folder)('pictures of the pages', async () => {
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  for (const [name, screen, colorScheme, locale] of [
    ['light', 'desktop', 'light', 'en'],
    ['dark', 'phone', 'dark', 'en'],
    ['chinese', 'desktop', 'dark', 'zh-CN'],
    ['chinese-phone', 'phone', 'light', 'zh-CN'],
  ] as const) {
    const page = await visitor(`/w/${id}?t=12`, { ...SCREENS[screen], colorScheme, locale });
    await reaches(page, 12.5);
    await page.locator('body').press('k');
    await page.screenshot({ path: join(folder, `watch.${name}.png`), fullPage: true });
    await page.locator('.settings-button').click();
    await page.screenshot({ path: join(folder, `watch-settings.${name}.png`) });
    await page.keyboard.press('Escape');
    const line = await page.locator('media-time-range').boundingBox();
    if (line && screen === 'desktop') {
      await page.mouse.move(line.x + line.width / 2, line.y + line.height / 2);
      await page.waitForTimeout(700);
      await page.screenshot({ path: join(folder, `watch-preview.${name}.png`) });
    }
    await page.locator('body').press('End');
    await page.waitForTimeout(700);
    await page.screenshot({ path: join(folder, `watch-ended.${name}.png`) });
    for (const [other, path] of [['home', '/'], ['channel', '/@night-market#videos'], ['embed', `/embed/${id}`]] as const) {
      await page.goto(server.origin + path);
      await page.waitForTimeout(500);
      await page.screenshot({ path: join(folder, `${other}.${name}.png`), fullPage: true });
    }
    await page.context().close();
  }
}, 180_000);
