/** A video from its upload to the screen: it plays from its one file, then in other sizes. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { AAC, Creator, H264, visit } from './creator.ts';
import { Elsewhere } from './elsewhere.ts';
import { Server, until } from './server.ts';
import { jump, picture, reaches, shown, size, time } from './watching.ts';

let server: Server;
let browser: Browser;
let creator: Creator;
let id: string;
/** A video of six seconds. */
let short: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start([], '[transcode]\nheights = "144"\n'), launch({ sound: true })]);
  creator = await Creator.begin(server, browser);
  const path = await creator.clip('lanterns.mp4', 30, [...H264, ...AAC]);
  id = await creator.upload(path, 'Lanterns over the river', '0:05 the boats\n0:20 the bridge\n\nhttps://example.org\nfour\nfive');
  short = await creator.upload(await creator.copy(path, 'short.mp4', ['-t', '6']), 'The second one');
  const words = 'WEBVTT\n\n00:00.000 --> 00:30.000\nGood evening\n';
  const captions = await creator.page.request.put(`${server.origin}/api/v1/videos/${id}/captions/en`, { data: words });
  expect(captions.ok(), await captions.text()).toBe(true);
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  await creator?.end();
});

function visitor(path: string, options = {}): Promise<Page> {
  return visit(browser, server.origin + path, options);
}

function is(page: Page, what: 'paused' | 'muted' | 'ended'): Promise<boolean> {
  return picture(page).evaluate((video: HTMLVideoElement, what) => video[what], what);
}

test('its buttons speak the page\'s language, and what is shared is on the screen of a phone', async () => {
  const page = await visitor(`/w/${id}`, { ...SCREENS.phone, locale: 'zh-CN' });
  const words = (button: string): Promise<string | null> => page.locator(button).first().getAttribute('aria-label');
  await expect.poll(() => words('media-fullscreen-button')).toBe('全屏');
  expect(await words('media-play-button')).toMatch(/^(播放|暂停)$/);
  await page.locator('.video-row summary').first().click();
  const shared = await page.locator('.share').boundingBox();
  expect(shared?.x).toBeGreaterThanOrEqual(0);
  expect((shared?.x ?? 0) + (shared?.width ?? 0)).toBeLessThanOrEqual(SCREENS.phone.viewport.width);
  await page.context().close();
});

test('it plays, jumps, and goes faster', async () => {
  const page = await visitor(`/w/${id}`);
  await reaches(page, 0.5);
  expect(await shown(page), 'its pictures come').toBeGreaterThan(5);
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
  expect(await jump(page, 700)).toBe(700);
  expect(await jump(page, 333)).toBe(333);
  await page.locator('body').press('.');
  await expect.poll(() => shown(page)).toBe(334);
  await page.locator('body').press(',');
  await expect.poll(() => shown(page)).toBe(333);
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

test('who leaves before it comes finds it where it was left', async () => {
  const page = await visitor(`/w/${id}?t=0:12`);
  await reaches(page, 12);
  await page.goto(`${server.origin}/about`);
  await page.route('**/videos/**', () => undefined);
  // Its pictures do not come either.
  await page.goto(`${server.origin}/w/${id}`, { waitUntil: 'domcontentloaded' });
  await page.locator('.player-video .control-bar, .player-video media-control-bar').first().waitFor();
  await page.goto(`${server.origin}/about`);
  await page.unroute('**/videos/**');
  await page.goto(`${server.origin}/w/${id}`);
  await reaches(page, 0.5);
  expect(await time(page)).toBeGreaterThan(11);
  await page.context().close();
});

test('a pause ends the wait that is shown', async () => {
  const page = await visitor('/about');
  await page.route(/\/video\/\d+\.m4s/, (route) => (segment(route.request().url()) < 3 ? route.continue() : undefined));
  await page.goto(`${server.origin}/w/${id}`);
  await reaches(page, 0.5);
  const waits = page.locator('.player-video [role=status]');
  expect(await waits.count()).toBe(0);
  await page.locator('body').press('9');
  await waits.waitFor();
  await page.locator('body').press('k');
  await page.locator('.player-video .big-play').waitFor();
  expect(await waits.count()).toBe(0);
  await page.context().close();
});

test('where segments are refused its file goes on', async () => {
  const page = await visitor('/about');
  await page.addInitScript(() => {
     
    const append = SourceBuffer.prototype.appendBuffer;
    SourceBuffer.prototype.appendBuffer = function (data): void {
      if (this.buffered.length > 0 && this.buffered.end(this.buffered.length - 1) > 18) throw new Error('no more');
      append.call(this, data);
    };
  });
  await page.goto(`${server.origin}/w/${id}?t=0:12`);
  await until('the file is played', 60_000, () =>
    picture(page).evaluate((video: HTMLVideoElement, file) => video.currentSrc.endsWith(file), `/videos/${id}`),
  );
  await reaches(page, 12.5);
  expect(await time(page)).toBeLessThan(20);
  expect(await is(page, 'paused')).toBe(false);
  await page.context().close();
}, 90_000);

/** The number in the address of a segment. */
function segment(url: string): number {
  return Number(/(\d+)\.m4s/.exec(url)?.[1]);
}

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
    const { media } = await creator.told(id);
    return media.renditions.includes('144') && media.storyboard_url;
  });
  const page = await visitor(`/w/${id}`);
  await reaches(page, 0.5);
  await page.getByRole('button', { name: 'Settings' }).click();
  for (const height of [144, 180]) {
    await page.getByText(`${height}p`, { exact: true }).click();
    await until(`it is shown in ${height}p`, 30_000, async () => (await size(page))[1] === height);
    const at = await time(page);
    await reaches(page, at + 0.5);
  }
  await page.context().close();
}, 180_000);

test('a view is counted once some of it was played', async () => {
  const page = await visitor(`/w/${short}`);
  const counted = page.waitForResponse((answer) => answer.url().endsWith(`/videos/${short}/views`), { timeout: 30_000 });
  await reaches(page, 0.5);
  expect((await counted).status()).toBe(204);
  expect(await time(page)).toBeGreaterThan(2.5);
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

test('whoever points at the line of time sees what is there', async () => {
  const page = await visitor(`/w/${id}`);
  // They are made after the video can be watched.
  await until('small pictures', 60_000, async () => {
    await page.reload();
    return page.evaluate(() => document.querySelector('track[label="thumbnails"]') !== null);
  });
  await reaches(page, 0.5);
  const line = await page.locator('media-time-range').boundingBox();
  if (!line) throw new Error('there is no line of time');
  const seen: unknown[] = [];
  for (const share of [0.25, 0.75]) {
    await page.mouse.move(line.x + line.width * share, line.y + line.height / 2);
    const preview = page.locator('media-preview-thumbnail img').first();
    await expect.poll(() => preview.evaluate((image: HTMLImageElement) => image.isConnected && image.naturalWidth)).toBeGreaterThan(0);
    expect(await preview.getAttribute('src')).toContain(`/videos/${id}/storyboard/0.jpg`);
    const place = () => preview.evaluate((image: HTMLImageElement) => getComputedStyle(image).transform);
    await expect.poll(place).not.toBe(seen[0]);
    seen.push(await place());
  }
  await page.context().close();
});

test('likes are counted, and strangers are led to log in', async () => {
  await creator.page.goto(`${server.origin}/w/${id}`);
  const button = creator.page.getByRole('button', { name: 'Like', exact: true }).first();
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
