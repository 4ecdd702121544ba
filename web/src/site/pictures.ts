import { t } from '../lib/messages';
import { refuse, say } from './forms';
import { explain, type Problem } from './problems';

/**
 * Places for a picture: `data-picture` holds the path that takes it, `data-picture-field` the field of the answer that
 * says where it is. What is chosen is sent at once, and shown as the site keeps it; `data-picture-choice` is the number of
 * one that the site has already.
 */
export function enablePictures(): void {
  for (const form of document.querySelectorAll<HTMLFormElement>('form[data-picture]')) {
    const file = form.querySelector<HTMLInputElement>('input[type=file]');
    form.addEventListener('submit', (event) => event.preventDefault());
    file?.addEventListener('change', () => {
      const chosen = file.files?.[0];
      if (chosen) void change(form, chosen);
    });
    // Heard at the form, so that those that come later are among them.
    form.addEventListener('click', (event) => {
      const choice = (event.target as Element).closest<HTMLElement>('[data-picture-choice]');
      if (choice) void change(form, Number(choice.dataset.pictureChoice));
    });
    form.querySelector('[data-picture-remove]')?.addEventListener('click', () => void change(form, null));
  }
}

async function change(form: HTMLFormElement, picture: File | number | null): Promise<void> {
  if (form.ariaBusy === 'true') return;
  form.ariaBusy = 'true';
  say(form, '');
  const path = form.dataset.picture ?? '';
  const kind = picture instanceof File ? picture.type || 'image/*' : picture === null ? '' : 'application/json';
  const file = form.querySelector<HTMLInputElement>('input[type=file]');
  try {
    if (picture instanceof File && picture.size > MAX_BYTES) say(form, t('form_picture'));
    else {
      const response = await fetch(path, {
        method: picture === null ? 'DELETE' : 'PUT',
        headers: { accept: 'application/json', ...(kind && { 'content-type': kind }) },
        body: typeof picture === 'number' ? JSON.stringify({ choice: picture }) : picture,
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      const answer = (await response.json().catch(() => ({}))) as Problem & Record<string, unknown>;
      if (response.ok) {
        show(form, answer[form.dataset.pictureField ?? ''] as string | null);
        follow(path, Number(answer.version));
        say(form, t(picture === null ? 'form_picture_removed' : 'form_picture_kept'), true);
        // Where one was that is gone.
        if (picture === null) file?.focus();
      } else if (['001', '008'].includes(answer.error_code ?? '')) say(form, t('form_picture'));
      else refuse(form, explain(answer));
    }
  } catch {
    say(form, t('form_failed'));
  }
  if (file) file.value = '';
  form.ariaBusy = 'false';
}

function show(form: HTMLFormElement, url: string | null): void {
  const image = form.querySelector<HTMLImageElement>('img');
  const remove = form.querySelector<HTMLElement>('[data-picture-remove]');
  if (!image) return;
  if (url) image.src = url;
  else image.removeAttribute('src');
  image.hidden = !url;
  if (remove) remove.hidden = !url;
}

/** The page's form of the same thing goes on from the version that the picture made, unless somebody else made one too. */
function follow(path: string, version: number): void {
  const of = path.slice(0, path.lastIndexOf('/'));
  for (const form of document.querySelectorAll<HTMLFormElement>('form[data-version]')) {
    const same = form.dataset.api?.split(' ')[1] === of;
    if (same && Number(form.dataset.version) === version - 1) form.dataset.version = String(version);
  }
}

const MAX_BYTES = 5 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 120_000;
