/** Uploads by tus-js-client under Node, the reference client of the protocol, as scripts use it. */

import { execFileSync } from 'node:child_process';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as tus from 'tus-js-client';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { FFMPEG, Server, until } from './server.ts';

// The client's types leave out what is there under Node alone.
const { FileUrlStorage } = tus as unknown as { FileUrlStorage: new (path: string) => tus.UploadOptions['urlStorage'] & object };
type Input = ConstructorParameters<typeof tus.Upload>[0];

const KIB = 1024;
let server: Server;
let directory: string;
let path: string;
let bytes: Buffer;
let headers: Record<string, string>;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-tus-'));
  path = clip('lanterns.mp4', 3 * KIB * KIB);
  bytes = readFileSync(path);
  server = await Server.start([]);
  const token = new URL(await server.setupPath(), server.origin).searchParams.get('token');
  const account = await post('/api/v1/users', { handle: 'ada', password: 'a long sentence of mine', token });
  const cookie = account.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  await post('/api/v1/channels', { handle: 'night-market' }, { cookie });
  const made = await post('/api/v1/tokens', { name: 'tus', scopes: ['channels'] }, { cookie });
  headers = { authorization: `Bearer ${((await made.json()) as { token: string }).token}` };
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function post(to: string, body: object, more: Record<string, string> = {}): Promise<Response> {
  const response = await fetch(server.origin + to, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...more },
    body: JSON.stringify(body),
  });
  expect(response.status, to).toBe(201);
  return response;
}

/** A file of a second of picture and sound, and of further bytes that no reader minds. */
function clip(name: string, further: number): string {
  const file = join(directory, name);
  const input = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25', '-f', 'lavfi', '-i', 'sine=440:r=48000', '-t', '1'];
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-pix_fmt', 'yuv420p', '-c:a', 'aac'];
  execFileSync(FFMPEG, ['-v', 'error', '-y', ...input, ...coding, file]);
  const free = Buffer.alloc(further, 'millrace ');
  free.writeUInt32BE(further, 0);
  free.write('free', 4, 'latin1');
  writeFileSync(file, free, { flag: 'a' });
  return file;
}

/** An upload, and what it said and did. */
class Sent {
  readonly upload: tus.Upload;
  /** Methods of its requests, and the offset that each of them says. */
  readonly requests: string[] = [];
  readonly chunks: number[] = [];
  /** The video that it becomes. */
  video = '';
  /** How many times it was asked whether to go on. */
  asked = 0;
  readonly #ended: Promise<void>;

  constructor(input: Input, options: tus.UploadOptions = {}) {
    let succeeded: () => void;
    let failed: (error: Error) => void;
    this.#ended = new Promise((resolve, reject) => {
      succeeded = resolve;
      failed = reject;
    });
    // Some are stopped and never waited for.
    this.#ended.catch(() => undefined);
    const { onShouldRetry, onChunkComplete, ...rest } = options;
    this.upload = new tus.Upload(input, {
      endpoint: `${server.origin}/api/v1/uploads`,
      headers,
      metadata: { filename: 'lanterns.mp4', title: 'Lanterns 灯笼', visibility: 'public' },
      retryDelays: null,
      onBeforeRequest: (request) => {
        this.requests.push(`${request.getMethod()} ${request.getHeader('Upload-Offset') ?? ''}`.trimEnd());
      },
      onAfterResponse: (_, response) => {
        this.video = response.getHeader('millrace-video') ?? this.video;
      },
      onSuccess: () => {
        succeeded();
      },
      onError: (error) => {
        failed(error);
      },
      onChunkComplete: (size, accepted, total) => {
        this.chunks.push(size);
        onChunkComplete?.(size, accepted, total);
      },
      ...(onShouldRetry && {
        onShouldRetry: (...error: Parameters<typeof onShouldRetry>) => {
          this.asked += 1;
          return onShouldRetry(...error);
        },
      }),
      ...rest,
    });
  }

  async done(): Promise<this> {
    this.upload.start();
    await this.#ended;
    return this;
  }

  /** Starts it, and resolves with the error that it ends with. */
  async error(): Promise<tus.DetailedError> {
    return this.done().then(
      () => {
        throw new Error('the upload succeeded');
      },
      (error: unknown) => error as tus.DetailedError,
    );
  }
}

/** What the server has is what was sent, once it is a video. */
async function received(sent: Sent): Promise<void> {
  const url = `${server.origin}/api/v1/videos/${sent.video}`;
  const told = await until('the video is ready', 60_000, async () => {
    const video = (await (await fetch(url)).json()) as { state: string; title: string };
    return video.state === 'ready' ? video : null;
  });
  expect(told.title).toBe('Lanterns 灯笼');
  const stored = Buffer.from(await (await fetch(`${server.origin}/videos/${sent.video}`)).arrayBuffer());
  expect(stored.equals(bytes), 'not a byte more or less').toBe(true);
}

