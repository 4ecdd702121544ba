/** The real server and real publishers (FFmpeg over RTMP), for tests that play. */

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { LiveStream } from '../src/lib/api.ts';
import { clockPicture } from './playback-clock.ts';

/**
 * For requests that Playwright sends itself: on a connection that rested, as the server closes it, a browser would send them again.
 */
export const AGAIN = { maxRetries: 3 };

/** `millrace serve` on ports of the system's choice, in a directory of its own. */
export class Server {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #log: string[];
  readonly #greeting: string[];
  readonly #publishers = new Set<Publisher>();

  private constructor(
    readonly origin: string,
    readonly rtmp: string,
    parts: { child: ChildProcess; directory: string; log: string[]; greeting: string[] },
  ) {
    this.#child = parts.child;
    this.#directory = parts.directory;
    this.#log = parts.log;
    this.#greeting = parts.greeting;
  }

  /** Starts it with `streams` that may be published, and further lines of configuration. */
  static async start(streams: string[], configuration = ''): Promise<Server> {
    const program = binary();
    const directory = await mkdtemp(join(tmpdir(), 'millrace-e2e-'));
    const entries = streams.map((name) => `[[streams]]\nname = "${name}"\nkey = "${keyOf(name)}"\n`);
    await writeFile(join(directory, 'millrace.toml'), `${configuration}\n${entries.join('')}`, { mode: 0o600 });
    const any = '127.0.0.1:0';
    const child = spawn(
      program,
      ['serve', '--http', any, '--rtmp', any, '--ops', any, '--set', 'log.format=json'],
      // The settings of whoever runs the tests are not for this server.
      { cwd: directory, env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const log: string[] = [];
    const greeting: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => greeting.push(line));
    const serving = new Promise<{ http: string; rtmp: string }>((resolve, reject) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        log.push(line);
        if (line.includes('"message":"serving"')) resolve(JSON.parse(line) as { http: string; rtmp: string });
      });
      child.once('error', reject);
      child.once('exit', (code) => {
        reject(new Error(`${program} ended with ${code}:\n${log.join('\n')}`));
      });
    });
    const { http, rtmp } = await serving;
    return new Server(`http://${http}`, `rtmp://${rtmp}`, { child, directory, log, greeting });
  }

  /** Puts `name` on air; resolves once the server shows it. */
  async publish(name: string, programme: Programme = {}): Promise<Publisher> {
    const publisher = new Publisher(`${this.rtmp}/live/${keyOf(name)}`, programme);
    this.#publishers.add(publisher);
    await until(`${name} is on air`, 20_000, async () => {
      publisher.check();
      return (await this.live(name))?.state === 'live';
    });
    return publisher;
  }

  /** Publishes with a key; resolves at once. */
  publishWith(key: string, programme: Programme = {}): Publisher {
    const publisher = new Publisher(`${this.rtmp}/live/${key}`, programme);
    this.#publishers.add(publisher);
    return publisher;
  }

  /** What the server says of a stream; `null` where it is not on air. */
  async live(name: string): Promise<LiveStream | null> {
    const response = await fetch(`${this.origin}/api/v1/live/live/${name}`);
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
    return (await response.json()) as LiveStream;
  }

  /** Path of the link that makes the administrator, as the terminal shows it. */
  async setupPath(): Promise<string> {
    const line = await until('the link to set up', 10_000, () => {
      return Promise.resolve(this.#greeting.find((text) => text.includes('/setup?token=')));
    });
    return line.slice(line.indexOf('/setup'));
  }

  /** What it has logged. */
  get log(): string {
    return this.#log.join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#publishers].map((publisher) => publisher.kill()));
    await end(this.#child, 'SIGTERM');
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** What a publisher sends: by default 640×360 at 25 pictures a second, a keyframe every two seconds, and a tone. */
export interface Programme {
  size?: readonly [width: number, height: number];
  /** Seconds between keyframes. */
  gop?: number;
  video?: boolean;
  /** FFmpeg's options for other codecs than H.264 and AAC; a current FFmpeg publishes them, by Enhanced RTMP. */
  videoCodec?: string[];
  audioCodec?: string[];
  /** What its clock shows at the beginning, seconds. */
  clock?: number;
}

/** An FFmpeg that publishes a picture with a clock (see `playback-clock.ts`) and a tone. */
export class Publisher {
  readonly #child: ChildProcess;
  #words = '';

  constructor(url: string, programme: Programme) {
    const { size = [640, 360], gop = 2, video = true, videoCodec = H264, audioCodec = AAC } = programme;
    const clock = `${programme.clock ?? 0}`;
    const tone = 'sine=frequency=440:sample_rate=48000';
    const graph = video ? `${clockPicture(size, RATE)}[out0];${tone}[out1]` : `${tone}[out0]`;
    const keyframes = ['-g', `${gop * RATE}`, '-keyint_min', `${gop * RATE}`];
    this.#child = spawn(
      programme.videoCodec || programme.audioCodec ? currentFfmpeg() : FFMPEG,
      ['-nostdin', '-hide_banner', '-loglevel', 'error', '-re', '-f', 'lavfi', '-i', graph, '-map', '0'].concat(
        video ? [...videoCodec, ...keyframes] : [],
        [...audioCodec, '-ac', '2', '-output_ts_offset', clock],
        ['-f', 'flv', '-flvflags', 'no_duration_filesize', url],
      ),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#words += text));
    this.#child.once('error', (error) => (this.#words += error.message));
  }

  /** Throws where it has ended by itself. */
  check(): void {
    const { exitCode, pid } = this.#child;
    if (exitCode !== null || pid === undefined) throw new Error(`FFmpeg ended (${exitCode}): ${this.#words}`);
  }

  /** Resolves once it has ended by itself. */
  async over(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await new Promise((resolve) => this.#child.once('exit', resolve));
  }

  /** It dies without a word, as when its machine loses power. */
  kill(): Promise<void> {
    return end(this.#child, 'SIGKILL');
  }

  /** It ends in good order. */
  finish(): Promise<void> {
    return end(this.#child, 'SIGTERM');
  }
}

/** Resolves with the first truthy answer of `probe`; throws with the last one when `within` milliseconds have passed. */
export async function until<T>(what: string, within: number, probe: () => Promise<T>): Promise<NonNullable<T>> {
  const deadline = Date.now() + within;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${within} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function keyOf(name: string): string {
  return `key-of-the-tests-for-${name}`;
}

function binary(): string {
  const built = [join(TARGET, 'debug/millrace'), join(TARGET, 'release/millrace')];
  const found = process.env.MILLRACE_BIN ?? built.find((path) => existsSync(path));
  if (found !== undefined && existsSync(found)) return found;
  throw new Error(
    found === undefined
      ? `there is no server to test: looked for ${built.join(' and ')}; run \`make build\`, or name one by MILLRACE_BIN`
      : `there is no server at ${found}, which MILLRACE_BIN names`,
  );
}

/** The system's FFmpeg. */
export const FFMPEG = process.env.MILLRACE_TEST_FFMPEG ?? 'ffmpeg';

/** An FFmpeg that knows Enhanced RTMP, as the other end-to-end tests find it. */
function currentFfmpeg(): string {
  const path = process.env.MILLRACE_TEST_FFMPEG_CURRENT ?? join(TARGET, 'tools/ffmpeg-current');
  if (!existsSync(path)) throw new Error(`${path} is missing; \`make test-programs\` installs it`);
  return path;
}

/** Sends `signal` and waits for the end. */
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const hurry = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(hurry);
}

/** Where cargo builds, and the tests' programs are. */
const TARGET = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../target', import.meta.url));
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-b:v', '600k', '-sc_threshold', '0'];
const AAC = ['-c:a', 'aac', '-b:a', '64k'];
const RATE = 25;
