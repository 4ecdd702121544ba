/** Uploads in the studio: tus 1.0, several files, each of which can stop and go on. */

import { t } from '../lib/messages';
import { duration } from '../lib/time';
import { fingerprint } from './fingerprint';
import { isUnderWay, Queue, Speed, type Queued, type UploadState } from './upload-queue';
import { giveUp, Sender } from './upload-sender';
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
  /** By what its file is known again. */
  fingerprint: string;
  file?: File;
  sender?: Sender;
  speed: Speed;
  row: HTMLElement;
}

/** An upload that the server knows. */
interface KnownUpload {
  id: string;
  received: number;
  length: number;
  file_name: string;
  video: string;
  fingerprint: string;
}

export function enableUploads(): void {
  const place = document.querySelector<HTMLElement>('[data-uploads]');
  if (place) new Uploads(place);
}

class Uploads {
  readonly #queue = new Queue<Entry>((entry) => this.#send(entry));
  readonly #unfinished: Promise<void>;
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
    this.#listen();
    this.#unfinished = this.#showUnfinished();
  }

  #listen(): void {
    const file = this.#form.elements.namedItem('file') as HTMLInputElement;
    for (const part of this.#form.querySelectorAll<HTMLElement>('[data-plain]')) part.hidden = true;
    for (const part of this.#form.querySelectorAll<HTMLElement>('[data-scripted]')) part.hidden = false;
    file.multiple = true;
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    file.addEventListener('change', () => {
      void this.#add([...(file.files ?? [])]);
      file.value = '';
    });
    this.#takeDrops();
    addEventListener('beforeunload', (event) => {
      if (!this.#queue.isActive) return;
      event.preventDefault();
      // What older browsers ask with.
      event.returnValue = t('upload_leave');
    });
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
      void this.#add([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** What is on its way from before, which goes on once its file is chosen again. */
  async #showUnfinished(): Promise<void> {
    const headers = { accept: 'application/json' };
    const asked = fetch('/api/v1/users/me/uploads', { headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    const response = await asked.catch(() => null);
    if (!response?.ok) return;
    const { items } = (await response.json()) as { items: KnownUpload[] };
    for (const { id, received, length, file_name, video, fingerprint } of items) {
      // What other programs send is none of ours.
      if (!fingerprint) continue;
      const entry = this.#entry(file_name, length, fingerprint, 'unfinished');
      Object.assign(entry, { id, video, sent: received });
      this.#queue.add(entry);
      this.#show(entry);
    }
  }

  async #add(files: readonly File[]): Promise<void> {
    // They may go on with what is there.
    await this.#unfinished;
    for (const file of files) {
      const mark = await fingerprint(file).catch(() => '');
      const there = mark && this.#queue.items.find((entry) => entry.fingerprint === mark && !OVER.has(entry.state));
      if (there && isUnderWay(there)) continue; // chosen twice
      const entry = there || this.#entry(file.name, file.size, mark, mark ? 'waiting' : 'refused');
      // What broke may have been the file's disk. What is paused may be about to begin.
      if (entry.state !== 'paused') Object.assign(entry, { file, sender: undefined });
      if (!mark) entry.words = t('upload_unreadable');
      if (there) this.#queue.set(entry, 'waiting');
      else this.#queue.add(entry);
      this.#show(entry);
    }
  }

  #entry(name: string, size: number, fingerprint: string, state: UploadState): Entry {
    const row = (this.#template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>('li');
    if (!row) throw new Error('the template of an upload holds no row');
    const entry: Entry = { name, size, fingerprint, state, sent: 0, id: '', video: '', words: '', speed: new Speed(), row };
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

  #send(entry: Entry): void {
    entry.words = t('upload_starting');
    entry.speed.forget();
    this.#show(entry);
    entry.sender ??= this.#sender(entry);
    entry.sender.go();
  }

  #sender(entry: Entry): Sender {
    const { file, fingerprint, id, name } = entry;
    if (!file) throw new Error('an upload needs its file');
    const channel = (this.#form.elements.namedItem('channel') as HTMLInputElement | HTMLSelectElement).value;
    return new Sender({ file, channel, fingerprint, id }, {
      known: (upload, video) => {
        entry.id = upload;
        entry.video = video || entry.video;
        this.#show(entry);
      },
      progress: (sent) => {
        entry.sent = sent;
        entry.speed.take(Date.now(), sent);
        if (entry.state === 'retrying') this.#queue.set(entry, 'sending');
        entry.words = progress(entry);
        this.#show(entry);
      },
      retrying: () => {
        entry.speed.forget();
        this.#stop(entry, 'retrying', t('upload_retrying', { percent: percent(entry) }));
      },
      received: () => {
        entry.sent = entry.size;
        this.#stop(entry, 'received', t('upload_received'));
        tell(t('upload_told_received', { name }));
        void refreshVideos();
      },
      failed: (why) => {
        const { words, again } = why ?? { words: t('upload_broke'), again: true };
        this.#stop(entry, again ? 'broke' : 'refused', words);
        tell(t('upload_told_refused', { name, words }));
        if (!again) void refreshVideos();
      },
    });
  }

  #pause(entry: Entry): void {
    entry.sender?.rest();
    this.#stop(entry, 'paused', t('upload_paused', { percent: percent(entry) }));
  }

  async #cancel(entry: Entry): Promise<void> {
    this.#stop(entry, 'cancelled', t('upload_cancelled'));
    const gone = await (entry.sender ? entry.sender.end() : giveUp(entry.id));
    if (!gone) this.#stop(entry, 'received', t('upload_received'));
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
const REQUEST_TIMEOUT_MS = 10_000;
