/** Likes of videos: the button says how many there are, and whether one's own is among them. */

import { compact } from '../lib/numbers';

export function enableLikes(): void {
  document.addEventListener('click', (event) => {
    const button = (event.target as Element).closest<HTMLElement>('[data-like]');
    if (button) void toggle(button);
  });
}

async function toggle(button: HTMLElement): Promise<void> {
  if (button.ariaBusy === 'true') return;
  button.ariaBusy = 'true';
  const liked = button.getAttribute('aria-pressed') === 'true';
  try {
    const response = await fetch(button.dataset.like ?? '', { method: liked ? 'DELETE' : 'PUT' });
    if (response.ok) {
      const now = (await response.json()) as { likes: number; liked: boolean };
      button.setAttribute('aria-pressed', String(now.liked));
      const count = button.querySelector('[data-likes]');
      if (count) count.textContent = compact(now.likes);
    }
  } catch {
    // It stays as it was, which is what is shown.
  }
  button.ariaBusy = 'false';
}
