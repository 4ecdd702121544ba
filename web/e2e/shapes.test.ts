/** Files of many shapes, as people upload them: each plays in a real browser, and is exact where one jumps to. */

import { basename } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { launch } from './browser.ts';
import { AAC, Creator, H264, RATE, visit } from './creator.ts';
import { AGAIN, Server, until } from './server.ts';
import { jump, picture, reaches, shown, size } from './watching.ts';

const OPUS = ['-c:a', 'libopus', '-b:a', '48k'];
const HEVC = ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error:keyint=50', '-tag:v', 'hvc1'];
const AV1 = ['-c:v', 'libsvtav1', '-preset', '12', '-g', '50', '-pix_fmt', 'yuv420p'];
const VP9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '300k', '-g', '50'];
const SECONDS = 4;

let server: Server;
let browser: Browser;
let creator: Creator;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start([], '[transcode]\nheights = "144"\n'), launch({ sound: true })]);
  creator = await Creator.begin(server, browser);
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  await creator?.end();
});

/** Uploads it and looks at it. */
async function watch(path: string): Promise<Page> {
  const id = await creator.upload(path, basename(path));
  return visit(browser, `${server.origin}/w/${id}`);
}

/**
 * Picture and sound come, and jumps lead to the right picture. hls.js counts from where the first picture is decoded, so
 * that pictures which are decoded `late` ones before they are shown come so much later.
 */
async function isRight(page: Page, sound = true, late = 0): Promise<void> {
  await reaches(page, 0.6);
  expect(await shown(page)).not.toBeNull();
  for (const number of [80, 7]) expect(await jump(page, number)).toBe(number - late);
  const decoded = await picture(page).evaluate((video: HTMLVideoElement & { webkitAudioDecodedByteCount?: number }) => ({
    pictures: video.getVideoPlaybackQuality().totalVideoFrames,
    sound: (video.webkitAudioDecodedByteCount ?? 0) > 0,
  }));
  expect(decoded.pictures).toBeGreaterThan(10);
  expect(decoded.sound).toBe(sound);
}

test.each<[string, string[], sound?: boolean, late?: number]>([
  ['index at the end.mp4', [...H264, ...AAC]],
  ['index first.mov', [...H264, ...AAC, '-movflags', '+faststart']],
  ['fragmented.mp4', [...H264, ...AAC, '-movflags', '+frag_keyframe+delay_moov+default_base_moof']],
  ['pictures out of order.mp4', [...H264, '-bf', '2', ...AAC], true, 2],
  ['no sound.mp4', [...H264, '-an'], false],
  ['av1.mp4', [...AV1, ...AAC]],
  ['opus.mp4', [...H264, ...OPUS]],
  ['pictures at irregular times.mp4', [...H264, '-vf', 'select=mod(n+2\\,4)', '-fps_mode', 'vfr', ...AAC]],
  ['vp9.webm', [...VP9, ...OPUS]],
  ['matroska.mkv', [...H264, ...AAC]],
])('%s plays', async (name, coding, sound, late) => {
  const page = await watch(await creator.clip(name, SECONDS, coding));
  await isRight(page, sound, late);
  await page.context().close();
});

test('a video that was held upright is shown upright', async () => {
  const path = await creator.clip('as it lies.mp4', SECONDS, [...H264, ...AAC]);
  const page = await watch(await creator.copy(path, 'upright.mp4', ['-metadata:s:v', 'rotate=90']));
  await reaches(page, 0.6);
  expect(await size(page)).toEqual([180, 320]);
  await page.context().close();
});

test('what an edit list cuts off is not shown', async () => {
  const whole = await creator.clip('whole.mp4', 2 * SECONDS, [...H264, ...AAC]);
  const page = await watch(await creator.copy(whole, 'cut.mp4', [], ['-ss', '3']));
  await reaches(page, 0.6);
  for (const number of [80, 7]) {
    const there = (await jump(page, number)) ?? 0;
    // Of another size, which may have come first, two pictures are decoded before the first is shown.
    expect(number + 3 * RATE - there).toBeOneOf([0, 1, 2]);
  }
  await page.context().close();
});

