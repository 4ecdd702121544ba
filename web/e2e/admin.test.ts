/** Running the site in the browser: settings, registrations, invitations, accounts, the log. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible, axe } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { AGAIN, Server } from './server.ts';

let server: Server;
let browser: Browser;
let ada: Page;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start(['movie']), launch()]);
  ada = await visitor(await server.setupPath());
  await ada.getByLabel('Name of the site').fill('River TV');
  await enter(ada, 'ada', 'Set up this site');
  await ada.waitForURL('**/admin');
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const PASSWORD = 'a long sentence of mine';
const PAGES = [
  '',
  '/streams',
  '/review',
  '/trash',
  '/users',
  '/users/ada',
  '/registrations',
  '/invitations',
  '/jobs',
  '/storage',
  '/settings',
  '/audit',
];

async function visitor(path: string): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true });
  const page = await context.newPage();
  await page.goto(server.origin + path);
  return page;
}

/** Fills the form of a new account, and sends it. */
async function enter(page: Page, handle: string, button: string): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(handle);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.locator('main').getByRole('button', { name: button }).click();
}

/** Two seconds that every browser plays. */
async function clip(): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-clip-'));
  const path = join(directory, 'clip.mp4');
  const inputs = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25', '-f', 'lavfi', '-i', 'sine=440:r=48000', '-t', '2'];
  await promisify(execFile)('ffmpeg', ['-v', 'error', ...inputs, '-pix_fmt', 'yuv420p', path]);
  const bytes = await readFile(path);
  await rm(directory, { recursive: true });
  return bytes;
}

async function go(page: Page, path: string): Promise<void> {
  await page.goto(server.origin + path);
}

test('who has set up is the administrator of a site with that name, and sees how it is doing', async () => {
  await ada.getByRole('link', { name: 'River TV, home page' }).waitFor();
  await expect.poll(() => ada.locator('[data-chart] svg').count()).toBe(6);
  await ada.getByRole('link', { name: 'Accounts', exact: true }).click();
  await ada.getByRole('link', { name: 'ada', exact: true }).waitFor();
});

test('who registers by approval waits, is let in, is locked, and is deleted', async () => {
  await go(ada, '/admin/settings');
  await ada.getByLabel('Everybody, once they are let in').check();
  await ada.getByRole('button', { name: 'Save' }).click();
  await ada.getByText('Saved.').waitFor();

  const eve = await visitor('/register');
  await eve.getByText('An administrator then lets you in.').waitFor();
  await enter(eve, 'eve', 'Register');
  await eve.getByText('You can log in as soon as an administrator has let you in.').waitFor();
  await eve.getByLabel('Password').waitFor({ state: 'hidden' });
  expect(await axe(eve)).toEqual([]);

  await go(ada, '/admin/registrations');
  await ada.getByRole('link', { name: 'Registrations 1' }).waitFor();
  await ada.getByRole('button', { name: 'Let in' }).click();
  await ada.getByText('Nobody waits to be let in.').waitFor();

  await go(eve, '/login');
  await eve.getByLabel('Name or e-mail address').fill('eve');
  await eve.getByLabel('Password').fill(PASSWORD);
  await eve.locator('main').getByRole('button', { name: 'Log in' }).click();
  await eve.getByLabel('Your account').waitFor();
  await go(eve, '/admin');
  await eve.getByText('This is not for you').waitFor();

  await go(ada, '/admin/users?search=EVE');
  await ada.getByRole('link', { name: 'eve', exact: true }).click();
  await ada.getByRole('button', { name: 'Lock the account' }).click();
  await ada.getByRole('button', { name: 'Unlock the account' }).waitFor();
  await go(eve, '/settings');
  expect(new URL(eve.url()).pathname, 'the session has ended').toBe('/login');

  await ada.getByText('Delete the account…').click();
  await ada.getByRole('button', { name: 'Delete @eve for good' }).click();
  await ada.waitForURL('**/admin/users');
  expect(await ada.getByRole('link', { name: 'eve', exact: true }).count()).toBe(0);
});

