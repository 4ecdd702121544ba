/** Entry of pages with a video: mounts its player over the browser's own. */

import { mount } from 'svelte';

import { offerStart } from './player/video/share';
import { startOf } from './player/video/times';
import VideoPlayer from './player/video/VideoPlayer.svelte';

interface Seed {
  id: string;
  label: string;
  poster: string | null;
  hls: string;
  file: string;
  captions: { language: string; label: string; url: string }[];
  storyboard: string | null;
  frame_rate: number;
  next: { title: string; page: string; thumbnail: string | null } | null;
}

for (const root of document.querySelectorAll<HTMLElement>('[data-video]')) {
  const seed = JSON.parse(root.dataset.video ?? '{}') as Seed;
  const embedded = document.body.classList.contains('embed');
  root.replaceChildren();
  mount(VideoPlayer, {
    target: root,
    props: { ...seed, root, start: startOf(location.search), autoplay: !embedded, theatre: !embedded },
  });
  if (!embedded) offerStart(() => root.querySelector('video')?.currentTime ?? 0);
}
