/** Uploads in the studio: tus 1.0, several files, each of which can stop and go on. */

import type { DetailedError, Upload as Tus } from 'tus-js-client';

import { t } from '../lib/messages';
import { duration } from '../lib/time';
import { goesOn, Queue, Speed, type KnownUpload, type Queued, type UploadState } from './upload-queue';
import { refusal } from './upload-words';
import { refreshVideos, showAbove, tell } from './videos';

interface Entry extends Queued {
  name: string;
  size: number;
  /** Bytes that are at the server. */
  sent: number;
  /** The server's id of the upload and of the video that it becomes, where they are known. */
  id: string;
  video: string;
  /** What is to be said beside it. */
  words: string;
  file?: File;
  tus?: Tus;
  speed: Speed;
  row: HTMLElement;
}

export function enableUploads(): void {
  const place = document.querySelector<HTMLElement>('[data-uploads]');
  if (place) void new Uploads(place).begin();
}

class Uploads {
  readonly #queue = new Queue<Entry>((entry) => void this.#send(entry));
  readonly #form: HTMLFormElement;
  readonly #list: HTMLElement;
  readonly #template: HTMLTemplateElement;

  constructor(place: HTMLElement) {
    const find = <E extends Element>(selector: string): E => {
      const found = place.querySelector<E>(selector);
      if (!found) throw new Error(`the place for uploads holds no ${selector}`);
      return found;
    };
    this.#form = find('form');
    this.#list = find('[data-uploads-list]');
    this.#template = find('template[data-upload-row]');
  }

  async begin(): Promise<void> {
    const file = this.#form.elements.namedItem('file') as HTMLInputElement;
    for (const part of this.#form.querySelectorAll<HTMLElement>('[data-plain]')) part.hidden = true;
    for (const part of this.#form.querySelectorAll<HTMLElement>('[data-scripted]')) part.hidden = false;
    file.multiple = true;
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    file.addEventListener('change', () => {
      this.#add(file.files);
      file.value = '';
    });
    this.#takeDrops();
    addEventListener('beforeunload', (event) => {
      if (!this.#queue.isActive) return;
      event.preventDefault();
      // What older browsers ask with.
      event.returnValue = t('upload_leave');
    });
    await this.#showUnfinished();
  }

  #takeDrops(): void {
    const carries = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
    const over = (yes: boolean): void => void document.body.toggleAttribute('data-dropping', yes);
    document.addEventListener('dragover', (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      over(true);
    });
    document.addEventListener('dragleave', (event) => {
      if (!event.relatedTarget) over(false);
    });
    document.addEventListener('drop', (event) => {
      over(false);
      if (!carries(event)) return;
      event.preventDefault();
      this.#add(event.dataTransfer?.files);
    });
  }

  /** What is on its way from before, which goes on once its file is chosen again. */
  async #showUnfinished(): Promise<void> {
    const response = await fetch('/api/v1/users/me/uploads', { headers: { accept: 'application/json' } }).catch(() => null);
    if (!response?.ok) return;
    const { items } = (await response.json()) as { items: KnownUpload[] };
    for (const { id, received, length, file_name, video } of items) {
      // It may have been begun while the answer was on its way.
      if (this.#queue.items.some((entry) => entry.id === id || entry.video === video)) continue;
      const entry = this.#entry(file_name, length, 'unfinished');
      Object.assign(entry, { id, video, sent: received });
      this.#queue.add(entry);
      this.#show(entry);
    }
  }

  #add(files: FileList | null | undefined): void {
    for (const file of files ?? []) {
      const there = this.#queue.items.find((entry) => goesOn(file, entry) && !OVER.has(entry.state));
      if (there?.file) continue; // chosen twice
      const entry = there ?? this.#entry(file.name, file.size, 'waiting');
      entry.file = file;
      if (there) this.#queue.set(entry, 'waiting');
      else this.#queue.add(entry);
      this.#show(entry);
    }
  }

  #entry(name: string, size: number, state: UploadState): Entry {
    const row = (this.#template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>('li');
    if (!row) throw new Error('the template of an upload holds no row');
    const entry: Entry = { name, size, state, sent: 0, id: '', video: '', words: '', speed: new Speed(), row };
    set(row, 'name', name);
    field(row, 'progress')?.setAttribute('aria-label', name);
    const acts: Record<string, () => void> = {
      pause: () => this.#pause(entry),
      resume: () => this.#queue.set(entry, 'waiting'),
      cancel: () => void this.#cancel(entry),
      dismiss: () => this.#dismiss(entry),
    };
    for (const [name_, act] of Object.entries(acts)) {
      const button = row.querySelector(`[data-act="${name_}"]`);
      button?.setAttribute('aria-label', `${button.textContent}: ${name}`);
      button?.addEventListener('click', () => {
        act();
        this.#show(entry);
      });
    }
    this.#list.append(row);
    this.#list.hidden = false;
    return entry;
  }

  async #send(entry: Entry): Promise<void> {
    entry.words = t('upload_starting');
    entry.speed.forget();
    this.#show(entry);
    if (entry.tus) {
      entry.tus.start();
      return;
    }
    try {
      entry.tus = await this.#prepare(entry);
    } catch {
      this.#stop(entry, 'broke', t('upload_broke'));
      return;
    }
    // It may have been stopped meanwhile.
    if (entry.state === 'sending') entry.tus.start();
  }