test('an invitation is made, used, and another one taken back', async () => {
  await go(ada, '/admin/invitations');
  await ada.getByLabel('For whom').fill('Lin');
  await ada.getByRole('button', { name: 'Make the link' }).click();
  await ada.getByText('It is shown this once').waitFor();
  const link = await ada.locator('[data-result] [data-copy-text]').textContent();
  expect(await axe(ada)).toEqual([]);
  const lin = await visitor(new URL(link ?? '').pathname + new URL(link ?? '').search);
  await enter(lin, 'lin', 'Register');
  await lin.waitForURL('**/settings');

  await go(ada, '/admin/invitations');
  await ada.getByText('There is no open invitation.').waitFor();
  await ada.getByRole('button', { name: 'Make the link' }).click();
  await ada.getByText('It is shown this once').waitFor();
  await ada.getByRole('link', { name: 'Done' }).click();
  await ada.getByRole('button', { name: 'Take back' }).click();
  await ada.getByText('There is no open invitation.').waitFor();

  await go(ada, '/admin/audit');
  await ada.getByLabel('What').selectOption({ label: 'Invited somebody' });
  await ada.getByRole('button', { name: 'Show', exact: true }).click();
  await expect.poll(() => ada.locator('.row').count()).toBe(2);
});

test('who publishes is seen, and disconnected', async () => {
  await go(ada, '/admin/streams');
  await ada.getByText('Nobody publishes at present.').waitFor();
  const publisher = await server.publish('movie');
  // The page learns of it by itself.
  const row = ada.getByRole('row', { name: /Publisher · RTMP/ });
  await row.waitFor();
  await expect.poll(() => row.textContent()).toMatch(/[1-9]\d* kbit\/s/);
  const player = await fetch(`${server.origin}/live/movie.flv`);
  await ada.getByRole('row', { name: /Player · HTTP-FLV/ }).waitFor();
  await accessible(ada);
  await row.getByText('Disconnect', { exact: true }).click();
  await ada.getByText('The stream ends for all who watch.').waitFor();
  await ada.getByRole('button', { name: 'Disconnect the publisher' }).click();
  await ada.getByText('Nobody publishes at present.').waitFor();
  await publisher.over();
  expect(await server.live('movie')).toBeNull();
  await player.body?.cancel();
});

