/** Entry of pages with a video: puts its player over the browser's own. */

import { offerStart } from './player/video/share';
import { show, type Seed } from './player/video/show';
import { startOf } from './player/video/times';

for (const root of document.querySelectorAll<HTMLElement>('[data-video]')) {
  const seed = JSON.parse(root.dataset.video ?? '{}') as Seed;
  const embedded = document.body.classList.contains('embed');
  show(root, seed, { start: startOf(location.search), autoplay: !embedded, theatre: !embedded });
  if (!embedded) offerStart(() => root.querySelector('video')?.currentTime ?? 0);
}
