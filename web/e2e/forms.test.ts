/** The forms of an account, as people use them: pictures, programs, the second factor, lost passwords, mail. */

import { createHmac } from 'node:crypto';
import { createServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { createInterface } from 'node:readline';

import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { Server } from './server.ts';

let server: Server;
let browser: Browser;
let mailbox: Mailbox;
let ada: Page;

beforeAll(async () => {
  mailbox = await Mailbox.open();
  const mail = `site.public_url = "${ORIGIN}"\n[mail]\nurl = "${mailbox.url}"\nfrom = "River TV <noreply@river.example>"`;
  [server, browser] = await Promise.all([Server.start([], mail), launch()]);
  ada = await visitor(await server.setupPath());
  await ada.getByLabel('Name', { exact: true }).fill('ada');
  await ada.getByLabel('Password').fill(PASSWORD);
  await ada.getByRole('button', { name: 'Set up this site' }).click();
  await ada.waitForURL('**/admin');
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  mailbox.close();
});

/** What links in letters begin with: an address that nobody visits here. */
const ORIGIN = 'https://river.example';
const PASSWORD = 'a long sentence of mine';

/** One pixel, red, as a PNG. */
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
);

async function visitor(path: string): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true });
  const page = await context.newPage();
  await page.goto(server.origin + path);
  return page;
}

async function go(page: Page, path: string): Promise<void> {
  await page.goto(server.origin + path);
}

/** The part of a page below that heading. */
function part(page: Page, heading: string): Locator {
  return page.getByRole('region', { name: heading, exact: true });
}

async function logIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await go(page, '/login');
  await page.getByLabel('Name or e-mail address').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.locator('main').getByRole('button', { name: 'Log in' }).click();
}

test('a picture is shown where it was chosen and on the channel, and taken away', async () => {
  await go(ada, '/studio');
  await ada.getByLabel('Title').fill('River watch');
  await ada.getByLabel('Address').fill('river');
  await ada.getByRole('button', { name: 'Create channel' }).click();
  await ada.waitForURL('**/studio/river');
  await go(ada, '/studio/river/settings');
  const file = { name: 'red.png', mimeType: 'image/png', buffer: PICTURE };
  const chosen = ada.locator('form[data-picture$="/avatar"]');
  await chosen.locator('input[type=file]').setInputFiles({ ...file, buffer: Buffer.from('no picture') });
  await chosen.getByRole('alert').getByText('JPEG, PNG, WebP or GIF').waitFor();
  for (const kind of ['avatar', 'banner']) {
    const form = ada.locator(`form[data-picture$="/${kind}"]`);
    await form.locator('input[type=file]').setInputFiles(file);
    await form.locator('img[src^="/media/"]').waitFor();
  }
  await accessible(ada);
  await go(ada, '/@river');
  const shown = ada.locator('main img[src^="/media/"]');
  await expect.poll(() => shown.count()).toBe(2);
  await expect
    .poll(() => shown.evaluateAll((all) => all.every((image) => (image as HTMLImageElement).naturalWidth > 0)))
    .toBe(true);
  await go(ada, '/studio/river/settings');
  for (const kind of ['avatar', 'banner']) {
    const form = ada.locator(`form[data-picture$="/${kind}"]`);
    await form.getByRole('button', { name: 'Remove' }).click();
    await form.locator('img').waitFor({ state: 'hidden' });
  }
  await go(ada, '/@river');
  expect(await shown.count()).toBe(0);
});

test('a token for a program is shown once, works, and is ended', async () => {
  await go(ada, '/settings');
  const tokens = part(ada, 'Tokens for programs');
  await tokens.getByLabel('What it is for').fill('Statistics');
  await tokens.getByRole('button', { name: 'Make a token' }).click();
  await tokens.getByRole('alert').getByText('at least one').waitFor();
  await tokens.getByRole('checkbox').first().check();
  await tokens.getByRole('button', { name: 'Make a token' }).click();
  const token = await tokens.getByText(/^mrt_/).textContent();
  const me = (): Promise<Response> =>
    fetch(`${server.origin}/api/v1/users/me`, { headers: { authorization: `Bearer ${token}` } });
  expect(((await (await me()).json()) as { handle: string }).handle).toBe('ada');
  await ada.reload();
  expect(await ada.getByText(token ?? '').count()).toBe(0);
  await tokens.getByText('Statistics').waitFor();
  await accessible(ada);
  await tokens.getByRole('listitem').getByRole('button').click();
  await tokens.getByText('Statistics').waitFor({ state: 'detached' });
  expect((await me()).status).toBe(401);
});

