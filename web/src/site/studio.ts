/** The studio: keys that stay hidden until they are wanted, and how what arrives is doing. */

import { findLive, type LiveHealth } from '../lib/api';
import { t } from '../lib/messages';
import { compact } from '../lib/numbers';
import { draw } from './chart';
import { whileVisible } from './poll';

/** Hides stream keys behind a button, where scripts run. */
export function hideSecrets(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-reveal]')) {
    const secret = button.parentElement?.querySelector<HTMLElement>('[data-secret]');
    if (!secret) continue;
    button.hidden = false;
    secret.dataset.secret = 'hidden';
    button.addEventListener('click', () => {
      const shown = secret.dataset.secret === 'hidden';
      secret.dataset.secret = shown ? 'shown' : 'hidden';
      button.setAttribute('aria-pressed', String(shown));
    });
  }
}

export function watchHealth(): void {
  const health = document.querySelector<HTMLElement>('[data-health]');
  const silence = document.querySelector<HTMLElement>('[data-silence]');
  if (!health || !silence) return;
  const { app = '', name = '' } = health.dataset;
  const history: { bitrate: number[]; rate: number[] } = { bitrate: [], rate: [] };
  let damaged: number | undefined;
  const refresh = async (): Promise<void> => {
    const live = await findLive(app, name);
    health.hidden = live === null;
    silence.hidden = live !== null;
    if (!live) {
      history.bitrate = [];
      history.rate = [];
      damaged = undefined;
      return;
    }
    history.bitrate = [...history.bitrate, bitrate(live)].slice(-KEPT);
    history.rate = [...history.rate, live.video?.frame_rate ?? 0].slice(-KEPT);
    show(health, live, history);
    const more = live.damaged_frames - (damaged ?? live.damaged_frames);
    damaged = live.damaged_frames;
    const words = warnings(live, more);
    health.querySelector('[data-warnings]')?.replaceChildren(
      ...words.map((text) => {
        const item = document.createElement('li');
        item.textContent = text;
        return item;
      }),
    );
  };
  whileVisible(REFRESH_MS, refresh, 0);
}

function show(health: HTMLElement, live: LiveHealth, history: { bitrate: number[]; rate: number[] }): void {
  const set = (field: string, text: string): void => {
    const place = health.querySelector(`[data-field="${field}"]`);
    if (place) place.textContent = text;
  };
  const rate = live.video?.frame_rate;
  set('bitrate', t('unit_kbit', { n: compact(bitrate(live)) }));
  set('rate', rate === null || rate === undefined ? '–' : rate.toFixed(1).replace(/\.0$/, ''));
  set('viewers', compact(live.viewers));
  set('gop', live.gop_seconds === null ? '–' : t('unit_seconds', { n: live.gop_seconds.toFixed(1).replace(/\.0$/, '') }));
  set('damaged', compact(live.damaged_frames));
  const { video, audio } = live;
  const size = video?.width && video.height ? `${video.width} × ${video.height}` : '';
  set('format', [size, video?.codec, audio?.codec].filter(Boolean).join(' · '));
  for (const field of ['bitrate', 'rate'] as const) {
    const most = Math.max(0, ...history[field]);
    const label = t('chart_recent', { value: compact(most) });
    health.querySelector(`[data-chart="${field}"]`)?.replaceChildren(draw(history[field], most, KEPT, label));
  }
}

/** What the publisher should mend, in plain words, the most serious first. */
export function warnings(live: LiveHealth, newlyDamaged: number): string[] {
  const words: string[] = [];
  const { video, audio } = live;
  if (live.state === 'reconnecting') words.push(t('health_away'));
  if (newlyDamaged > 0) words.push(t('health_damaged'));
  if (live.gop_seconds !== null && live.gop_seconds > LONG_GOP) {
    words.push(t('health_gop', { n: Math.round(live.gop_seconds) }));
  }
  const rate = video?.frame_rate ?? FEW_PICTURES;
  if (rate < FEW_PICTURES) {
    words.push(t('health_rate', { n: Math.round(rate) }));
  }
  if (bitrate(live) > MUCH) words.push(t('health_bitrate', { n: Math.round(bitrate(live) / 1000) }));
  if (video && !/^avc/.test(video.codec)) words.push(t('health_codec', { codec: video.codec }));
  if (!audio) words.push(t('health_silent'));
  return words;
}

function bitrate(live: LiveHealth): number {
  return (live.video?.kbit_s ?? 0) + (live.audio?.kbit_s ?? 0);
}

/** Seconds; viewers wait so long for a picture, and low latency is out of reach. */
const LONG_GOP = 4.5;
const FEW_PICTURES = 15;
/** kbit/s that many viewers' lines do not carry. */
const MUCH = 10_000;
/** Samples of three minutes. */
const KEPT = 90;
const REFRESH_MS = 2_000;
