/** One file on its way by tus: it may be stopped and told to go on at any moment, and there is one upload of it, or none. */

import type * as Tus from 'tus-js-client';

import { refusal, type Refusal } from './upload-words';

/** What is told of it while it is wanted. */
export interface Told {
  /** The server's ids of the upload and of the video that it becomes. */
  known(upload: string, video: string): void;
  progress(sent: number): void;
  /** The line broke, and it goes on by itself. */
  retrying(): void;
  received(): void;
  /** It stopped; `null` where the line does not come back. */
  failed(why: Refusal | null): void;
}

/** What one sends. */
export interface Sent {
  file: File;
  channel: string;
  fingerprint: string;
  /** The server's id of the upload, where part of it is there. */
  id: string;
}

/**
 * tus-js-client loses sight of an upload that is stopped while the server makes it, and makes another. So what is asked
 * meanwhile is a wish, which is fulfilled once it is known where the upload is.
 */
export class Sender {
  #wish: 'send' | 'rest' | 'end' = 'rest';
  /** Whether a start is under way, up to the upload's address or a failure. */
  #starting = false;
  #tus: Tus.Upload | undefined;
  #id: string;
  #video = '';
  /** Starts that brought nothing to the server, and what it had at the last that did. */
  #tries = 0;
  #had = 0;
  #counted = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ended: (gone: boolean) => void = () => undefined;

  constructor(
    private readonly sent: Sent,
    private readonly told: Told,
    private readonly load = loadTus,
  ) {
    this.#id = sent.id;
  }

  /** Begins, or goes on. */
  go(): void {
    this.#wish = 'send';
    this.#tries = 0;
    void this.#start();
  }

  /** Stops for a while. */
  rest(): void {
    this.#wish = 'rest';
    this.#halt();
  }

  /** Gives up. Resolves when nothing of it is at the server, or to `false` where it was received before. */
  end(): Promise<boolean> {
    this.#wish = 'end';
    return new Promise((resolve) => {
      this.#ended = resolve;
      this.#halt();
    });
  }

  async #start(): Promise<void> {
    clearTimeout(this.#retry);
    if (this.#starting) return;
    this.#starting = true;
    this.#counted = false;
    try {
      this.#tus ??= this.#make(await this.load());
    } catch {
      this.#failed(null);
      return;
    }
    if (this.#wish === 'send') this.#tus.start();
    else this.#started();
  }

  /** It is known where the upload is, or that it is nowhere. */
  #started(): void {
    this.#starting = false;
    if (this.#wish !== 'send') this.#halt();
  }

  #halt(): void {
    clearTimeout(this.#retry);
    if (this.#starting) return;
    void this.#tus?.abort();
    if (this.#wish === 'end') void this.#terminate();
  }

  async #terminate(): Promise<void> {
    this.#ended(await giveUp(this.#id, this.load));
  }

  #failed(error: Tus.DetailedError | null): void {
    const response = error?.originalResponse;
    const why = response ? refusal(response.getStatus(), response.getBody()) : null;
    this.#started();
    if (this.#wish !== 'send') return;
    const wait = error && why === null ? RETRY_MS[this.#tries] : undefined;
    if (wait === undefined) {
      this.told.failed(why);
      return;
    }
    this.#tries += 1;
    this.told.retrying();
    this.#retry = setTimeout(() => void this.#start(), wait);
  }

  /** The first that is said after a start is what the server has. */
  #count(sent: number): void {
    if (!this.#counted && sent > this.#had) [this.#tries, this.#had] = [0, sent];
    this.#counted = true;
  }

  #make({ Upload }: typeof Tus): Tus.Upload {
    const { file, channel, fingerprint } = this.sent;
    const upload = new Upload(file, {
      endpoint: ENDPOINT,
      uploadUrl: this.#id ? `${ENDPOINT}/${this.#id}` : null,
      metadata: { filename: file.name, channel, fingerprint },
      // The server knows which file goes on with which upload.
      storeFingerprintForResuming: false,
      // The first piece is small: what is no video is refused by it, before the rest is sent.
      chunkSize: FIRST_PIECE,
      // It would begin by itself while something else is wished.
      retryDelays: null,
      onAfterResponse: (_, response) => {
        this.#video = response.getHeader('millrace-video') ?? this.#video;
      },
      onUploadUrlAvailable: () => {
        this.#id = upload.url?.split('/').at(-1) ?? '';
        this.told.known(this.#id, this.#video);
        this.#started();
      },
      onProgress: (sent) => {
        this.#count(sent);
        if (this.#wish === 'send') this.told.progress(sent);
      },
      onChunkComplete: () => {
        upload.options.chunkSize = PIECE;
      },
      onSuccess: () => {
        if (this.#wish !== 'end') this.told.received();
      },
      onError: (error) => this.#failed(error as Tus.DetailedError),
    });
    return upload;
  }
}

/**
 * Ends an upload by its id, where there is one; `false` where it was received before. Where the server cannot be told, it
 * gives up by itself what rests.
 */
export async function giveUp(id: string, load = loadTus): Promise<boolean> {
  try {
    if (id) await (await load()).Upload.terminate(`${ENDPOINT}/${id}`);
    return true;
  } catch (error) {
    // Otherwise it was gone, or cannot be told.
    return (error as Partial<Tus.DetailedError>).originalResponse?.getStatus() !== 409;
  }
}

function loadTus(): Promise<typeof Tus> {
  return import('tus-js-client');
}

const ENDPOINT = '/api/v1/uploads';
const FIRST_PIECE = 64 * 1024;
/** Passes through servers in between, which have limits. */
const PIECE = 48 * 1024 * 1024;
const RETRY_MS = [0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000, 60_000, 60_000];
