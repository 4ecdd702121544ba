/** A site with a creator who has a channel, for tests of videos; and clips to upload. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

import type { Browser, Page } from 'playwright-core';

import { SCREENS } from './browser.ts';
import { numberedPicture } from './playback-clock.ts';
import { AGAIN, FFMPEG, type Server, until } from './server.ts';

/** What the API tells of a video. */
export interface Video {
  id: string;
  state: string;
  failure: string | null;
  media: { renditions: string[]; storyboard_url: string | null };
}

/** Pictures per second of clips. */
export const RATE = 25;

/** An administrator with the channel `night-market`, whose page has the session's cookie. */
export class Creator {
  private constructor(
    readonly server: Server,
    readonly page: Page,
    private readonly directory: string,
  ) {}

  static async begin(server: Server, browser: Browser): Promise<Creator> {
    const page = await visit(browser, server.origin + (await server.setupPath()));
    await page.getByLabel('Name', { exact: true }).fill('ada');
    await page.getByLabel('Password').fill('a long sentence of mine');
    await page.getByRole('button', { name: 'Set up this site' }).click();
    await page.waitForURL('**/admin**');
    const data = { handle: 'night-market', title: 'Night market 夜市' };
    const made = await page.request.post(`${server.origin}/api/v1/channels`, { data, ...AGAIN });
    if (!made.ok()) throw new Error(await made.text());
    return new Creator(server, page, await mkdtemp(join(tmpdir(), 'millrace-clips-')));
  }

  /** Seconds of numbered pictures and a tone, coded by FFmpeg's options; resolves with the file's path. */
  async clip(name: string, seconds: number, coding: string[], input: string[] = []): Promise<string> {
    const path = join(this.directory, name);
    const sources = ['-f', 'lavfi', '-i', `${numberedPicture([320, 180], RATE)}`, '-f', 'lavfi', '-i', 'sine=440:r=48000'];
    await promisify(execFile)(FFMPEG, ['-v', 'error', '-y', ...sources, ...input, '-t', `${seconds}`, ...coding, path]);
    return path;
  }

  /** Another file of the same pictures and sound; `reading` is told to FFmpeg of the file that is there. */
  async copy(from: string, name: string, options: string[], reading: string[] = []): Promise<string> {
    const path = join(this.directory, name);
    await promisify(execFile)(FFMPEG, ['-v', 'error', '-y', ...reading, '-i', from, '-c', 'copy', ...options, path]);
    return path;
  }

  /** Uploads a file, for everybody; resolves with its id once it can be watched. */
  async upload(path: string, title: string, description = ''): Promise<string> {
    const file = { name: basename(path), mimeType: 'application/octet-stream', buffer: await readFile(path) };
    const multipart = { title, description, visibility: 'public', channel: 'night-market', file };
    const made = await this.page.request.post(`${this.server.origin}/api/v1/videos`, { multipart, ...AGAIN });
    if (made.status() !== 201) throw new Error(`${title}: ${await made.text()}`);
    const { id } = (await made.json()) as Video;
    await until(`${title} is ready`, 60_000, async () => {
      const { state, failure } = await this.told(id);
      if (state === 'failed') throw new Error(`${title}: ${failure}`);
      return state === 'ready';
    });
    return id;
  }

  async told(id: string): Promise<Video> {
    return (await this.page.request.get(`${this.server.origin}/api/v1/videos/${id}`, AGAIN)).json() as Promise<Video>;
  }

  async end(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Opens an address in a context of its own, as somebody who was never there. */
export async function visit(browser: Browser, address: string, options = {}): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', bypassCSP: true, ...options });
  const page = await context.newPage();
  await page.goto(address);
  return page;
}

export const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '50', '-pix_fmt', 'yuv420p'];
export const AAC = ['-c:a', 'aac', '-b:a', '64k'];
