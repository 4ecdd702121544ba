/** The studio's videos as the server would show them now, while something happens to them. */

import { t } from '../lib/messages';
import { say } from './forms';
import { whileVisible } from './poll';

export function keepVideos(): void {
  for (const time of document.querySelectorAll<HTMLTimeElement>('time[data-local]')) {
    const at = new Date(time.dateTime);
    time.textContent = at.toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' });
  }
  const place = document.querySelector<HTMLElement>(PLACE);
  if (!place) return;
  // What was saved is said of it above.
  document.querySelector('.video-edit')?.addEventListener('millrace:sent', () => void refreshVideos());
  place.addEventListener('millrace:sent', (event) => {
    const form = event.target as HTMLFormElement;
    const row = form.dataset.api?.startsWith('DELETE ') ? form.closest('.video') : null;
    void refreshVideos().then(() => row && offerUndo(row));
  });
  document.querySelector(UNDO)?.addEventListener('millrace:sent', () => void takeBack());
  whileVisible(REFRESH_MS, async () => {
    if (document.querySelector(`${PLACE} [data-busy]:not([hidden])`)) await refreshVideos();
  });
}

/** Asks the server, and changes what has changed. What cannot be asked now stays as it is. */
export async function refreshVideos(): Promise<void> {
  const response = await fetch(location.href, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const part of document.querySelectorAll('[data-live]')) {
    const now = page.getElementById(part.id);
    if (now) exchange(part, now);
  }
  const [old, fresh] = [document.querySelector(PLACE), page.querySelector(PLACE)];
  if (!old || !fresh) return;
  const parts = (place: Element): string => [...place.children].map((part) => part.getAttribute('data-part')).join();
  if (parts(old) !== parts(fresh)) {
    old.replaceChildren(...fresh.children);
    showAbove(above);
    return;
  }
  for (const [at, part] of [...fresh.children].entries()) {
    const there = old.children[at];
    if (there && part.getAttribute('data-part') === 'rows') mergeRows(there, part);
    else if (there) exchange(there, part);
  }
}

/** Hides the rows of videos that are told of above. */
export function showAbove(videos: readonly string[]): void {
  above = videos;
  for (const row of document.querySelectorAll<HTMLElement>(`${PLACE} .video`)) row.hidden = above.includes(idOf(row));
}

/** Tells those who do not see it. */
export function tell(words: string): void {
  const place = document.querySelector('[data-told]');
  if (place) place.textContent = words;
}

/** Says that the video of a row is in the trash, and stands at the way back. */
function offerUndo(row: Element): void {
  const undo = document.querySelector<HTMLFormElement>(UNDO);
  const said = undo?.querySelector('.undo-text');
  if (!undo || !said) return;
  trashed = { row: row.id, name: row.querySelector('.row-title')?.textContent ?? '' };
  said.textContent = t('video_trashed', { name: trashed.name });
  undo.dataset.api = `POST /api/v1/videos/${idOf(row)}/restore`;
  say(undo, '');
  undo.hidden = false;
  undo.querySelector('button')?.focus();
  tell(said.textContent);
}

/** The video is back: so is whoever took it back. */
async function takeBack(): Promise<void> {
  const undo = document.querySelector<HTMLFormElement>(UNDO);
  if (!undo) return;
  await refreshVideos();
  undo.hidden = true;
  document.getElementById(trashed.row)?.querySelector<HTMLElement>('.row-title')?.focus();
  tell(t('video_restored', { name: trashed.name }));
}

function mergeRows(list: Element, fresh: Element): void {
  const old = new Map([...list.children].map((row) => [row.id, row as HTMLElement]));
  let place: Element | null = list.firstElementChild;
  for (const row of [...fresh.children] as HTMLElement[]) {
    row.hidden = above.includes(idOf(row));
    const there = old.get(row.id);
    old.delete(row.id);
    const now = there ? exchange(there, row) : (document.adoptNode(row) as Element);
    if (there === place) place = now.nextElementSibling;
    else list.insertBefore(now, place);
  }
  for (const gone of old.values()) {
    const next = (gone.nextElementSibling ?? gone.previousElementSibling)?.querySelector<HTMLElement>('a');
    if (gone.contains(document.activeElement)) next?.focus();
    gone.remove();
  }
}

/** Puts `fresh` in the place of `old` where they differ; what stands there then. */
function exchange(old: Element, fresh: Element): Element {
  // Who waits for an answer, or was refused, is not disturbed.
  if (old.isEqualNode(fresh) || old.querySelector('[aria-busy=true], .form-error:not(:empty)')) return old;
  const words = (element: Element): string => element.querySelector('[data-state]')?.textContent ?? '';
  const [before, after] = [words(old), words(fresh)];
  if (before.replace(/\d+/g, '') !== after.replace(/\d+/g, '')) {
    const name = fresh.querySelector('.row-title')?.textContent ?? document.querySelector('h1')?.textContent ?? '';
    tell(t('video_told', { name, state: after }));
  }
  const press = (element: Element): HTMLElement[] => [...element.querySelectorAll<HTMLElement>('a, button')];
  const focused = press(old).indexOf(document.activeElement as HTMLElement);
  const now = document.adoptNode(fresh);
  old.replaceWith(now);
  if (focused >= 0) press(now).at(Math.min(focused, press(now).length - 1))?.focus();
  return now;
}

function idOf(row: Element): string {
  return row.id.replace(/^video-/, '');
}

let trashed = { row: '', name: '' };
let above: readonly string[] = [];
const PLACE = '[data-live-rows]';
const UNDO = 'form[data-undo]';
const REFRESH_MS = 2_000;
const REQUEST_TIMEOUT_MS = 10_000;
