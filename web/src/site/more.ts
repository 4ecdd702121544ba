/** Long texts of which a few lines are shown: a button shows the rest, where there is more. */

import { t } from '../lib/messages';

export function enableMore(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-more]')) {
    const text = button.previousElementSibling as HTMLElement;
    // A window that was made narrower may cut what fitted before.
    new ResizeObserver(() => {
      if (!('open' in text.dataset)) button.hidden = text.scrollHeight <= text.clientHeight + 1;
    }).observe(text);
    button.addEventListener('click', () => {
      const open = text.toggleAttribute('data-open');
      button.setAttribute('aria-expanded', String(open));
      button.textContent = t(open ? 'less' : 'more');
    });
  }
}