test('sound that begins later than the pictures stays where it is', async () => {
  const late = ['-itsoffset', '1', '-f', 'lavfi', '-i', 'sine=440:r=48000'];
  const page = await watch(await creator.clip('late.mp4', SECONDS, [...H264, '-map', '0', '-map', '2', ...AAC], late));
  await isRight(page);
  await page.context().close();
});

test('4K plays', async () => {
  const id = await creator.upload(await creator.clip('4K.mp4', SECONDS, [...H264, '-s', '3840x2160', ...AAC]), '4K');
  const playlist = `${server.origin}/videos/${id}/index.m3u8`;
  await until('a smaller size is made', 60_000, async () => {
    return (await (await creator.page.request.get(playlist, AGAIN)).text()).split('RESOLUTION=').length === 3;
  });
  const page = await visit(browser, `${server.origin}/w/${id}`);
  await reaches(page, 0.6);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByText('2160p', { exact: true }).click();
  await page.keyboard.press('Escape');
  await until('the larger size comes', 30_000, async () => {
    await jump(page, 80);
    return (await size(page))[1] === 2160;
  });
  expect(80 - ((await shown(page)) ?? 0)).toBeOneOf([0, 1, 2]);
  await page.context().close();
}, 120_000);

test('sound alone plays', async () => {
  const page = await watch(await creator.clip('sound.m4a', SECONDS, ['-vn', ...AAC]));
  await reaches(page, 0.6);
  expect(await size(page)).toEqual([0, 0]);
  await page.getByText('Sound only').waitFor();
  await page.context().close();
});

test('HEVC plays where the browser knows it; elsewhere it is told, and a copy plays once there is one', async () => {
  const id = await creator.upload(await creator.clip('hevc.mp4', SECONDS, [...HEVC, ...AAC]), 'hevc');
  const playlist = `${server.origin}/videos/${id}/index.m3u8`;
  await until('a copy is made', 60_000, async () => (await (await creator.page.request.get(playlist, AGAIN)).text()).includes('avc1'));
  const page = await visit(browser, `${server.origin}/about`);
  const known = await page.evaluate(() => MediaSource.isTypeSupported('video/mp4; codecs="hvc1.1.6.L60.90"'));
  if (!known) {
    // As before the copy was there.
    await page.route(playlist, async (route) => {
      const text = await (await route.fetch()).text();
      await route.fulfill({ body: text.replace(/#EXT-X-STREAM-INF[^\n]*avc1[^\n]*\n[^\n]*\n/g, '') });
    });
  }
  await page.goto(`${server.origin}/w/${id}`);
  if (known) {
    await isRight(page);
  } else {
    await page.getByText('This browser cannot play HEVC').waitFor();
    await page.unroute(playlist);
    await page.getByRole('button', { name: 'Try again' }).click();
    await reaches(page, 0.6);
    expect(await size(page)).toEqual([256, 144]);
    expect(await jump(page, 80)).toBeGreaterThan(76);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByText('A larger size is in HEVC, which this browser cannot play.').waitFor();
  }
  await page.context().close();
});

test('MP3 plays: out of the file where the browser does not take it out of segments, then as AAC', async () => {
  const path = await creator.clip('mp3.mp4', SECONDS, [...H264, '-c:a', 'libmp3lame']);
  const id = await creator.upload(path, 'mp3');
  const playlist = `${server.origin}/videos/${id}/index.m3u8`;
  const listed = async (): Promise<string> => (await creator.page.request.get(playlist, AGAIN)).text();
  await until('its sound is coded anew', 60_000, async () => (await listed()).includes('mp4a.40.2'));
  const page = await visit(browser, `${server.origin}/w/${id}`);
  await isRight(page);
  // As before that was done.
  await page.route(playlist, async (route) => {
    const text = (await (await route.fetch()).text()).replaceAll('mp4a.40.2', 'mp4a.6B');
    await route.fulfill({ body: text });
  });
  await page.goto(`${server.origin}/w/${id}`);
  await reaches(page, 0.6);
  const known = await page.evaluate(() => MediaSource.isTypeSupported('video/mp4; codecs="avc1.42c01e,mp4a.6B"'));
  const from = await picture(page).evaluate((video: HTMLVideoElement) => new URL(video.currentSrc).pathname);
  if (!known) expect(from).toBe(`/videos/${id}`);
  expect(await page.getByRole('alert').count()).toBe(0);
  await page.context().close();
});
