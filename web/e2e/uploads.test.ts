/** The creator's side of videos: uploads that go on, what is said of a video, and the trash. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { AGAIN, FFMPEG, Server } from './server.ts';

let server: Server;
let browser: Browser;
let page: Page;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-uploads-'));
  [server, browser] = await Promise.all([Server.start([]), launch()]);
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true });
  page = await context.newPage();
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto(server.origin + (await server.setupPath()));
  await page.getByLabel('Name', { exact: true }).fill('ada');
  await page.getByLabel('Password').fill('a long sentence of mine');
  await page.getByRole('button', { name: 'Set up this site' }).click();
  await page.waitForURL('**/admin**');
  await page.goto(`${server.origin}/studio`);
  await page.getByLabel('Title').fill('Night market');
  await page.getByLabel('Address').fill('night-market');
  await page.getByRole('button', { name: 'Create channel' }).click();
  await page.waitForURL('**/studio/night-market');
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A file of two seconds of picture and sound, and at will of further bytes that no reader minds. */
function clip(name: string, further = 0): string {
  const path = join(directory, name);
  const input = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25', '-f', 'lavfi', '-i', 'sine=440:r=48000', '-t', '2'];
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-pix_fmt', 'yuv420p', '-c:a', 'aac'];
  execFileSync(FFMPEG, ['-v', 'error', '-y', ...input, ...coding, path]);
  if (further) {
    const free = Buffer.alloc(further);
    free.writeUInt32BE(further, 0);
    free.write('free', 4, 'latin1');
    writeFileSync(path, free, { flag: 'a' });
  }
  return path;
}

/** Another file of the same name and size, which differs from it in its last byte. */
function twin(path: string): string {
  const elsewhere = join(directory, 'elsewhere');
  mkdirSync(elsewhere, { recursive: true });
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  const other = join(elsewhere, basename(path));
  writeFileSync(other, bytes);
  return other;
}

const choose = (...files: string[]): Promise<void> => page.getByLabel('Video file').setInputFiles(files);
const sent = (name: string): Locator => page.locator('.upload', { hasText: name });
const listed = (title: string): Locator => page.locator('.video', { hasText: title });

test('two files are sent at once and become videos, without a reload', async () => {
  await page.goto(`${server.origin}/studio/videos`);
  await page.getByText('You have no videos yet').waitFor();
  await accessible(page);
  await choose(clip('lanterns.mp4'), clip('river.mp4'));
  for (const name of ['lanterns', 'river']) {
    await sent(name).getByText('It is safe here').waitFor();
    await listed(name).getByText('Ready', { exact: true }).waitFor({ timeout: 60_000 });
    await expect.poll(() => listed(name).locator('img').evaluate((image: HTMLImageElement) => image.naturalWidth), { timeout: 60_000 }).toBeGreaterThan(0);
  }
  expect(await listed('river').getByText('Private').count()).toBe(1);
  await accessible(page);
}, 120_000);

test('what is no video is refused in words, beside the file', async () => {
  const path = join(directory, 'notes.mp4');
  writeFileSync(path, 'This is a letter, and not a picture that moves.\n'.repeat(4_000));
  await choose(path);
  await sent('notes.mp4').getByText('This is a text file, not a video.').waitFor();
  expect(await page.locator('[data-told]').textContent()).toContain('This is a text file');
  await accessible(page);
  await sent('notes.mp4').getByRole('button', { name: /Remove/ }).click();
  expect(await sent('notes.mp4').count()).toBe(0);
  expect(await listed('notes').count()).toBe(0);
}, 60_000);

test('another file of the same name and size is sent as well, and the same one is not sent twice', async () => {
  await page.reload();
  const path = clip('twin.mp4', 1_000);
  await choose(path, twin(path), path);
  await expect.poll(() => sent('twin').filter({ hasText: 'It is safe here' }).count(), { timeout: 30_000 }).toBe(2);
  expect(await sent('twin').count()).toBe(2);
  await expect.poll(() => listed('twin').filter({ hasText: 'Ready' }).count(), { timeout: 60_000 }).toBe(2);
}, 120_000);