  async #prepare(entry: Entry): Promise<Tus> {
    const { Upload } = await import('tus-js-client');
    const { file } = entry;
    if (!file) throw new Error('an upload needs its file');
    const channel = this.#form.elements.namedItem('channel') as HTMLInputElement | HTMLSelectElement;
    const upload = new Upload(file, {
      endpoint: ENDPOINT,
      uploadUrl: entry.id ? `${ENDPOINT}/${entry.id}` : null,
      metadata: { filename: file.name, channel: channel.value },
      // The first piece is small: what is no video is refused by it, before the rest is sent.
      chunkSize: FIRST_PIECE,
      retryDelays: RETRY_MS,
      removeFingerprintOnSuccess: true,
      onUploadUrlAvailable: () => {
        entry.id = upload.url?.split('/').at(-1) ?? '';
      },
      onAfterResponse: (_, response) => {
        const video = response.getHeader('millrace-video');
        if (!video) return;
        entry.video = video;
        this.#show(entry);
      },
      onProgress: (sent) => {
        entry.sent = sent;
        entry.speed.take(Date.now(), sent);
        if (entry.state === 'retrying') this.#queue.set(entry, 'sending');
        entry.words = progress(entry);
        this.#show(entry);
      },
      onChunkComplete: () => {
        upload.options.chunkSize = PIECE;
      },
      onShouldRetry: (error) => {
        if (verdict(error) !== null) return false;
        entry.speed.forget();
        this.#stop(entry, 'retrying', t('upload_retrying', { percent: percent(entry) }));
        return true;
      },
      onSuccess: () => {
        entry.sent = entry.size;
        this.#stop(entry, 'received', t('upload_received'));
        tell(t('upload_told_received', { name: entry.name }));
        void refreshVideos();
      },
      onError: (error) => {
        const { words, again } = verdict(error as DetailedError) ?? { words: t('upload_broke'), again: true };
        this.#stop(entry, again ? 'broke' : 'refused', words);
        tell(t('upload_told_refused', { name: entry.name, words }));
        if (!again) void refreshVideos();
      },
    });
    const [previous] = await upload.findPreviousUploads();
    if (previous) upload.resumeFromPreviousUpload(previous);
    return upload;
  }

  #pause(entry: Entry): void {
    void entry.tus?.abort();
    this.#stop(entry, 'paused', t('upload_paused', { percent: percent(entry) }));
  }

  async #cancel(entry: Entry): Promise<void> {
    this.#stop(entry, 'cancelled', t('upload_cancelled'));
    try {
      if (entry.tus) await entry.tus.abort(true);
      else if (entry.id) await (await import('tus-js-client')).Upload.terminate(`${ENDPOINT}/${entry.id}`);
    } catch {
      // The server gives up by itself what rests.
    }
    await refreshVideos();
  }

  #dismiss(entry: Entry): void {
    const next = (entry.row.nextElementSibling ?? entry.row.previousElementSibling)?.querySelector<HTMLElement>('.button:not([hidden])');
    entry.row.remove();
    this.#queue.remove(entry);
    this.#list.hidden = this.#queue.items.length === 0;
    (next ?? (this.#form.elements.namedItem('file') as HTMLElement)).focus();
    showAbove(this.#shown());
  }

  #stop(entry: Entry, state: UploadState, words: string): void {
    entry.words = words;
    this.#queue.set(entry, state);
    this.#show(entry);
  }

  /** Writes what is known of an upload into its row. */
  #show(entry: Entry): void {
    const { row, state } = entry;
    if (state === 'waiting') entry.words = t('upload_waiting');
    if (state === 'unfinished') entry.words = t('upload_unfinished', { percent: percent(entry) });
    set(row, 'state', entry.words);
    row.dataset.state = state;
    const bar = field<HTMLProgressElement>(row, 'progress');
    if (bar) {
      bar.value = percent(entry);
      bar.hidden = OVER.has(state);
    }
    const acts: Record<string, readonly UploadState[]> = {
      pause: ['waiting', 'sending', 'retrying'],
      resume: ['paused', 'broke'],
      cancel: ['waiting', 'sending', 'retrying', 'paused', 'broke', 'unfinished'],
      dismiss: ['received', 'refused', 'cancelled'],
      edit: ['received'],
    };
    const focused = document.activeElement;
    for (const [name, states] of Object.entries(acts)) {
      const act = row.querySelector<HTMLElement>(`[data-act="${name}"]`);
      if (act) act.hidden = !states.includes(state) || (name === 'edit' && !entry.video);
    }
    if (entry.video) row.querySelector('a[data-act=edit]')?.setAttribute('href', `/studio/videos/${entry.video}`);
    // Whoever pressed what is gone stands at what has come in its place.
    if (focused instanceof HTMLElement && focused.hidden && row.contains(focused)) {
      row.querySelector<HTMLElement>('.button:not([hidden])')?.focus();
    }
    showAbove(this.#shown());
  }

  /** Videos whose upload is told of here, and need not be below. */
  #shown(): string[] {
    return this.#queue.items.filter(({ state, video }) => video && !OVER.has(state)).map(({ video }) => video);
  }
}

