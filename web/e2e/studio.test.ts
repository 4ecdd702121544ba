/** From an account to a broadcast, and who may watch it. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible, axe } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { Elsewhere } from './elsewhere.ts';
import { type Publisher, Server, until } from './server.ts';

let server: Server;
let browser: Browser;
let creator: Page;
let publisher: Publisher;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start([]), launch({ sound: true })]);
  creator = await visitor(await server.setupPath());
  await creator.getByLabel('Name', { exact: true }).fill('ada');
  await creator.getByLabel('Password').fill('a long sentence of mine');
  await creator.getByRole('button', { name: 'Set up this site' }).click();
  await creator.waitForURL('**/admin**');
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

async function visitor(path: string): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true });
  const page = await context.newPage();
  await page.goto(server.origin + path);
  return page;
}

/** The key that the studio shows. */
async function key(): Promise<string> {
  return (await creator.locator('[data-secret]').first().textContent()) ?? '';
}

async function plays(page: Page): Promise<void> {
  const video = page.locator('[data-player] video');
  await until('it plays', 20_000, () => video.evaluate((v: HTMLVideoElement) => v.currentTime > 0.5).catch(() => false));
}

test('a creator makes a channel, publishes with its key, and another browser watches', async () => {
  await creator.goto(`${server.origin}/studio`);
  await creator.getByText('You have no channel yet').waitFor();
  await accessible(creator);
  await creator.getByLabel('Title').fill('Night market 夜市');
  await creator.getByLabel('Address').fill('night-market');
  await creator.getByRole('button', { name: 'Create channel' }).click();
  await creator.waitForURL('**/studio/night-market');
  await creator.getByText('Nothing arrives yet').waitFor();
  const secret = creator.locator('[data-secret]').first();
  expect(await secret.getAttribute('data-secret')).toBe('hidden');
  await creator.getByLabel('Show the key').click();
  expect(await secret.getAttribute('data-secret')).toBe('shown');
  await accessible(creator);

  const viewer = await visitor('/');
  const below = viewer.locator('[data-channel="live/night-market"]');
  await below.waitFor();
  publisher = server.publishWith(await key(), { gop: 6 });
  await creator.locator('[data-health]').waitFor();
  await creator.getByText('A keyframe comes every 6 s').waitFor({ timeout: 30_000 });
  await plays(creator);
  await accessible(creator);
  await viewer.locator('[data-stream="live/night-market"]').waitFor();
  expect(await below.isVisible(), 'it is listed once').toBe(false);
  await viewer.getByRole('link', { name: 'Night market 夜市' }).first().click();
  await viewer.waitForURL('**/@night-market');
  await plays(viewer);

  // Reading about the channel disturbs nothing.
  const video = await viewer.locator('[data-player] video').elementHandle();
  const time = () => video?.evaluate((v) => (v.isConnected ? (v as HTMLVideoElement).currentTime : -1)) ?? -1;
  const before = await time();
  await viewer.getByRole('link', { name: 'About', exact: true }).first().click();
  await viewer.locator('#about').waitFor();
  await until('it plays on', 20_000, async () => (await time()) > before + 0.5);
}, 90_000);

test('a private stream is refused without right, and whoever watches is cut', async () => {
  const viewer = await visitor('/@night-market');
  await plays(viewer);
  await creator.goto(`${server.origin}/studio/night-market/settings`);
  await accessible(creator);
  await creator.getByLabel('Private').check();
  await creator.getByRole('button', { name: 'Save' }).click();
  await creator.getByText('Saved.').waitFor();
  for (const path of ['/live/night-market.flv', '/live/night-market.m3u8', '/live/night-market.jpg']) {
    expect((await fetch(server.origin + path)).status, path).toBe(403);
  }
  const refused = await viewer.goto(`${server.origin}/@night-market`);
  expect(refused?.status()).toBe(403);
  const owner = await creator.context().newPage();
  await owner.goto(`${server.origin}/@night-market`);
  await plays(owner);
  await owner.close();
}, 60_000);

test('a token opens the player of a private channel in a page of another site', async () => {
  const token = await creator.evaluate(async () => {
    const response = await fetch('/api/v1/channels/night-market/play-token', { method: 'POST' });
    return ((await response.json()) as { token: string }).token;
  });
  const elsewhere = await Elsewhere.start();
  const page = await visitor('/about');
  const frame = page.frameLocator('iframe');
  await page.goto(elsewhere.framing(`${server.origin}/embed/@night-market`));
  await frame.getByRole('heading', { name: 'Not for everybody' }).waitFor();
  for (const transport of ['ws-flv', 'http-flv', 'll-hls', 'hls']) {
    await page.goto(elsewhere.framing(`${server.origin}/embed/@night-market?token=${token}&transport=${transport}`));
    await frame.locator(`[data-player][data-state="playing"][data-transport="${transport}"]`).waitFor({ timeout: 30_000 });
  }
  await page.context().close();
  elsewhere.stop();
}, 120_000);

test('a reset of the key cuts its publisher at once', async () => {
  await creator.goto(`${server.origin}/studio/night-market`);
  const old = await key();
  await creator.getByText('Reset…').first().click();
  await creator.getByRole('button', { name: 'Reset the key' }).click();
  await expect.poll(key, { timeout: 10_000 }).not.toBe(old);
  await publisher.over();
  const late = server.publishWith(old);
  await late.over(); // refused
  server.publishWith(await key());
  await creator.locator('[data-health]').waitFor({ timeout: 20_000 });
}, 60_000);

test('channels are found, and their pages are sound on a desktop and on a phone', async () => {
  await creator.goto(`${server.origin}/studio/night-market/settings`);
  await creator.getByLabel('By password').check();
  await creator.getByLabel('Password for viewers').fill('sesame');
  await creator.getByRole('button', { name: 'Save' }).click();
  await creator.getByText('Saved.').waitFor();
  const locked = await visitor('/@night-market');
  await accessible(locked);
  await locked.getByLabel('Password').fill('simsim');
  await locked.getByRole('button', { name: 'Watch' }).click();
  await locked.getByRole('alert').getByText('wrong').waitFor();
  await locked.getByLabel('Password').fill('sesame');
  await locked.getByRole('button', { name: 'Watch' }).click();
  await plays(locked);

  await creator.goto(`${server.origin}/studio/night-market/settings`);
  await creator.getByLabel('Public').check();
  await creator.getByLabel('Category').selectOption('travel');
  await creator.getByRole('button', { name: 'Save' }).click();
  await creator.getByText('Saved.').waitFor();
  const page = await visitor('/');
  await page.keyboard.press('/');
  await page.keyboard.type('夜市');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Night market 夜市' }).first().waitFor();
  const storageState = await creator.context().storageState();
  const paths = ['/search?q=nothing-at-all', '/browse/travel', '/@night-market', '/@night-market#about', '/studio', '/studio/comments', '/studio/night-market', '/settings'];
  for (const [screen, locale, colorScheme] of [
    ['desktop', 'zh-CN', 'dark'],
    ['phone', 'en', 'light'],
  ] as const) {
    const context = await browser.newContext({ ...SCREENS[screen], locale, colorScheme, bypassCSP: true, storageState });
    const look = await context.newPage();
    for (const path of paths) {
      await look.goto(server.origin + path);
      expect(await axe(look), `${path} ${screen}`).toEqual([]);
      const wider = await look.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(wider, `${path} ${screen} scrolls sideways`).toBeLessThanOrEqual(0);
    }
    await context.close();
  }
}, 120_000);
