/** Keeps the line under the player up to date: on air or not, viewers, uptime. */

import { findLive, type LiveStream } from '../lib/api';
import { describe } from './live-grid';
import { whileVisible } from './poll';

export function watchChannel(): void {
  const meta = document.querySelector<HTMLElement>('[data-channel-meta]');
  const offline = document.querySelector<HTMLElement>('[data-channel-offline]');
  const player = document.querySelector<HTMLElement>('[data-player]');
  if (!meta || !offline || !player) return;
  const show = (live: LiveStream | null): void => {
    meta.hidden = live === null;
    offline.hidden = live !== null;
    if (live) describe(meta, live);
  };
  player.addEventListener('live', (event) => {
    show((event as CustomEvent<LiveStream | null>).detail);
  });
  const refresh = async (): Promise<void> => {
    // An offline player asks by itself.
    if (player.dataset.state === 'offline') return;
    show(await findLive(player.dataset.app ?? '', player.dataset.name ?? ''));
  };
  whileVisible(REFRESH_MS, refresh, FIRST_MS);
}

const REFRESH_MS = 15_000;
/** Soon after opening, so that the viewers include this one. */
const FIRST_MS = 3_000;
