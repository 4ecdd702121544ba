/** Captions of a video: a file for each language. */

import { t } from '../lib/messages';
import { refuse, say } from './forms';
import { explain, type Problem } from './problems';

/** `data-captions` holds the path below which each language is. */
export function enableCaptions(): void {
  const form = document.querySelector<HTMLFormElement>('form[data-captions]');
  const list = document.querySelector<HTMLElement>('[data-captions-list]');
  if (!form || !list) return;
  const path = (language: string): string => (form.dataset.captions ?? '') + encodeURIComponent(language);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const { language, file } = Object.fromEntries(new FormData(form)) as { language: string; file: File };
    void change(form, list, path(language.trim()), file);
  });
  // Heard at the list, so that those that come later are among them.
  list.addEventListener('click', (event) => {
    const language = (event.target as Element).closest<HTMLElement>('[data-captions-remove]')?.dataset.captionsRemove;
    if (language) void change(form, list, path(language), null);
  });
}

async function change(form: HTMLFormElement, list: HTMLElement, path: string, file: File | null): Promise<void> {
  if (form.ariaBusy === 'true') return;
  form.ariaBusy = 'true';
  say(form, '');
  try {
    const response = await fetch(path, {
      method: file ? 'PUT' : 'DELETE',
      headers: { accept: 'application/json', ...(file && { 'content-type': 'text/vtt' }) },
      body: file,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (response.ok) {
      await show(list);
      form.reset();
      form.querySelector('input')?.focus();
      say(form, t(file ? 'form_captions_kept' : 'form_captions_removed'), true);
    } else refuse(form, explain((await response.json().catch(() => ({}))) as Problem));
  } catch {
    say(form, t('form_failed'));
  }
  form.ariaBusy = 'false';
}

/** Shows the list as the server does. */
async function show(list: HTMLElement): Promise<void> {
  const response = await fetch(location.href, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const fresh = page.querySelector<HTMLElement>('[data-captions-list]');
  if (!fresh) return;
  list.replaceChildren(...fresh.children);
  list.hidden = fresh.hidden;
}

const REQUEST_TIMEOUT_MS = 60_000;