function verdict(error: DetailedError): ReturnType<typeof refusal> {
  const response = error.originalResponse;
  return response ? refusal(response.getStatus(), response.getBody()) : null;
}

function progress(entry: Entry): string {
  const speed = entry.speed.perSecond;
  if (!speed) return `${percent(entry)} %`;
  const time = duration(Math.ceil((entry.size - entry.sent) / speed), t);
  return t('upload_sending', { percent: percent(entry), speed: rate(speed), time });
}

function percent({ sent, size }: Entry): number {
  return size > 0 ? Math.floor((sent * 100) / size) : 0;
}

/** Bits per second as people write them. */
function rate(bytes: number): string {
  const kbit = (bytes * 8) / 1000;
  const round = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
  return kbit < 1000 ? t('unit_kbit', { n: Math.round(kbit) }) : t('unit_mbit', { n: round(kbit / 1000) });
}

function field<E extends HTMLElement>(row: HTMLElement, name: string): E | null {
  return row.querySelector<E>(`[data-field="${name}"]`);
}

function set(row: HTMLElement, name: string, text: string): void {
  const place = field(row, name);
  if (place && place.textContent !== text) place.textContent = text;
}

const OVER: ReadonlySet<UploadState> = new Set(['received', 'refused', 'cancelled']);
const ENDPOINT = '/api/v1/uploads';
const FIRST_PIECE = 64 * 1024;
/** Passes through servers in between, which have limits. */
const PIECE = 48 * 1024 * 1024;
const RETRY_MS = [0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000, 60_000, 60_000];