/** Lets what the server is asked to begin wait until it is released. */
async function hold(): Promise<{ asked: () => number; release: () => void }> {
  let asked = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route('**/api/v1/uploads', async (route) => {
    asked += 1;
    await released;
    await route.continue();
  });
  return { asked: () => asked, release: () => release() };
}

test('paused and resumed in haste, a file becomes one video', async () => {
  await page.reload();
  const begun = await hold();
  await choose(clip('haste.mp4', 2_000_000));
  for (let times = 0; times < 3; times += 1) {
    await sent('haste').getByRole('button', { name: /Pause/ }).click();
    await sent('haste').getByRole('button', { name: /Go on/ }).click();
  }
  await expect.poll(begun.asked).toBe(1);
  begun.release();
  await sent('haste').getByText('It is safe here').waitFor();
  await listed('haste').getByText('Ready', { exact: true }).waitFor({ timeout: 60_000 });
  expect(begun.asked()).toBe(1);
  expect(await listed('haste').count()).toBe(1);
}, 120_000);

test('cancelled while the server begins it, nothing of it is left there', async () => {
  await page.reload();
  const begun = await hold();
  await choose(clip('regret.mp4', 2_000_000));
  await expect.poll(begun.asked).toBe(1);
  await sent('regret').getByRole('button', { name: /Cancel/ }).click();
  await sent('regret').getByText('Cancelled.').waitFor();
  const ended = page.waitForResponse((response) => response.request().method() === 'DELETE');
  begun.release();
  expect((await ended).status()).toBe(204);
  expect(await known()).toEqual([]);
  expect(await listed('regret').count()).toBe(0);
}, 60_000);

test('after a reload in the middle, the same file goes on where it stopped, and no other does', async () => {
  const size = 24 * 1024 * 1024;
  const path = clip('long night.mp4', size);
  // A slow line, so that there is a middle.
  const line = await page.context().newCDPSession(page);
  await line.send('Network.enable');
  const speed = (uploadThroughput: number) =>
    line.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
  await speed(2_000_000);
  await choose(path);
  await sent('long night').getByText(/^\d+ % · .* left$/).waitFor({ timeout: 30_000 });
  await sent('long night').getByRole('button', { name: /Pause/ }).click();
  await sent('long night').getByText(/Paused at/).waitFor();
  await accessible(page);
  await sent('long night').getByRole('button', { name: /Go on/ }).click();
  await sent('long night').getByText(/^\d+ % · .* left$/).waitFor({ timeout: 30_000 });
  await page.reload();
  await sent('long night').getByText('Choose the file again to go on').waitFor();
  expect(await listed('long night').isVisible(), 'it is told of once').toBe(false);
  const before = await received('long night.mp4');
  expect(before).toBeGreaterThan(64 * 1024);
  await accessible(page);

  await speed(-1);
  const begun: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/api/v1/uploads')) begun.push(request.url());
  });
  const other = twin(path);
  await choose(other);
  await expect.poll(() => begun.length, { message: 'another file is another upload' }).toBe(1);
  await sent('long night').getByText('It is safe here').waitFor({ timeout: 60_000 });
  expect(await received('long night.mp4'), 'it leaves the first alone').toBe(before);
  begun.length = 0;
  const offset = page.waitForRequest((request) => request.method() === 'PATCH');
  await choose(path);
  expect(Number((await offset).headers()['upload-offset'])).toBeGreaterThanOrEqual(before);
  await expect.poll(() => sent('long night').filter({ hasText: 'It is safe here' }).count(), { timeout: 60_000 }).toBe(2);
  expect(begun, 'no other upload is begun').toEqual([]);
  await expect.poll(() => listed('long night').filter({ hasText: 'Ready' }).count(), { timeout: 60_000 }).toBe(2);
}, 180_000);

/** The uploads that the server knows. */
async function known(): Promise<{ file_name: string; received: number }[]> {
  const response = await page.request.get(`${server.origin}/api/v1/users/me/uploads`, AGAIN);
  return ((await response.json()) as { items: { file_name: string; received: number }[] }).items;
}