test('an address is confirmed by the letter, and a lost password set anew by another', async () => {
  await go(ada, '/settings');
  const address = part(ada, 'E-mail address');
  await address.getByLabel('E-mail address').fill('ada@example.org');
  await address.getByLabel('Password').fill(PASSWORD);
  await address.getByRole('button', { name: 'Change the address' }).click();
  await address.getByText('not confirmed yet').waitFor();
  await mailbox.link('/confirm'); // of which another makes nothing
  await address.getByRole('button', { name: 'Send the letter again' }).click();
  await address.getByText('The letter is on its way.').waitFor();
  await accessible(ada);

  const elsewhere = await visitor(await mailbox.link('/confirm'));
  await accessible(elsewhere);
  await elsewhere.getByRole('button', { name: 'Confirm the address' }).click();
  await elsewhere.getByText('The address is confirmed.').waitFor();
  await ada.reload();
  await address.getByText('The address is confirmed.').waitFor();

  await go(elsewhere, '/login');
  await elsewhere.getByRole('link', { name: 'Forgot your password?' }).click();
  await accessible(elsewhere);
  await elsewhere.getByLabel('E-mail address').fill('ada@example.org');
  await elsewhere.getByRole('button', { name: 'Send me the link' }).click();
  await elsewhere.getByText('the link is on its way').waitFor();
  await go(elsewhere, await mailbox.link('/reset'));
  await accessible(elsewhere);
  await elsewhere.getByLabel('New password').fill('short');
  await elsewhere.getByRole('button', { name: 'Change the password' }).click();
  await elsewhere.getByRole('alert').getByText('at least 10').waitFor();
  await elsewhere.getByLabel('New password').fill(`${PASSWORD}, the second`);
  await elsewhere.getByRole('button', { name: 'Change the password' }).click();
  await elsewhere.waitForURL('**/login');
  await ada.reload();
  expect(new URL(ada.url()).pathname).toBe('/login');
  await logIn(ada, 'ada@example.org', `${PASSWORD}, the second`);
  await ada.getByLabel('Your account').waitFor();
});

test('an administrator hands out the link for a lost password', async () => {
  await invited('eve');
  await go(ada, '/admin/users/eve');
  await accessible(ada);
  const elsewhere = await visitor(await linkOf(part(ada, 'Lost password')));
  await elsewhere.getByLabel('New password').fill(`${PASSWORD} and more`);
  await elsewhere.getByRole('button', { name: 'Change the password' }).click();
  await elsewhere.waitForURL('**/login');
  await logIn(elsewhere, 'eve', `${PASSWORD} and more`);
  await elsewhere.getByLabel('Your account').waitFor();
});

test('a second factor is set up, asked for, replaced by a recovery code, and taken off', async () => {
  const bob = await invited('bob');
  const factor = part(bob, 'Second factor');
  await factor.getByRole('button', { name: 'Set up' }).click();
  const shown = factor.locator('form [data-copy-text]');
  await shown.waitFor();
  const secret = (await shown.textContent()) ?? '';
  await accessible(bob);
  await factor.getByLabel('Code').fill('000000');
  await factor.locator('form [type=submit]').click();
  await factor.getByRole('alert').filter({ hasText: /./ }).waitFor();
  await factor.getByLabel('Code').fill(totp(secret));
  await factor.locator('form [type=submit]').click();
  const kept = factor.locator('[data-factor-codes] [data-copy-text]');
  await kept.waitFor();
  const codes = ((await kept.textContent()) ?? '').split('\n');
  expect(codes).toHaveLength(10);
  await accessible(bob);

  const elsewhere = await visitor('/login');
  await logIn(elsewhere, 'bob');
  await elsewhere.getByLabel('Code').fill(codes[0] ?? '');
  await elsewhere.locator('main').getByRole('button', { name: 'Log in' }).click();
  await elsewhere.getByLabel('Your account').waitFor();
  await go(elsewhere, '/settings');
  await part(elsewhere, 'Second factor').getByLabel('Password').fill(PASSWORD);
  await accessible(elsewhere);
  await part(elsewhere, 'Second factor').locator('form [type=submit]').click();
  await part(elsewhere, 'Second factor').getByRole('button', { name: 'Set up' }).waitFor();
});

test('who logs out everywhere is logged out everywhere', async () => {
  const here = await invited('mia');
  const there = await visitor('/login');
  await logIn(there, 'mia');
  await there.getByLabel('Your account').waitFor();
  await here.getByRole('button', { name: 'Log out everywhere, here as well' }).click();
  await here.waitForURL('**/login');
  await there.reload();
  await there.getByRole('link', { name: 'Log in' }).waitFor();
});

