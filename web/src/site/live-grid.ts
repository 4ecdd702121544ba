/** Keeps the cards of what is on air up to date, in place, so that neither focus nor scrolling is lost. */

import type { LiveStream } from '../lib/api';
import { t, tCount } from '../lib/messages';
import { duration } from '../lib/time';
import { listen } from './events';
import { whileVisible } from './poll';
import { refreshThumbnail } from './thumbnails';

export function watchLive(): void {
  keepUptimes();
  const grid = document.querySelector<HTMLElement>('[data-live-grid]');
  const list = grid?.querySelector<HTMLElement>('[data-cards]');
  const template = grid?.querySelector<HTMLTemplateElement>('[data-card-template]');
  if (!grid || !list || !template) return;
  const live = new Map<string, LiveStream>();
  const show = (): void => {
    const streams = [...live.values()].sort(latestFirst);
    update(list, template, streams);
    // What has come on air stands among the cards, and not below them as well.
    for (const row of grid.querySelectorAll<HTMLElement>('[data-channel]')) {
      row.hidden = live.has(row.dataset.channel ?? '');
    }
    for (const part of grid.querySelectorAll<HTMLElement>('[data-when]')) {
      part.hidden = (part.dataset.when === 'live') !== streams.length > 0;
    }
  };
  const keep = (streams: LiveStream[]): void => {
    for (const stream of streams) live.set(idOf(stream), stream);
  };
  listen('', {
    list: (data) => {
      live.clear();
      keep((data as { items: LiveStream[] }).items);
      show();
    },
    change: (data) => {
      const { changed, gone } = data as { changed: LiveStream[]; gone: string[] };
      for (const id of gone) live.delete(id);
      keep(changed);
      show();
    },
  });
  whileVisible(THUMBNAIL_MS, async () => {
    await Promise.all([...list.querySelectorAll<HTMLImageElement>('[data-thumbnail]')].map(refreshThumbnail));
  });
}

/** The order of the list: the latest to go on air first, then by name. */
export function latestFirst(a: LiveStream, b: LiveStream): number {
  const later = Date.parse(b.started_at) - Date.parse(a.started_at);
  return later || (idOf(a) < idOf(b) ? -1 : 1);
}

function idOf(stream: LiveStream): string {
  return `${stream.app}/${stream.name}`;
}

/** Writes what is known of `stream` into the elements of `scope` that show it. */
export function describe(scope: HTMLElement, stream: LiveStream): void {
  const waiting = stream.state === 'reconnecting';
  scope.toggleAttribute('data-waiting', waiting);
  scope.toggleAttribute('data-sound', stream.video === null);
  const texts: Record<string, string> = {
    viewers: tCount('viewers', stream.viewers),
    badge: t(waiting ? 'waiting' : 'live'),
    quality: stream.video ? size(stream.video) : t('audio_only'),
  };
  for (const [field, text] of Object.entries(texts)) {
    const element = scope.querySelector(`[data-field="${field}"]`);
    if (element && element.textContent !== text) element.textContent = text;
  }
  const uptime = scope.querySelector<HTMLTimeElement>('[data-uptime]');
  if (uptime) {
    uptime.dateTime = stream.started_at;
    tell(uptime);
  }
}

/** What one calls a picture of this size; nothing where it is not known. */
function size({ width, height }: NonNullable<LiveStream['video']>): string {
  return width && height ? `${Math.min(width, height)}p` : '';
}

function update(list: HTMLElement, template: HTMLTemplateElement, streams: LiveStream[]): void {
  const old = new Map([...list.querySelectorAll<HTMLElement>('[data-stream]')].map((card) => [card.dataset.stream, card]));
  let place: Element | null = list.firstElementChild;
  for (const stream of streams) {
    const id = idOf(stream);
    const card = old.get(id) ?? create(template, id, stream);
    old.delete(id);
    // A card that stands in its place is not touched: moving it would take the focus away.
    if (card === place) place = card.nextElementSibling;
    else list.insertBefore(card, place);
    describe(card, stream);
  }
  for (const gone of old.values()) gone.remove();
}

function create(template: HTMLTemplateElement, id: string, stream: LiveStream): HTMLElement {
  const card = (template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>('[data-stream]');
  if (!card) throw new Error('the card template holds no card');
  card.dataset.stream = id;
  const set = (field: string, text: string): void => {
    const element = card.querySelector(`[data-field="${field}"]`);
    if (element) element.textContent = text;
  };
  const name = stream.title ?? stream.name;
  set('name', name);
  if (stream.avatar_url) {
    const picture = new Image(256, 256);
    picture.src = stream.avatar_url;
    picture.alt = '';
    card.querySelector('[data-field="avatar"]')?.replaceChildren(picture);
  } else set('avatar', /[\p{L}\p{N}]/u.exec(name)?.[0].toUpperCase() ?? '');
  card.querySelector('a')?.setAttribute('href', stream.urls.page);
  const image = card.querySelector('[data-thumbnail]');
  if (stream.video) image?.setAttribute('src', stream.urls.thumbnail);
  else image?.remove();
  return card;
}

function keepUptimes(): void {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll<HTMLTimeElement>('[data-uptime]')) tell(element);
  }, 1_000);
}

function tell(element: HTMLTimeElement): void {
  const started = Date.parse(element.dateTime);
  if (Number.isNaN(started)) return;
  const text = duration((Date.now() - started) / 1000, t);
  if (element.textContent !== text) element.textContent = text;
}

/** A picture of the stream is made so often. */
const THUMBNAIL_MS = 10_000;