/** Bytes that it has of one. */
async function received(name: string): Promise<number> {
  return (await known()).find(({ file_name }) => file_name === name)?.received ?? 0;
}

test('what is said of a video is changed, with its picture and captions', async () => {
  await listed('river').getByRole('link', { name: 'river', exact: true }).click();
  await page.waitForURL('**/studio/videos/*');
  await accessible(page);
  await page.getByLabel('Title').fill('The river at night');
  await page.getByLabel('Description').fill('Boats. 0:01 the bridge.');
  await page.getByLabel('Category').selectOption('travel');
  await page.getByLabel('Tags').fill('river, night');
  await page.getByLabel('By password').check();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Choose the password that viewers need.').waitFor();
  await page.getByLabel('Password for viewers').fill('sesame');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  await page.getByRole('heading', { name: 'The river at night', level: 1 }).waitFor();
  expect(await page.locator('.video-state').innerText()).toContain('By password');

  await page.getByRole('button', { name: 'Take picture 2' }).click();
  await page.getByText('The picture is saved.').waitFor();

  const broken = join(directory, 'broken.srt');
  writeFileSync(broken, '1\nhello\n\n');
  await page.locator('#captions-language').fill('en');
  await page.locator('#captions-file').setInputFiles(broken);
  await page.getByRole('button', { name: 'Add' }).click();
  await page.locator('.field-error').waitFor();
  const captions = join(directory, 'river.srt');
  writeFileSync(captions, '1\n00:00:00,000 --> 00:00:01,000\nA boat\n\n');
  await page.locator('#captions-file').setInputFiles(captions);
  await page.getByRole('button', { name: 'Add' }).click();
  const remove = page.getByRole('button', { name: 'Remove: en' });
  await remove.waitFor();
  await accessible(page);
  await remove.click();
  await remove.waitFor({ state: 'detached' });

  await page.reload();
  expect(await page.getByLabel('Title').inputValue()).toBe('The river at night');
  expect(await page.getByLabel('By password').isChecked()).toBe(true);
  expect(await page.getByLabel('Tags').inputValue()).toBe('river, night');
}, 90_000);

test('what is deleted lies in the trash, and comes back', async () => {
  await page.goto(`${server.origin}/studio/videos`);
  await page.getByRole('button', { name: 'Delete: The river at night' }).click();
  await listed('The river at night').waitFor({ state: 'detached' });
  await expect.poll(() => page.locator('[data-told]').textContent()).toContain('The river at night” is in the trash');
  await accessible(page);
  expect(await page.evaluate(() => document.activeElement?.textContent), 'the way back is at hand').toBe('Undo');
  await page.keyboard.press('Enter');
  await listed('The river at night').waitFor();
  await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe('The river at night');
  expect(await page.getByRole('button', { name: 'Undo' }).isVisible()).toBe(false);

  await page.getByRole('button', { name: 'Delete: The river at night' }).click();
  await listed('The river at night').waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Trash' }).click();
  await listed('The river at night').getByText(/Deleted for good in/).waitFor();
  await accessible(page);
  await page.getByRole('button', { name: 'Restore: The river at night' }).click();
  await page.waitForURL('**/studio/videos**');
  await listed('The river at night').getByText('Ready', { exact: true }).waitFor();
}, 60_000);

test('a form without scripts uploads as well', async () => {
  const storageState = await page.context().storageState();
  const context = await browser.newContext({ ...SCREENS.phone, locale: 'zh-CN', javaScriptEnabled: false, storageState });
  const plain = await context.newPage();
  await plain.goto(`${server.origin}/studio/videos`);
  await plain.locator('input[name=title]').fill('夜市');
  await plain.locator('input[type=file]').setInputFiles(join(directory, 'lanterns.mp4'));
  await plain.getByRole('button', { name: '上传', exact: true }).click();
  await plain.waitForURL('**/studio/videos/*');
  expect(await plain.locator('h1').textContent()).toContain('夜市');
  await context.close();
}, 60_000);