test('what is refused is told beside its field, or for the whole form', async () => {
  await go(ada, '/studio');
  await ada.getByLabel('Title').fill('Another');
  await ada.getByLabel('Address').fill('river');
  await ada.getByRole('button', { name: 'Create channel' }).click();
  const address = ada.locator('.field').filter({ has: ada.getByLabel('Address') });
  await address.getByRole('alert').getByText('taken').waitFor();
  await expect.poll(() => ada.evaluate(() => document.activeElement?.getAttribute('name'))).toBe('handle');
  await accessible(ada);
  await ada.keyboard.press('ControlOrMeta+A');
  await ada.keyboard.type('admin');
  await ada.keyboard.press('Enter');
  await address.getByRole('alert').getByText('reserved').waitFor();
  expect(await address.getByRole('alert').count()).toBe(1);

  await go(ada, '/settings');
  const wrong = part(ada, 'Change the password');
  await wrong.getByLabel('Password so far').fill('not my sentence');
  await wrong.getByLabel('New password').fill(PASSWORD);
  await wrong.getByRole('button', { name: 'Change the password' }).click();
  await wrong.locator('.field').first().getByRole('alert').getByText('The password is wrong.').waitFor();

  const eve = await visitor('/login');
  await logIn(eve, 'eve', `${PASSWORD} and more`);
  await eve.getByLabel('Your account').waitFor();
  await go(eve, '/settings');
  await go(ada, '/admin/users/eve');
  await ada.getByRole('button', { name: 'Lock the account' }).click();
  await ada.getByRole('button', { name: 'Unlock the account' }).waitFor();
  await eve.getByRole('button', { name: 'Save' }).click();
  await eve.getByRole('alert').getByText('You are logged out.').waitFor();
  await logIn(eve, 'eve', `${PASSWORD} and more`);
  await eve.getByRole('alert').getByText('This account is locked.').waitFor();
});

test('who tries passwords learns how long to wait', async () => {
  const page = await visitor('/login');
  await logIn(page, 'nobody', 'a wrong sentence');
  const said = page.locator('main').getByRole('alert');
  await said.getByText('The name or the password is wrong.').waitFor();
  await expect
    .poll(
      async () => {
        const answered = page.waitForResponse('**/api/v1/sessions');
        await page.locator('main').getByRole('button', { name: 'Log in' }).click();
        return (await answered).status();
      },
      { timeout: 30_000 },
    )
    .toBe(429);
  await said.getByText(/^Too many tries\. Try again in \d+ (s|min)\.$/).waitFor();
});

/** The settings of somebody who was invited. */
async function invited(handle: string): Promise<Page> {
  await go(ada, '/admin/invitations');
  const page = await visitor(await linkOf(ada.locator('main')));
  await accessible(page);
  await page.getByLabel('Name', { exact: true }).fill(handle);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.locator('main').getByRole('button', { name: 'Register' }).click();
  await page.waitForURL('**/settings');
  return page;
}

/** Path and query of the link that a form makes. */
async function linkOf(form: Locator): Promise<string> {
  await form.getByRole('button', { name: 'Make the link' }).click();
  const shown = form.locator('[data-result] code');
  await shown.waitFor();
  const link = new URL((await shown.textContent()) ?? '');
  return link.pathname + link.search;
}

/** The code of this half minute (RFC 6238), by a secret in base32. */
function totp(secret: string): string {
  const bits = [...secret].map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const hash = createHmac('sha1', key).update(step).digest();
  const code = hash.readUInt32BE((hash.at(-1) ?? 0) & 15) & 0x7fff_ffff;
  return String(code % 1_000_000).padStart(6, '0');
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** A mail server that takes every letter. */
class Mailbox {
  readonly #letters: string[] = [];
  #arrived: (() => void) | undefined;

  private constructor(readonly server: TcpServer) {
    server.on('connection', (socket) => {
      let letter: string | undefined;
      const say = (words: string): boolean => socket.write(`${words}\r\n`);
      say('220 mailbox');
      const lines = createInterface({ input: socket });
      // A sender that is gone is no failure here; both tell of it.
      for (const part of [socket, lines]) part.on('error', () => undefined);
      lines.on('line', (line) => {
        if (letter !== undefined) {
          if (line !== '.') letter += `${line}\n`;
          else {
            this.#letters.push(letter.replaceAll('=\n', '').replaceAll('=3D', '='));
            letter = undefined;
            this.#arrived?.();
            say('250 taken');
          }
        } else if (line === 'DATA') {
          letter = '';
          say('354 go on');
        } else say('250 good');
      });
    });
  }

  static async open(): Promise<Mailbox> {
    const mailbox = new Mailbox(createServer());
    await new Promise<void>((resolve) => mailbox.server.listen(0, '127.0.0.1', resolve));
    return mailbox;
  }

  get url(): string {
    return `smtp://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Path and query of the link to that page in the next letter. */
  async link(page: string): Promise<string> {
    while (this.#letters.length === 0) await new Promise<void>((resolve) => (this.#arrived = resolve));
    const letter = this.#letters.shift() ?? '';
    const link = letter.match(/https:\/\/river\.example(\S+)/)?.[1] ?? '';
    expect(link.startsWith(`${page}?token=`), letter).toBe(true);
    return link;
  }

  close(): void {
    this.server.close();
  }
}