test('a new video waits for a moderator, is approved, and is reported', async () => {
  await go(ada, '/admin/settings');
  await ada.getByLabel('Review of new videos').selectOption('All videos, except moderators’');
  await ada.getByRole('button', { name: 'Save' }).click();
  await ada.getByText('Saved.').waitFor();

  const api = `${server.origin}/api/v1`;
  const invited = await ada.context().request.post(`${api}/invitations`, { data: {}, ...AGAIN });
  const mia = await visitor(((await invited.json()) as { path: string }).path);
  await enter(mia, 'mia', 'Register');
  await mia.waitForURL('**/settings');
  const requests = mia.context().request;
  expect((await requests.post(`${api}/channels`, { data: { handle: 'market' } })).status()).toBe(201);
  const file = { name: 'market.mp4', mimeType: 'video/mp4', buffer: await clip() };
  const sent = await requests.post(`${api}/videos`, { multipart: { title: 'Night market', visibility: 'public', file } });
  expect(sent.status()).toBe(201);
  const { id } = (await sent.json()) as { id: string };

  const row = ada.getByRole('listitem').filter({ has: ada.getByRole('link', { name: 'Night market' }) });
  await expect.poll(async () => (await go(ada, '/admin/review'), row.count()), { timeout: 20_000 }).toBe(1);
  // Moderators watch it where it waits; nothing of it is loaded before.
  await expect.poll(async () => ((await (await requests.get(`${api}/videos/${id}`)).json()) as { state: string }).state, { timeout: 20_000 }).toBe('ready');
  const loaded: string[] = [];
  ada.on('request', (request) => loaded.push(new URL(request.url()).pathname));
  await go(ada, '/admin/review');
  const watch = row.getByRole('button', { name: 'Watch “Night market” here' });
  await watch.waitFor();
  expect(loaded.filter((path) => path.includes('hls') || /\.(m3u8|m4s|mp4)$/.test(path))).toEqual([]);
  await watch.click();
  await expect.poll(() => row.locator('video').evaluate((video: HTMLVideoElement) => video.currentTime).catch(() => 0)).toBeGreaterThan(0.2);
  expect(await watch.getAttribute('aria-expanded')).toBe('true');
  expect(await axe(ada)).toEqual([]);
  await watch.click();
  expect(await row.locator('video').count()).toBe(0);
  await row.getByText('Reject or send back…').click();
  expect(await axe(ada)).toEqual([]);
  await row.getByLabel('Why').fill('Say who sings.');
  await row.getByRole('button', { name: 'Send back for changes' }).click();
  await ada.getByText('No video waits for a decision.').waitFor();
  const version = `"${((await (await requests.get(`${api}/videos/${id}`)).json()) as { version: number }).version}"`;
  await requests.patch(`${api}/videos/${id}`, { data: { description: 'Lin sings.' }, headers: { 'if-match': version } });
  await go(ada, '/admin/review');
  await row.getByText('Lin sings.').waitFor();
  await row.getByRole('button', { name: 'Approve “Night market”' }).click();
  await ada.getByText('No video waits for a decision.').waitFor();
  expect((await fetch(`${api}/videos/${id}`)).status).toBe(200);

  const report = { reason: 'rights', words: 'I made it.' };
  expect((await requests.post(`${api}/videos/${id}/reports`, { data: report })).status()).toBe(204);
  await go(ada, '/admin/review');
  await row.getByText('I made it.').waitFor();
  expect(await axe(ada)).toEqual([]);
  await row.getByRole('button', { name: 'Close the reports' }).click();
  await ada.getByText('No report is open.').waitFor();

  // Links of a new account wait for the video's owner, who finds them in the studio, and for moderators.
  const other = await ada.context().request.post(`${api}/invitations`, { data: {}, ...AGAIN });
  const vic = await visitor(((await other.json()) as { path: string }).path);
  await enter(vic, 'vic', 'Register');
  await vic.waitForURL('**/settings');
  for (const text of ['see https://one.example/', 'and https://two.example/']) {
    const said = await vic.context().request.post(`${api}/videos/${id}/comments`, { data: { text }, ...AGAIN });
    expect(((await said.json()) as { held: boolean }).held).toBe(true);
  }
  await go(mia, '/studio');
  await mia.getByRole('link', { name: 'Comments 2' }).click();
  await mia.getByRole('heading', { name: '2 comments wait for approval' }).waitFor();
  await accessible(mia);
  await mia.getByRole('button', { name: 'Approve the comment by vic' }).first().click();
  await mia.getByRole('heading', { name: '1 comment waits for approval' }).waitFor();
  await go(ada, '/admin/review');
  await ada.getByRole('heading', { name: '1 comment waits for approval' }).waitFor();
  await accessible(ada);
  await ada.getByText('Delete', { exact: true }).click();
  await ada.getByRole('button', { name: 'Delete it' }).click();
  await ada.getByText('No comment waits for approval.').waitFor();

  expect((await requests.delete(`${api}/videos/${id}`)).status()).toBe(200);
  await go(ada, '/admin/trash');
  await ada.getByText('by its owner').waitFor();
  await accessible(ada);
  await ada.getByRole('button', { name: 'Restore: Night market' }).click();
  await ada.getByText('The trash is empty.').waitFor();

  await go(ada, '/admin/jobs?state=done&kind=video.process');
  await ada.getByRole('link', { name: id }).waitFor();
  await go(ada, '/admin/storage');
  await ada.getByText('@mia · 1 video').waitFor();
});

test('every page is sound at every width, in either language, light or dark', async () => {
  for (const [screen, locale, colorScheme] of [
    [SCREENS.desktop, 'en', 'dark'],
    [SCREENS.tablet, 'en', 'light'],
    [SCREENS.phone, 'zh-CN', 'light'],
  ] as const) {
    const context = await browser.newContext({
      ...screen,
      locale,
      colorScheme,
      bypassCSP: true,
      storageState: await ada.context().storageState(),
    });
    const page = await context.newPage();
    for (const path of PAGES) {
      await go(page, `/admin${path}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      expect(wide, `${path} is too wide`).toBe(false);
      expect(await axe(page), path).toEqual([]);
    }
    await context.close();
  }
}, 120_000);
