/**
 * Takes a picture of every page in every state, width, theme and language, to be looked at:
 *
 *     SCREENSHOTS=/tmp/pages SHOTS=home npm run e2e -- screenshots
 */

import { mkdir } from 'node:fs/promises';

import { test } from 'vitest';

import { launch, SCREENS } from './browser.ts';
import { Preview, type Scene } from './preview.ts';

const folder = process.env.SCREENSHOTS;
const filter = new RegExp(process.env.SHOTS ?? '');

const SHOTS: [name: string, scene: Scene, path: string][] = [
  ['home-full', 'full', '/'],
  ['home-one', 'one', '/'],
  ['home-empty', 'empty', '/'],
  ['home-long', 'long', '/'],
  ['home-broken', 'broken', '/'],
  ['channel-live', 'full', '/@harbour'],
  ['channel-offline', 'one', '/@yesterday'],
  ['channel-publisher-gone', 'full', '/@kitchen'],
  ['channel-codec', 'full', '/@first-light'],
  ['channel-sound', 'full', '/@radio-river'],
  ['channel-long', 'long', '/@a-very-long-name-that-somebody-chose-because-nobody-stopped-them'],
  ['channel-about', 'full', '/@yesterday#about'],
  ['channel-about-nothing', 'full', '/@bees#about'],
  ['browse', 'full', '/browse'],
  ['browse-nothing', 'empty', '/browse/art'],
  ['search', 'full', '/search?q=night'],
  ['search-nothing', 'full', '/search?q=nothing-at-all&language=fr'],
  ['embed-locked', 'empty', '/embed/@locked'],
  ['embed-offline', 'empty', '/embed/@yesterday'],
  ['about', 'empty', '/about'],
  ['api', 'empty', '/about/api'],
  ['go-live', 'empty', '/go-live'],
  ['not-found', 'empty', '/nothing'],
];

test.runIf(folder)('pictures of every page', { timeout: 600_000 }, async () => {
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  const preview = await Preview.start();
  const browser = await launch();
  try {
    for (const [name, scene, path] of SHOTS) {
      await preview.show(scene);
      for (const [screen, options] of Object.entries(SCREENS)) {
        for (const colorScheme of ['light', 'dark'] as const) {
          for (const locale of ['en', 'zh-CN']) {
            const file = `${name}.${screen}.${colorScheme}.${locale}.png`;
            if (!filter.test(file)) continue;
            const context = await browser.newContext({ ...options, colorScheme, locale });
            const page = await context.newPage();
            await page.goto(preview.origin + path);
            await page.waitForTimeout(700);
            await page.screenshot({ path: `${folder}/${file}`, fullPage: true });
            await context.close();
          }
        }
      }
    }
  } finally {
    await browser.close();
    preview.stop();
  }
});
