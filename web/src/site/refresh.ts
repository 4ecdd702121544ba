/** Keeps the part of a page that is `data-refresh` as the server would show it now. */

import { whileVisible } from './poll';

export function keepFresh(): void {
  if (!document.querySelector('[data-refresh]')) return;
  whileVisible(REFRESH_MS, async () => {
    const response = await fetch(location.href, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    const old = document.querySelector('[data-refresh]');
    const fresh = page.querySelector('[data-refresh]');
    // Who is asked something, or waits for an answer, is not disturbed.
    if (!old || !fresh || old.querySelector('details[open], [aria-busy=true], .form-error:not(:empty)')) return;
    const focused = old.contains(document.activeElement) ? document.activeElement?.id : '';
    old.replaceWith(document.adoptNode(fresh));
    if (focused) document.getElementById(focused)?.focus();
  });
}

const REFRESH_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
