/** The link to share a video can begin where the video is now. */

import { t } from '../../lib/messages';
import { clock } from './times';

/** Offers it in the page's menu each time that is opened; `now` tells where the video is, in seconds. */
export function offerStart(now: () => number): void {
  const choice = document.querySelector<HTMLElement>('[data-share-start]');
  const menu = choice?.closest('details');
  const box = choice?.querySelector('input');
  const label = choice?.querySelector('span');
  const link = menu?.querySelector('[data-copy-text]');
  if (!choice || !menu || !box || !label || !link) return;
  // What is copied is the text of the link: its end changes, the rest stays as the server wrote it.
  const end = document.createElement('span');
  link.append(end);
  let at = 0;
  const show = (): void => {
    end.textContent = box.checked ? `?t=${at}` : '';
  };
  menu.addEventListener('toggle', () => {
    if (!menu.open) return;
    at = Math.floor(now());
    label.textContent = t('share_start', { time: clock(at) });
    choice.hidden = at === 0;
    if (at === 0) box.checked = false;
    show();
  });
  box.addEventListener('change', show);
}
