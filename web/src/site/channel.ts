/** Keeps the line under the player up to date: on air or not, viewers, uptime. */

import type { LiveStream } from '../lib/api';
import { listen } from './events';
import { describe } from './live-grid';

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
  const stream = `${player.dataset.app ?? ''}/${player.dataset.name ?? ''}`;
  listen(`?stream=${encodeURIComponent(stream)}`, {
    stream: (data) => {
      const live = data as LiveStream | null;
      show(live);
      // It need not ask by itself any more.
      if (live) player.dispatchEvent(new Event('onair'));
    },
  });
}
