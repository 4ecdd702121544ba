/** The creator's side of videos: uploads that go on, what is said of a video, and the trash. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { accessible } from './axe.ts';
import { launch, SCREENS } from './browser.ts';
import { FFMPEG, Server } from './server.ts';

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
  expect(await page.locator('[data-uploads-told]').textContent()).toContain('This is a text file');
  await accessible(page);
  await sent('notes.mp4').getByRole('button', { name: /Remove/ }).click();
  expect(await sent('notes.mp4').count()).toBe(0);
  expect(await listed('notes').count()).toBe(0);
}, 60_000);

test('after a reload in the middle, the same file goes on where it stopped', async () => {
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
  const offset = page.waitForRequest((request) => request.method() === 'PATCH');
  await choose(path);
  expect(Number((await offset).headers()['upload-offset'])).toBeGreaterThanOrEqual(before);
  await sent('long night').getByText('It is safe here').waitFor({ timeout: 60_000 });
  expect(begun, 'no other upload is begun').toEqual([]);
  await listed('long night').getByText('Ready', { exact: true }).waitFor({ timeout: 60_000 });
}, 180_000);

/** Bytes that the server has of an upload. */
async function received(name: string): Promise<number> {
  const response = await page.request.get(`${server.origin}/api/v1/users/me/uploads`);
  const { items } = (await response.json()) as { items: { file_name: string; received: number }[] };
  return items.find(({ file_name }) => file_name === name)?.received ?? 0;
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
