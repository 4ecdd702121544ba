/** A page with the player, and what can be seen and heard of it. */

import type { Browser, BrowserContextOptions, CDPSession, Frame, Page } from 'playwright-core';

import { SCREENS } from './browser.ts';
import { readBlocks, timeOf } from './playback-clock.ts';
import { until } from './server.ts';

/** One look at the player. */
export interface Look {
  /** When, in milliseconds like `Date.now()`. */
  at: number;
  state: string;
  transport: string | undefined;
  /** Media time in seconds. */
  time: number;
  size: [width: number, height: number];
  paused: boolean;
  muted: boolean;
  rate: number;
  soundBytes: number;
  /** Seconds behind live that the page tells. */
  behind: number | null;
  /** Time of day in the picture; `null` where there is no picture, or one without the clock. */
  clock: number | null;
  /** What can be read on the player. */
  words: string;
}

export class Viewer {
  /** Pages loaded: one, as long as nobody reloads. */
  navigations = 0;
  /** What the browser complained of. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly frame: Frame,
    private readonly client: CDPSession | null,
  ) {
    page.on('framenavigated', (frame) => {
      if (frame === page.mainFrame()) this.navigations += 1;
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
  }

  /** Opens a page in a context of its own. */
  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Viewer> {
    const context = await browser.newContext({ ...SCREENS.desktop, locale: 'en', ...options });
    const page = await context.newPage();
    const viewer = new Viewer(page, page.mainFrame(), await context.newCDPSession(page));
    await page.addInitScript(keepHistory);
    await page.goto(url);
    return viewer;
  }

  /** The same page, seen through a frame in it. */
  within(frame: Frame): Viewer {
    return new Viewer(this.page, frame, null);
  }

  async look(): Promise<Look> {
    // Two functions go into the page as text: its policy forbids to make one there.
    const expression = `(${lookAround.toString()})(${readBlocks.toString()})`;
    const { blocks, ...look } = (await this.evaluate(expression)) as ReturnType<typeof lookAround>;
    return { ...look, clock: timeOf(blocks, look.at) };
  }

  /** Evaluates in the page. Playwright's own way counts as a press of the user, who would so allow sound. */
  private async evaluate(expression: string): Promise<unknown> {
    if (this.client === null) return this.frame.evaluate(expression);
    const { result, exceptionDetails } = await this.client.send('Runtime.evaluate', { expression, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until the player looks like that. */
  async sees(what: string, within: number, accepts: (look: Look) => boolean): Promise<Look> {
    let last: Look | undefined;
    try {
      return await until(what, within, async () => {
        last = await this.look();
        return accepts(last) ? last : null;
      });
    } catch (error) {
      const found = [`last seen: ${JSON.stringify(last)}`, `history: ${JSON.stringify(await this.history())}`];
      throw new Error([String(error), ...found, ...this.complaints].join('\n'), { cause: error });
    }
  }

  /** Waits for a moving picture with the right time of day. */
  plays(within = 20_000): Promise<Look> {
    return this.sees('a moving picture with its clock', within, (look) => isPlaying(look) && look.clock !== null);
  }

  /** Waits until `media` seconds of media have passed within `wall` seconds and gives both ends. */
  async runs(media: number, wall: number, within = 20_000): Promise<[first: Look, last: Look]> {
    const looks: Look[] = [];
    const last = await this.sees(`${media} s of media in ${wall} s`, within, (look) => {
      looks.push(look);
      while (look.at - (looks[0]?.at ?? 0) > wall * 1000) looks.shift();
      return isPlaying(look) && look.time >= (looks[0]?.time ?? 0) + media;
    });
    return [looks[0] ?? last, last];
  }

  /** What state, transport and words the player has gone through. */
  history(): Promise<string[]> {
    return this.frame.evaluate(() => (window as unknown as { history_: string[] }).history_);
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}

export function isPlaying(look: Look): boolean {
  return look.state === 'playing' && !look.paused && look.time > 0;
}

/** Seconds between drawing and showing the picture. */
export function latency(look: Look): number {
  return look.clock === null ? Infinity : (look.at - look.clock) / 1000;
}

/** Runs in the page. */
function lookAround(read: typeof readBlocks) {
  const player = document.querySelector<HTMLElement>('[data-player]');
  const video = document.querySelector('video');
  if (!player || !video) throw new Error('this page has no player');
  const visible = { opacityProperty: true, visibilityProperty: true };
  const said = [...player.querySelectorAll<HTMLElement>('[role=status]')].filter((element) =>
    element.checkVisibility(visible),
  );
  return {
    at: Date.now(),
    state: player.dataset.state ?? '',
    transport: player.dataset.transport,
    time: video.currentTime,
    size: [video.videoWidth, video.videoHeight] as [number, number],
    paused: video.paused,
    muted: video.muted,
    rate: video.playbackRate,
    soundBytes: (video as unknown as { webkitAudioDecodedByteCount: number }).webkitAudioDecodedByteCount,
    behind: player.dataset.behind === undefined ? null : Number(player.dataset.behind),
    blocks: read(video),
    words: said.map((element) => element.innerText || element.ariaLabel || '').join(' '),
  };
}

/** Runs in the page before its own scripts: writes down every state and transport. */
function keepHistory(): void {
  const history: string[] = [];
  (window as unknown as { history_: string[] }).history_ = history;
  const onError = ({ target }: Event): void => {
    if (target instanceof HTMLVideoElement) history.push(`broken: ${target.error?.message ?? ''}`);
  };
  addEventListener('error', onError, { capture: true });
  new MutationObserver(() => {
    const player = document.querySelector<HTMLElement>('[data-player]');
    if (!player) return;
    const words = player.querySelector<HTMLElement>('[role=status]');
    const now = [player.dataset.state, player.dataset.transport, words?.innerText.split('\n')[0] || words?.ariaLabel];
    const line = now.filter(Boolean).join(' ');
    if (line !== history.at(-1)) history.push(line);
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-state', 'data-transport'] });
}
