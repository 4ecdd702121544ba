import { createRequire } from 'node:module';

import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

import { SCREENS } from './browser.ts';

/** What axe finds on a page whose policy is set aside. */
export async function axe(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: AXE });
  const results: AxeResults = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run: () => Promise<AxeResults> } }).axe.run(),
  );
  expect(results.passes.length).toBeGreaterThan(5);
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
}

/** At every width at which pages are looked at, axe finds nothing, and nothing scrolls sideways. */
export async function accessible(page: Page): Promise<void> {
  for (const { viewport } of Object.values(SCREENS)) {
    await page.setViewportSize(viewport);
    expect(await axe(page), `${page.url()} at ${viewport.width}`).toEqual([]);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(overflow, `${page.url()} at ${viewport.width}`).toBe(0);
  }
  await page.setViewportSize(SCREENS.desktop.viewport);
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
