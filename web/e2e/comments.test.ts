/** The comments below a video, as the server renders them, in place of another page's content. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { Preview } from './preview.ts';

const SECTION = '/w/tidepool001/comments';
const OWNER = 'a'.repeat(43);
const folder = process.env.SCREENSHOTS;

let preview: Preview;
let browser: Browser;

beforeAll(async () => {
  [preview, browser] = await Promise.all([Preview.start(), launch()]);
});
afterAll(async () => {
  await browser.close();
  preview.stop();
});

async function open(session: string | null, options: object = {}): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true, ...options });
  if (session) await context.addCookies([{ name: 'session', value: session, url: preview.origin }]);
  const page = await context.newPage();
  await page.goto(`${preview.origin}/about`);
  await page.evaluate(async (address) => {
    const main = document.querySelector('main');
    if (main) main.innerHTML = `<div class="page"><h1>Low tide</h1>${await (await fetch(address)).text()}</div>`;
  }, SECTION);
  return page;
}

const threads = (page: Page) => page.locator('[data-threads] > li');

test('the section is accessible, and no wider than the screen', async () => {
  for (const session of [null, OWNER]) await accessible(await open(session));
});

test('one writes, edits, replies, likes and deletes without leaving the page', async () => {
  const page = await open(OWNER);
  await page.getByPlaceholder('Say something about this video').fill('Look at 0:42\nthere <i>it</i> is');
  await page.getByRole('button', { name: 'Comment', exact: true }).click();
  const mine = threads(page).filter({ hasText: 'there <i>it</i> is' });
  await mine.waitFor();
  await page.getByRole('status').filter({ hasText: 'Your comment is there.' }).waitFor({ state: 'attached' });
  expect(await threads(page).first().innerText()).toContain('there <i>it</i> is');
  await page.getByRole('heading', { name: '30 comments' }).waitFor();

  await mine.getByText('Edit', { exact: true }).click();
  const field = mine.getByRole('textbox', { name: 'Edit the comment' });
  expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
  await field.fill('Look at 0:43');
  await mine.getByRole('button', { name: 'Save' }).click();
  const edited = threads(page).filter({ hasText: 'Look at 0:43' });
  await edited.getByText('edited', { exact: true }).waitFor();

  await edited.locator('summary', { hasText: 'Reply' }).click();
  await edited.getByRole('textbox', { name: 'Reply to Ada' }).fill('an answer');
  await edited.getByRole('button', { name: 'Reply' }).click();
  await edited.locator('.comment-replies', { hasText: 'an answer' }).waitFor();

  await edited.getByRole('button', { name: 'Like; 0 do' }).first().click();
  const liked = edited.getByRole('button', { name: 'Like; 1 does' });
  await liked.waitFor();
  expect(await liked.getAttribute('aria-pressed')).toBe('true');
  expect(await liked.evaluate((element) => element === document.activeElement)).toBe(true);

  await edited.locator('.comment-replies').getByText('Delete', { exact: true }).click();
  await edited.getByRole('button', { name: 'Delete it' }).click();
  await edited.locator('.comment-replies').waitFor({ state: 'detached' });
  await edited.getByText('Delete', { exact: true }).click();
  await edited.getByRole('button', { name: 'Delete it' }).click();
  await edited.waitFor({ state: 'detached' });
  await page.getByRole('heading', { name: '29 comments' }).waitFor();
});

test('an order, further comments and further replies come without a new page', async () => {
  const page = await open(null);
  const first = threads(page).filter({ hasText: 'The anemone' });
  await first.getByText('More replies (5 in all)').click();
  await first.getByText('Reply 5').waitFor();
  expect(await first.locator('.comment-replies > li').count()).toBe(5);
  const before = await threads(page).count();
  await page.getByText('More comments').click();
  await expect.poll(() => threads(page).count()).toBeGreaterThan(before);
  await page.getByRole('link', { name: 'Oldest' }).click();
  await page.locator('[aria-current]', { hasText: 'Oldest' }).waitFor();
  expect(await threads(page).nth(1).innerText()).toContain('This comment was deleted.');
  expect(page.url()).toBe(`${preview.origin}/about`);
});

test('what waits is approved, and another comment is pinned', async () => {
  const page = await open(OWNER);
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.locator('.comments-held').waitFor({ state: 'detached' });
  const approved = threads(page).filter({ hasText: 'example.com/shells' });
  await approved.getByRole('button', { name: 'Pin', exact: true }).click();
  await threads(page).first().filter({ hasText: 'example.com/shells' }).waitFor();
  expect(await page.locator('.comment-pinned').count()).toBe(1);
});

test('a time jumps where there is a player', async () => {
  const page = await open(null);
  await page.evaluate(() => {
    document.querySelector('main')?.insertAdjacentHTML('afterbegin', '<div class="player"></div>');
    document.addEventListener('millrace:seek', (event) => (document.title = String((event as CustomEvent).detail)));
  });
  await page.getByText('1:02:03').click();
  expect(await page.title()).toBe('3723');
  expect(page.url()).toBe(`${preview.origin}/about`);
});

test.runIf(folder)('pictures of the section', { timeout: 120_000 }, async () => {
  for (const [screen, options] of Object.entries(SCREENS)) {
    for (const [colorScheme, locale, session] of [['light', 'en', null], ['dark', 'zh-CN', OWNER]] as const) {
      const page = await open(session, { ...options, colorScheme, locale });
      await page.screenshot({ path: `${folder}/comments.${screen}.${colorScheme}.png`, fullPage: true });
      await page.goto(`${preview.origin}/search?q=tide&duration=medium`);
      await page.screenshot({ path: `${folder}/results.${screen}.${colorScheme}.png`, fullPage: true });
    }
  }
});
