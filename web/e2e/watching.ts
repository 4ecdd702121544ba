/** What a viewer of a video sees: where it is, and which of its pictures is shown. */

import type { Locator, Page } from 'playwright-core';

import { RATE } from './creator.ts';
import { readBlocks, ticksOf } from './playback-clock.ts';
import { until } from './server.ts';

export function picture(page: Page): Locator {
  return page.locator('.player-video video');
}

export function time(page: Page): Promise<number> {
  return picture(page).evaluate((video: HTMLVideoElement) => video.currentTime);
}

/** Pixels of the picture. */
export function size(page: Page): Promise<[width: number, height: number]> {
  return picture(page).evaluate((video: HTMLVideoElement) => [video.videoWidth, video.videoHeight]);
}

/** Resolves once it has played to this second. */
export async function reaches(page: Page, at: number): Promise<void> {
  await until(`it plays to ${at}`, 30_000, async () => (await time(page).catch(() => 0)) > at);
}

/** The number in the picture that is shown; `null` where none can be read. */
export async function shown(page: Page): Promise<number | null> {
  return ticksOf(await picture(page).evaluate(readBlocks));
}

/** Rests, moves to the middle of a picture's time, and resolves with the number in the picture that is shown there. */
export async function jump(page: Page, number: number): Promise<number | null> {
  await picture(page).evaluate(async (video: HTMLVideoElement, to) => {
    video.pause();
    const there = new Promise((resolve) => video.addEventListener('seeked', resolve, { once: true }));
    video.currentTime = to;
    await there;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  }, (number + 0.5) / RATE);
  return shown(page);
}
