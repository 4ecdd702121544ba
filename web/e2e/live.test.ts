/** Pages that show what is on air, while it changes: nothing is loaded anew. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { launch, SCREENS } from './browser.ts';
import { Server, until } from './server.ts';

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start(['kitchen']), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** A page that would notice being loaded again. */
async function visitor(path: string): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en' });
  const page = await context.newPage();
  await page.goto(server.origin + path);
  await page.evaluate(() => (document.documentElement.dataset.loaded = 'once'));
  return page;
}

/** Somebody who watches; gone when the returned function is called. */
async function watch(name: string): Promise<() => void> {
  const leave = new AbortController();
  const response = await fetch(`${server.origin}/live/${name}.flv`, { signal: leave.signal });
  void response.body?.pipeTo(new WritableStream(), { signal: leave.signal }).catch(() => undefined);
  return () => {
    leave.abort();
  };
}

test('a stream comes, is watched, and goes, on pages that are open', async () => {
  const [home, channel] = await Promise.all([visitor('/'), visitor('/@kitchen')]);
  const asked: string[] = [];
  home.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await home.locator('[data-when="empty"]').waitFor();

  const publisher = await server.publish('kitchen');
  const card = home.locator('[data-stream="live/kitchen"]');
  await card.waitFor();
  expect(await card.getByRole('link').getAttribute('href')).toBe('/@kitchen');
  expect(await home.locator('[data-when="empty"]').isVisible()).toBe(false);
  await channel.locator('[data-channel-meta]').waitFor();
  await channel.locator('[data-player][data-state="playing"]').waitFor({ timeout: 20_000 });

  // The page of the channel watches as well.
  const viewers = card.locator('[data-field="viewers"]');
  await until('one watches', 20_000, async () => (await viewers.textContent())?.startsWith('1 '));
  const leave = await watch('kitchen');
  await until('two watch', 20_000, async () => (await viewers.textContent())?.startsWith('2 '));
  await until('the channel says so', 20_000, async () => {
    return (await channel.locator('[data-channel-meta] [data-field="viewers"]').textContent())?.startsWith('2 ');
  });
  leave();
  await until('one has left', 20_000, async () => (await viewers.textContent())?.startsWith('1 '));

  await publisher.finish();
  await card.waitFor({ state: 'detached' });
  await home.locator('[data-when="empty"]').waitFor();
  await channel.locator('[data-channel-offline]').waitFor();
  for (const page of [home, channel]) {
    expect(await page.evaluate(() => document.documentElement.dataset.loaded)).toBe('once');
  }
  expect(asked.filter((path) => path.startsWith('/api/') && path !== '/api/v1/events')).toEqual([]);
});
