/**
 * The comments below a video. Its forms go to the API like all others (`forms.ts`); what they changed is then shown as the
 * server renders it: the section alone, or one comment with its replies, from the address in `data-comments`.
 */

import { t } from '../lib/messages';

export function enableComments(): void {
  // Times lead to the page at that time; where the player is on the page, it jumps.
  document.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest<HTMLAnchorElement>('a[data-seek]');
    if (link && document.querySelector('.player')) {
      event.preventDefault();
      document.dispatchEvent(new CustomEvent('millrace:seek', { detail: Number(link.dataset.seek) }));
      return;
    }
    const section = (event.target as Element).closest<HTMLElement>('[data-comments]');
    const to = (event.target as Element).closest<HTMLAnchorElement>(LOADING);
    if (!section || !to || to.ariaBusy === 'true') return;
    event.preventDefault();
    to.ariaBusy = 'true';
    // Where it cannot be shown here, the page shows it.
    void load(section, to).catch(() => location.assign(to.href));
  });
  document.addEventListener('millrace:sent', (event) => {
    const form = event.target as HTMLFormElement;
    const section = form.closest<HTMLElement>('[data-comments]');
    const answer = (event as CustomEvent<Answer | null>).detail;
    if (section) void show(section, form, answer).catch(() => location.reload());
  });
  // What is opened to write in is written in.
  document.addEventListener('toggle', (event) => {
    const details = event.target as HTMLDetailsElement;
    if (!details.matches('.comment-open') || !details.open) return;
    const others = details.parentElement?.querySelectorAll<HTMLDetailsElement>('.comment-open[open]') ?? [];
    for (const other of others) if (other !== details) other.open = false;
    const field = details.querySelector('textarea');
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
  }, true);
}

interface Answer {
  id?: string;
  parent?: string | null;
  held?: boolean;
}

/** Shows what a link of the section leads to: another order, further comments, further replies. */
async function load(section: HTMLElement, link: HTMLAnchorElement): Promise<void> {
  const part = await fetchPart(section, new URL(link.href).searchParams);
  if (link.matches('[data-comments-load]')) {
    section.replaceWith(part);
    part.querySelector<HTMLElement>('#comments-title')?.focus();
    return;
  }
  const replies = link.matches('[data-replies-more]');
  const within = replies ? link.closest('[data-thread]') : section;
  const list = within?.querySelector(replies ? '.comment-replies' : '[data-threads]');
  const further = [...part.querySelectorAll<HTMLElement>(replies ? '.comment-replies > li' : '[data-threads] > li')];
  list?.append(...further);
  const next = part.querySelector(replies ? '[data-replies-more]' : '[data-comments-more]');
  if (next) link.replaceWith(next);
  else link.parentElement?.remove();
  const first = further[0];
  if (first) focusOn(first);
}

/** Shows what a form has changed. */
async function show(section: HTMLElement, form: HTMLFormElement, answer: Answer | null): Promise<void> {
  const act = form.dataset.act ?? '';
  const id = act === 'write' ? answer?.id : form.closest<HTMLElement>('[data-thread]')?.dataset.thread;
  if (!id) return;
  say(section, act, answer);
  if (act === 'write') form.reset();
  // Another stands above the others now, or what waited no longer does: more than one place changes.
  if (act === 'pin' || act === 'approve' || form.closest('[data-held]')) {
    const part = await fetchPart(section, new URLSearchParams());
    section.replaceWith(part);
    say(part, act, answer);
    part.querySelector<HTMLElement>('#comments-title')?.focus();
    return;
  }
  const part = await fetchPart(section, new URLSearchParams({ thread: id }));
  const count = part.querySelector('#comments-title')?.textContent;
  const title = section.querySelector<HTMLElement>('#comments-title');
  if (title && count) title.textContent = count;
  const old = section.querySelector(`[data-threads] > [data-thread="${id}"]`);
  const fresh = part.querySelector<HTMLElement>(`[data-threads] > [data-thread="${id}"]`);
  if (!fresh) {
    old?.remove();
    title?.focus();
  } else if (old) {
    old.replaceWith(fresh);
    const control = act === 'like' ? fresh.querySelector<HTMLElement>(`form[data-api$="${api(form)}"] button`) : null;
    focusOn(control ?? fresh);
  } else {
    section.querySelector('.comments-none')?.remove();
    section.querySelector('[data-threads]')?.prepend(fresh);
    focusOn(fresh);
  }
}

function api(form: HTMLFormElement): string {
  return form.dataset.api?.split(' ')[1] ?? '';
}

function focusOn(element: HTMLElement): void {
  if (!element.matches('button, a')) element.tabIndex = -1;
  element.focus();
}

function say(section: HTMLElement, act: string, answer: Answer | null): void {
  const status = section.querySelector('[data-comments-status]');
  if (!status) return;
  const written = act === 'write' || act === 'reply';
  const sent = answer?.held ? 'comment_waits' : 'comment_sent';
  status.textContent = t(written ? sent : act === 'delete' ? 'comment_deleted' : 'comment_done');
}

/** The section as the server renders it for these parameters. */
async function fetchPart(section: HTMLElement, query: URLSearchParams): Promise<HTMLElement> {
  const address = `${section.dataset.comments ?? ''}?${query.toString()}`;
  const response = await fetch(address, { cache: 'no-store', signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`the comments answered ${response.status}`);
  const part = new DOMParser().parseFromString(await response.text(), 'text/html');
  const found = part.querySelector<HTMLElement>('[data-comments]');
  if (!found) throw new Error('the answer holds no comments');
  return document.adoptNode(found);
}

const LOADING = '[data-comments-load], [data-comments-more], [data-replies-more]';
const REQUEST_TIMEOUT_MS = 15_000;
