/** Entry of pages with the player: mounts it over its cover. */

import { mount } from 'svelte';

import type { LiveStream } from './lib/api';
import Player from './player/Player.svelte';
import { wantedTransport } from './player/transport';

for (const root of document.querySelectorAll<HTMLElement>('[data-player]')) {
  const { app = '', name = '', token, live, label = '', poster = '', lastOn } = root.dataset;
  mount(Player, {
    target: root,
    props: {
      app,
      name,
      token,
      label,
      poster,
      root,
      known: live === undefined ? null : (JSON.parse(live) as LiveStream),
      lastOn: lastOn === undefined ? null : new Date(lastOn),
      wanted: wantedTransport(location.search),
      theatre: !document.body.classList.contains('embed'),
    },
  });
}
