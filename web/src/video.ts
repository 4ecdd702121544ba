/** Entry of pages with a video: mounts its player over the browser's own. */

import { mount } from 'svelte';

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
}

for (const root of document.querySelectorAll<HTMLElement>('[data-video]')) {
  const seed = JSON.parse(root.dataset.video ?? '{}') as Seed;
  const embedded = document.body.classList.contains('embed');
  root.replaceChildren();
  mount(VideoPlayer, {
    target: root,
    props: { ...seed, root, start: startOf(location.search), autoplay: !embedded, theatre: !embedded },
  });
}

// Times in descriptions and comments jump.
document.addEventListener('click', (event) => {
  const link = (event.target as Element).closest<HTMLElement>('a[data-seek]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  document.dispatchEvent(new CustomEvent('millrace:seek', { detail: Number(link.dataset.seek) }));
});
