/** From a new site to its administrator, as a person goes. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { Server } from './server.ts';

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start([]), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const PASSWORD = 'a long sentence of mine';

async function visitor(path: string): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true });
  const page = await context.newPage();
  await page.goto(server.origin + path);
  return page;
}

async function logIn(page: Page, password: string): Promise<void> {
  await page.getByLabel('Name or e-mail address').fill('ada');
  await page.getByLabel('Password').fill(password);
  await page.locator('main').getByRole('button', { name: 'Log in' }).click();
}

test('a new site is set up by its link, and its administrator logs out, in, and changes things', async () => {
  const page = await visitor(await server.setupPath());
  await page.getByLabel('Name', { exact: true }).fill('a b');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set up this site' }).click();
  await page.getByRole('alert').getByText('2 to 32').waitFor();
  await page.getByLabel('Name', { exact: true }).fill('ada');
  await page.getByRole('button', { name: 'Set up this site' }).click();

  await page.waitForURL('**/admin**');
  await page.goto(`${server.origin}/settings`);
  await accessible(page);
  await page.getByLabel('Name that others see').fill('Ada Lovelace');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  await page.getByLabel('About you').fill('Analyst');
  await page.getByRole('button', { name: 'Save' }).click(); // once more: the form knows the new version
  await page.getByText('Saved.').waitFor();
  await page.reload();
  expect(await page.getByLabel('Name that others see').inputValue()).toBe('Ada Lovelace');
  expect(await page.getByLabel('About you').inputValue()).toBe('Analyst');

  await page.getByLabel('Your account').click();
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('link', { name: 'Log in' }).click();
  await logIn(page, 'a wrong sentence');
  await page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
  await accessible(page);
  await logIn(page, PASSWORD);
  await page.getByLabel('Your account').waitFor();
  expect(new URL(page.url()).pathname).toBe('/');
});

test('who is sent to log in comes back, and ends the session of another browser', async () => {
  const here = await visitor('/settings');
  expect(new URL(here.url()).pathname).toBe('/login');
  await logIn(here, PASSWORD);
  await here.waitForURL('**/settings');
  const there = await visitor('/login');
  await logIn(there, PASSWORD);
  await there.getByLabel('Your account').waitFor();
  await here.reload();
  const before = await here.getByRole('button', { name: 'Log out there' }).count();
  expect(before).toBeGreaterThan(0);
  await here.getByRole('button', { name: 'Log out there' }).first().click();
  await expect.poll(() => here.getByRole('button', { name: 'Log out there' }).count()).toBe(before - 1);
  await there.reload();
  await there.getByRole('link', { name: 'Log in' }).waitFor();
});

test('the link works once', async () => {
  const page = await visitor(await server.setupPath());
  await page.getByLabel('Name', { exact: true }).fill('eve');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set up this site' }).click();
  await page.getByRole('alert').getByText('the link no longer works').waitFor();
});