const statusOf = async (url: string): Promise<number> => {
  const asked = await fetch(url, { method: 'HEAD', headers: { ...headers, 'tus-resumable': '1.0.0' } });
  return asked.status;
};

/** A line to the server that breaks once so many bytes went over it, as many times as there are numbers. */
class Line {
  readonly #open = new Set<Socket>();

  private constructor(
    private readonly listener: NetServer,
    private readonly cuts: number[],
  ) {}

  static async start(...cuts: number[]): Promise<Line> {
    const listener = createServer();
    const line = new Line(listener, cuts);
    listener.on('connection', (client) => line.#pass(client));
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return line;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.listener.address() as AddressInfo).port}/api/v1/uploads`;
  }

  get broken(): boolean {
    return this.cuts.length === 0;
  }

  #pass(client: Socket): void {
    const { hostname, port } = new URL(server.origin);
    const further = connect(Number(port), hostname);
    let passed = 0;
    for (const [one, other] of [
      [client, further],
      [further, client],
    ] as const) {
      this.#open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    client.on('data', (data) => {
      passed += data.length;
      further.write(data);
      if (this.cuts[0] !== undefined && passed > this.cuts[0]) {
        this.cuts.shift();
        client.destroy();
      }
    });
    further.pipe(client);
  }

  stop(): void {
    this.listener.close();
    for (const socket of this.#open) socket.destroy();
  }
}

test('a buffer is sent in one request', async () => {
  const sent = await new Sent(bytes).done();
  expect(sent.requests).toEqual(['POST', 'PATCH 0']);
  await received(sent);
});

test('a file is sent in pieces', async () => {
  const sent = await new Sent(createReadStream(path) as unknown as Input, { chunkSize: 1024 * KIB }).done();
  expect(sent.requests).toEqual(['POST', ...[0, 1, 2, 3].map((n) => `PATCH ${n * 1024 * KIB}`)]);
  expect(sent.chunks.reduce((sum, size) => sum + size)).toBe(bytes.length);
  await received(sent);
});

test('where PATCH cannot be sent, POST takes its place', async () => {
  const sent = await new Sent(bytes, { overridePatchMethod: true, chunkSize: 2048 * KIB }).done();
  expect(sent.requests).toEqual(['POST', 'POST 0', `POST ${2048 * KIB}`]);
  await received(sent);
});

test('the first bytes go with the first request', async () => {
  const whole = await new Sent(bytes, { uploadDataDuringCreation: true }).done();
  expect(whole.requests).toEqual(['POST']);
  await received(whole);
  const pieces = await new Sent(bytes, { uploadDataDuringCreation: true, chunkSize: 2048 * KIB }).done();
  expect(pieces.requests).toEqual(['POST', `PATCH ${2048 * KIB}`]);
  await received(pieces);
});

test('what was stopped is gone on with by another client that knows its address', async () => {
  const storage = join(directory, 'urls.json');
  const options = (): tus.UploadOptions => ({ urlStorage: new FileUrlStorage(storage), chunkSize: 512 * KIB });
  const stopped = await new Promise<Sent>((resolve) => {
    const sent = new Sent(createReadStream(path) as unknown as Input, {
      ...options(),
      onChunkComplete: (_, accepted) => {
        if (accepted >= 1024 * KIB) void sent.upload.abort().then(() => resolve(sent));
      },
    });
    sent.upload.start();
  });
  expect(await statusOf(stopped.upload.url ?? '')).toBe(200);

  const next = new Sent(createReadStream(path) as unknown as Input, { ...options(), removeFingerprintOnSuccess: true });
  const previous = await next.upload.findPreviousUploads();
  expect(previous.map(({ uploadUrl }) => uploadUrl)).toEqual([stopped.upload.url]);
  if (previous[0]) next.upload.resumeFromPreviousUpload(previous[0]);
  await next.done();
  expect(next.requests.slice(0, 2)).toEqual(['HEAD', `PATCH ${1024 * KIB}`]);
  next.video = stopped.video;
  await received(next);
  expect(await next.upload.findPreviousUploads()).toEqual([]);

  // And once more, where all of it is there: nothing is sent.
  const again = await new Sent(bytes, { uploadUrl: stopped.upload.url }).done();
  expect(again.requests).toEqual(['HEAD']);
});

test('what has ended at the server is begun anew', async () => {
  const first = await new Sent(bytes, { chunkSize: 512 * KIB }).done();
  await tus.Upload.terminate(first.upload.url ?? '', { headers });
  const again = await new Sent(bytes, { uploadUrl: first.upload.url }).done();
  expect(again.requests).toEqual(['HEAD', 'POST', 'PATCH 0']);
  expect(again.upload.url).not.toBe(first.upload.url);
  await received(again);
});

test('an upload that is given up is gone', async () => {
  const sent = await new Promise<Sent>((resolve) => {
    const begun = new Sent(bytes, {
      chunkSize: 512 * KIB,
      onChunkComplete: () => void begun.upload.abort(true).then(() => resolve(begun)),
    });
    begun.upload.start();
  });
  const url = sent.upload.url ?? '';
  expect(await statusOf(url)).toBe(404);
  expect((await fetch(`${server.origin}/api/v1/videos/${sent.video}`, { headers })).status).toBe(404);
  const twice = (await tus.Upload.terminate(url, { headers, retryDelays: null }).catch((error: unknown) => error)) as tus.DetailedError;
  expect(twice.originalResponse?.getStatus()).toBe(404);
});

test('over a line that breaks it goes on where the server is', async () => {
  const line = await Line.start(700 * KIB, 700 * KIB, 700 * KIB);
  const sent = await new Sent(bytes, { endpoint: line.endpoint, retryDelays: [0, 10, 10, 10] }).done();
  line.stop();
  expect(line.broken).toBe(true);
  const offsets = sent.requests.filter((request) => request.startsWith('PATCH')).map((request) => Number(request.slice(6)));
  // A piece is sent anew where the server had not begun to read it when its line broke; what it has stays.
  expect(offsets.length).toBeGreaterThanOrEqual(4);
  expect(offsets.every((offset, n) => n === 0 || offset >= (offsets[n - 1] ?? 0)), `${offsets}`).toBe(true);
  expect(offsets.at(-1)).toBeGreaterThan(0);
  expect(sent.requests.filter((request) => request === 'POST')).toHaveLength(1);
  await received(sent);
});

test('whoever sends decides whether to try again', async () => {
  const line = await Line.start(700 * KIB, 700 * KIB);
  const never = new Sent(bytes, { endpoint: line.endpoint, retryDelays: [0, 0], onShouldRetry: () => false });
  expect((await never.error()).originalResponse).toBeNull();
  expect(never.asked).toBe(1);
  const once = new Sent(bytes, {
    endpoint: line.endpoint,
    uploadUrl: never.upload.url,
    retryDelays: [0, 0, 0, 0],
    // Who asks before the server has begun to read what was on the broken line is told of too little, and then so: 409.
    onShouldRetry: ({ originalResponse }) => originalResponse === null || originalResponse.getStatus() === 409,
  });
  await once.done();
  line.stop();
  expect(line.broken && once.asked > 0).toBe(true);
  once.video = never.video;
  await received(once);
});

test('a wrong address is told, and tried again only by whoever wants that', async () => {
  const endpoint = `${server.origin}/api/v1/upload`;
  const plain = new Sent(bytes, { endpoint, retryDelays: [0, 0] });
  expect((await plain.error()).originalResponse?.getStatus()).toBe(404);
  expect(plain.requests).toEqual(['POST']);
  const stubborn = new Sent(bytes, { endpoint, retryDelays: [0, 0], onShouldRetry: () => true });
  expect((await stubborn.error()).originalResponse?.getStatus()).toBe(404);
  expect(stubborn.requests).toEqual(['POST', 'POST', 'POST']);
});

test('what is refused is refused at once, in words', async () => {
  const letter = Buffer.from('This is a letter, and not a picture that moves.\n'.repeat(4_000));
  const retryDelays = [0, 0];
  const cases: [Buffer, tus.UploadOptions, number, string][] = [
    [letter, {}, 415, 'text file'],
    [bytes, { headers: {} }, 401, 'log in'],
    [bytes, { metadata: { visibility: 'secret' } }, 400, 'visibility'],
    [Buffer.alloc(0), {}, 415, 'empty'],
    // Of extensions that are not offered.
    [bytes, { uploadLengthDeferred: true, chunkSize: KIB }, 400, 'Upload-Length'],
    [bytes, { parallelUploads: 2 }, 400, 'one piece after the other'],
  ];
  const before = await own();
  for (const [input, options, status, words] of cases) {
    const sent = new Sent(input, { retryDelays, ...options });
    const error = await sent.error();
    const response = error.originalResponse ?? (error.causingError as tus.DetailedError | null)?.originalResponse;
    expect(response?.getStatus(), words).toBe(status);
    expect((JSON.parse(response?.getBody() ?? '') as { error: string }).error).toContain(words);
  }
  expect(await own()).toBe(before);
});

/** Videos and uploads that the account has. */
async function own(): Promise<number> {
  const response = await fetch(`${server.origin}/api/v1/users/me/videos?limit=100`, { headers });
  return ((await response.json()) as { items: unknown[] }).items.length;
}
