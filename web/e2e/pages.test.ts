/** Every page in a real browser: accessible, without errors, alive where it should be. */

import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { axe } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { Elsewhere } from './elsewhere.ts';
import { Preview, type Scene } from './preview.ts';

let preview: Preview;
let browser: Browser;

beforeAll(async () => {
  [preview, browser] = await Promise.all([Preview.start(), launch()]);
});
afterAll(async () => {
  await browser.close();
  preview.stop();
});

/** Opens a page, and hands over what the browser complained of. */
async function open(path: string, options: BrowserContextOptions = {}): Promise<{ page: Page; complaints: string[] }> {
  // The policy of the page forbids the checker's own script; nothing else is let through here.
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // A missing picture or stream is part of the made-up scenes, and so is a channel that is not for everybody.
    if (message.type() === 'error' && !/40[34]/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(preview.origin + path);
  return { page, complaints };
}

async function violations(page: Page): Promise<string[]> {
  const client = await page.context().newCDPSession(page);
  await client.send('Page.setBypassCSP', { enabled: true });
  await page.reload();
  return axe(page);
}

const PAGES: [scene: Scene, path: string][] = [
  ['full', '/'],
  ['empty', '/'],
  ['long', '/'],
  ['full', '/@kitchen'],
  ['one', '/@yesterday'],
  ['full', '/@yesterday#about'],
  ['full', '/@bees#about'],
  ['full', '/browse'],
  ['empty', '/browse/art'],
  ['full', '/search?q=night&sort=viewers'],
  ['empty', '/embed/@yesterday'],
  ['empty', '/embed/@locked'],
  ['empty', '/about'],
  ['empty', '/about/api'],
  ['empty', '/go-live'],
  ['empty', '/login'],
  ['empty', '/register?token=a-token'],
  ['empty', '/setup'],
  ['empty', '/nothing'],
  ['broken', '/'],
];

describe.each(PAGES)('%s %s', (scene, path) => {
  test.each([
    ['phone', 'light', 'en'],
    ['tablet', 'dark', 'en'],
    ['desktop', 'dark', 'zh-CN'],
    ['desktop', 'light', 'zh-CN'],
  ] as const)('is accessible and fits on a %s, %s, %s', async (screen, colorScheme, locale) => {
    await preview.show(scene);
    const { page, complaints } = await open(path, { ...SCREENS[screen], colorScheme, locale });
    const [content, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(content).toBeLessThanOrEqual(room ?? 0);
    expect(await violations(page)).toEqual([]);
    const expected = scene === 'broken' ? complaints.filter((text) => !text.includes('500')) : complaints;
    expect(expected).toEqual([]);
    await page.context().close();
  });
});

describe('home', () => {
  test('follows what is on air without losing the focus', async () => {
    await preview.show('one');
    const { page } = await open('/');
    const link = page.getByRole('link', { name: 'harbour' });
    await link.focus();
    await preview.show('full');
    await page.locator('[data-stream="live/kitchen"]').waitFor({ timeout: 15_000 });
    expect(await page.locator('[data-stream]').count()).toBe(10);
    expect(await link.evaluate((element) => element === document.activeElement)).toBe(true);
    expect(await page.locator('[data-channel="live/tide-pool"]').isVisible()).toBe(true);
    expect(await page.locator('[data-stream="live/night-market"]').innerText()).toContain('1.2K watching');
    await preview.show('empty');
    await page.getByRole('heading', { name: 'Nobody is live at the moment' }).waitFor({ timeout: 15_000 });
    expect(await page.locator('[data-stream]').count()).toBe(0);
    await page.context().close();
  });

  test('reads without JavaScript', async () => {
    await preview.show('full');
    const { page } = await open('/', { javaScriptEnabled: false });
    await page.getByRole('link', { name: 'kitchen' }).click();
    expect(await page.title()).toBe('kitchen live · Millrace');
    expect(await page.locator('.player').innerText()).toContain('/live/kitchen.m3u8');
    await page.context().close();
  });

  test('hands over the server address', async () => {
    await preview.show('empty');
    const { page } = await open('/go-live', { permissions: ['clipboard-read', 'clipboard-write'] });
    await page.getByRole('button', { name: 'Copy the server address' }).click();
    await page.getByText('Copied').waitFor({ state: 'attached' });
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('rtmp://127.0.0.1:1935/live');
    await page.context().close();
  });
});

describe('channel', () => {
  test('hands over its link and what puts it on another page, and its menu is accessible', async () => {
    await preview.show('one');
    const { page } = await open('/@harbour', { permissions: ['clipboard-read', 'clipboard-write'] });
    const client = await page.context().newCDPSession(page);
    await client.send('Page.setBypassCSP', { enabled: true });
    await page.reload();
    const copied = async (button: string): Promise<string> => {
      await page.getByRole('button', { name: button }).click();
      await page.getByText('Copied').first().waitFor({ state: 'attached' });
      return page.evaluate(() => navigator.clipboard.readText());
    };
    await page.locator('summary', { hasText: 'Share' }).click();
    expect(await copied('Copy the link')).toBe(`${preview.origin}/@harbour`);
    expect(await copied('Copy the embed code')).toContain(`<iframe src="${preview.origin}/embed/@harbour"`);
    expect(await axe(page)).toEqual([]);
    await page.keyboard.press('Escape');
    expect(await page.locator('details[open]').count()).toBe(0);
    await page.context().close();
  });

  test('says that the broadcaster is away', async () => {
    await preview.show('full');
    const { page } = await open('/@kitchen');
    expect(await page.locator('[data-channel-meta] .badge-live').innerText()).toBe('Reconnecting');
    await page.goto(preview.origin);
    expect(await page.locator('[data-stream="live/kitchen"] .badge-live').innerText()).toBe('Reconnecting');
    expect(await page.locator('[data-stream="live/harbour"] .badge-live').innerText()).toBe('LIVE');
    await page.context().close();
  });
});

describe("a channel's tabs", () => {
  const shown = async (page: Page): Promise<boolean[]> =>
    Promise.all(['#live', '#about'].map((part) => page.locator(part).isVisible()));

  test('show one part at a time, by press, by address and by the keys back and forward', async () => {
    await preview.show('full');
    const { page } = await open('/@yesterday');
    const tab = (name: string) => page.getByRole('navigation', { name: 'Parts of this page' }).getByRole('link', { name });
    expect(await shown(page)).toEqual([true, false]);
    expect(await tab('Live').getAttribute('aria-current')).toBe('true');
    await tab('About').focus();
    const height = await page.evaluate(() => scrollY);
    await page.keyboard.press('Enter');
    await page.locator('#about').getByText('Every evening at six').waitFor();
    expect(await shown(page)).toEqual([false, true]);
    expect(await tab('Live').getAttribute('aria-current')).toBe(null);
    expect(await tab('About').getAttribute('aria-current')).toBe('true');
    expect(await page.evaluate(() => scrollY), 'the picture stays where it is').toBe(height);
    await page.goBack();
    await expect.poll(() => shown(page)).toEqual([true, false]);
    await page.goto(`${preview.origin}/@yesterday#about`);
    expect(await shown(page)).toEqual([false, true]);
    await page.context().close();
  });

  test('work without JavaScript', async () => {
    const { page } = await open('/@yesterday', { javaScriptEnabled: false });
    await page.getByRole('link', { name: 'About' }).first().click();
    expect(await shown(page)).toEqual([false, true]);
    expect(await page.locator('#about').getByRole('link', { name: 'Archive' }).isVisible()).toBe(true);
    await page.context().close();
  });
});

describe('search', () => {
  test('on a phone an icon leads to a field that has the focus', async () => {
    await preview.show('empty');
    const { page } = await open('/', SCREENS.phone);
    expect(await page.locator('#search').isVisible()).toBe(false);
    await page.getByRole('link', { name: 'Search videos and channels' }).click();
    await page.waitForURL('**/search');
    await page.locator('input[name=q]:focus').waitFor();
    await page.keyboard.type('shore');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/search?q=shore&**');
    expect(await page.getByLabel('Search videos and channels').last().inputValue()).toBe('shore');
    await page.context().close();
  });

  test('keeps its words in the top bar, and narrows by language', async () => {
    const { page } = await open('/');
    await page.keyboard.press('/');
    await page.keyboard.type('night');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/search?q=night');
    expect(await page.locator('#search').inputValue()).toBe('night');
    await page.locator('select[name=language]').selectOption({ label: 'German' });
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('Nothing was found').waitFor();
    await page.locator('select[name=language]').selectOption({ label: 'Chinese' });
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByRole('link', { name: '夜班电台：给还没睡的人' }).waitFor();
    await page.context().close();
  });
});

describe('choices', () => {
  test('a language stays chosen', async () => {
    await preview.show('empty');
    const { page } = await open('/about');
    await page.getByRole('contentinfo').getByRole('link', { name: '简体中文' }).click();
    await page.getByRole('heading', { name: '关于 Millrace' }).waitFor();
    expect(new URL(page.url()).search).toBe('');
    await page.goto(preview.origin);
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-CN');
    await page.context().close();
  });

  test('a theme changes at once and stays chosen', async () => {
    const { page } = await open('/about', { colorScheme: 'light' });
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await background();
    await page.getByLabel('Appearance').click();
    await page.getByRole('link', { name: 'Dark' }).click();
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await background()).toBe(dark);
    await page.context().close();
  });

  test('menus close on Escape and give the focus back', async () => {
    const { page } = await open('/about');
    await page.getByLabel('Language', { exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Escape');
    expect(await page.locator('details[open]').count()).toBe(0);
    const label = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    expect(label).toBe('Language');
    await page.context().close();
  });
});

describe('player', () => {
  test('an offline channel says since when', async () => {
    await preview.show('empty');
    const { page } = await open('/@yesterday');
    await page.locator('[data-player][data-state="offline"]').waitFor();
    expect(await page.locator('[data-player] [role=status]').innerText()).toContain('Last on yesterday.');
    await page.context().close();
  });

  test('comes alive by itself, and tells when nothing gets through', async () => {
    await preview.show('empty');
    const { page } = await open('/@harbour?transport=http-flv');
    await page.locator('[data-player][data-state="offline"]').waitFor();
    await preview.show('one');
    await page.locator('[data-player][data-transport="http-flv"]').waitFor({ timeout: 10_000 });
    // The preview has no media, so every attempt ends.
    await page.locator('[data-player][data-state="error"]').waitFor({ timeout: 30_000 });
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    await page.context().close();
  });

  test('says in plain words which codec the browser lacks, and which browser has it', async () => {
    await preview.show('full');
    for (const [locale, words] of [
      ['en', 'This browser cannot play HEVC. Try Safari or Edge.'],
      ['zh-CN', '此浏览器无法播放 HEVC，请改用 Safari 或 Edge。'],
    ] as const) {
      const { page } = await open('/@first-light', { locale, ...SCREENS.phone });
      // As in a browser without the decoder, whatever this one has.
      await page.addInitScript(() => {
        const plays = MediaSource.isTypeSupported.bind(MediaSource);
        MediaSource.isTypeSupported = (type) => !/h(vc|ev)1/.test(type) && plays(type);
      });
      await page.reload();
      await page.locator('[data-player][data-state="error"]').waitFor();
      expect(await page.locator('[data-player] [role=status]').innerText()).toContain(words);
      await page.context().close();
    }
  });

  test('a site that may not embed a channel shows why, and where it can be watched', async () => {
    await preview.show('empty');
    const elsewhere = await Elsewhere.start();
    const { page } = await open('/about');
    await page.goto(elsewhere.framing(`${preview.origin}/embed/@tide-pool`));
    const frame = page.frameLocator('iframe');
    await frame.getByRole('heading', { name: 'Not to be shown here' }).waitFor();
    expect(await frame.locator('[data-player]').count()).toBe(0);
    const [channel] = await Promise.all([page.waitForEvent('popup'), frame.getByRole('link', { name: 'Go to the channel' }).click()]);
    await channel.waitForURL('**/@tide-pool');
    await page.goto(elsewhere.framing(`${preview.origin}/embed/@yesterday`));
    await frame.locator('[data-player][data-state="offline"]').waitFor();
    await page.context().close();
    elsewhere.stop();
  });

  test('only the embed page may be framed', async () => {
    for (const [path, ancestors] of [
      ['/@harbour', "frame-ancestors 'none'"],
      ['/embed/@harbour', 'frame-ancestors *'],
    ] as const) {
      const policy = (await fetch(preview.origin + path)).headers.get('content-security-policy');
      expect(policy).toContain(ancestors);
      expect(policy).toContain("script-src 'self';");
    }
  });
});
