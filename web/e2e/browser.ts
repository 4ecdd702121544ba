/** A headless Chromium for tests, the same for pages and for playback. */

import { chromium, type Browser, type BrowserContextOptions } from 'playwright-core';

/** Debian's Chromium, which decodes H.264 and AAC; another one by `CHROMIUM`. */
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts the browser. `sound` lets pages start with sound, as after a viewer's press. */
export function launch({ sound = false } = {}): Promise<Browser> {
  const args = sound ? [...FLAGS, '--autoplay-policy=no-user-gesture-required'] : FLAGS;
  return chromium.launch({ executablePath: EXECUTABLE, args });
}

/** The three widths that every page is looked at, as context options. */
export const SCREENS = {
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
  tablet: { viewport: { width: 768, height: 1024 } },
  desktop: { viewport: { width: 1440, height: 900 } },
} satisfies Record<string, BrowserContextOptions>;
