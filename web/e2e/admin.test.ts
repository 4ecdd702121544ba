/** Running the site in the browser: settings, registrations, invitations, accounts, the log. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible, axe } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { Server } from './server.ts';

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
const PAGES = ['', '/streams', '/users', '/users/ada', '/registrations', '/invitations', '/review', '/jobs', '/storage', '/settings', '/audit'];

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
});
