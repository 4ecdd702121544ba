/** Binds a session to a `<video>` element: autoplay, distance to live, commands. */

import { findLive, type LiveStream } from '../lib/api';
import { Chaser, type Profile } from './chase';
import { LiveEdge } from './edge';
import { openFlv } from './engines/flv';
import { openHls, type HlsEngine } from './engines/hls';
import { openNative } from './engines/native';
import type { Command } from './keys';
import { afterGap, ahead, end, start } from './ranges';
import { Session, type Engine, type EngineEvents, type Snapshot } from './session';
import { capabilities, hlsEngine, type Transport } from './transport';

/** What the player shows. */
export interface View extends Snapshot {
  /** Seconds behind live; `null` while nobody can tell. */
  behind: number | null;
  /** The picture is as near to live as this transport gets. */
  atEdge: boolean;
  paused: boolean;
  muted: boolean;
  /** The browser refused sound without a press. */
  silenced: boolean;
  /** The picture waits for data. */
  buffering: boolean;
  /** Speed that the viewer chose. */
  speed: number;
}

export interface Options {
  app: string;
  name: string;
  /** What the page was opened with to watch a stream that is not for everybody. */
  token: string | undefined;
  known: LiveStream | null;
  wanted: Transport | null;
  onView: (view: View) => void;
}

export class LivePlayer {
  readonly #video: HTMLVideoElement;
  readonly #options: Options;
  readonly #session: Session;
  readonly #can = capabilities();
  readonly #edge = new LiveEdge();
  readonly #listeners = new AbortController();
  readonly #ticker: ReturnType<typeof setInterval>;
  #engine: (Engine & Partial<Pick<HlsEngine, 'latency'>>) | null = null;
  #chaser: Chaser | null = null;
  /** Whether the picture should stay near live; not while the viewer looks back. */
  #following = true;
  /** Until when, in steady seconds, a jump disturbs nobody: the picture has just begun, or its tab has just come back. */
  #jumpsUntil = 0;
  #silenced = false;
  #buffering = false;
  #suspended = false;
  #speed = 1;
  #pausedAt = 0;
  #behind: number | null = null;
  #atEdge = true;
  #openedAt = 0;
  /** Media time at the last tick; NaN after a seek. */
  #lastTime = NaN;

  constructor(video: HTMLVideoElement, options: Options) {
    this.#video = video;
    this.#options = options;
    this.#session = new Session(
      {
        find: () => findLive(options.app, options.name, options.token),
        open: (transport, live, events) => {
          const engine = this.#open(transport, live, events);
          this.#engine = engine;
          return {
            destroy: () => {
              engine.destroy();
              this.#engine = null;
              this.#behind = null;
            },
          };
        },
        changed: () => {
          this.#show();
        },
        random: Math.random,
      },
      this.#can,
      options.wanted,
    );
    this.#listen();
    this.#ticker = setInterval(() => {
      this.#tick();
    }, TICK_MS);
    this.#session.start(options.known);
  }

  destroy(): void {
    clearInterval(this.#ticker);
    this.#listeners.abort();
    this.#session.suspend();
  }

  /** The page has heard that the stream is on air: a planned question need not wait. */
  heard(): void {
    this.#session.visible();
  }

  retry(): void {
    this.#session.resume();
  }

  play(): void {
    if (this.#suspended) {
      this.#suspended = false;
      this.#following = true;
      this.#session.resume();
    }
    this.#video.play().catch(() => undefined);
  }

  pause(): void {
    this.#video.pause();
  }

  unmute(): void {
    this.#silenced = false;
    this.#video.muted = false;
    if (this.#video.volume === 0) this.#video.volume = 0.5;
    this.#show();
  }

  goLive(): void {
    this.#following = true;
    this.#speed = 1;
    if (this.#behind !== null && this.#chaser) this.#seek(this.#video.currentTime + this.#behind - this.#chaser.target);
    this.play();
  }

  /** Carries out a command that concerns playing; says whether it did. */
  obey(command: Command): boolean {
    const video = this.#video;
    switch (command.do) {
      case 'toggle-play':
        if (video.paused) this.play();
        else this.pause();
        return true;
      case 'toggle-mute':
        if (video.muted) this.unmute();
        else video.muted = true;
        return true;
      case 'volume':
        video.volume = Math.min(1, Math.max(0, video.volume + command.by));
        if (command.by > 0) this.unmute();
        return true;
      case 'seek':
        this.#lookAround(video.currentTime + command.by);
        return true;
      case 'part': {
        const [from, to] = this.#window();
        this.#lookAround(from + ((to - from) * command.tenth) / 10);
        return true;
      }
      case 'rate':
        this.#changeSpeed(command.by);
        return true;
      case 'toggle-captions':
        for (const track of video.textTracks) track.mode = track.mode === 'showing' ? 'hidden' : 'showing';
        return video.textTracks.length > 0;
      default:
        return false;
    }
  }

  #open(transport: Transport, live: LiveStream, events: EngineEvents): Engine {
    this.#edge.reset();
    this.#behind = null;
    this.#following = true;
    this.#speed = 1;
    this.#openedAt = Date.now();
    this.#jumpsUntil = Infinity;
    this.#chaser = new Chaser(PROFILES[transport]);
    const engine = this.#openEngine(transport, live, events);
    this.#autoplay();
    return engine;
  }

  #openEngine(transport: Transport, live: LiveStream, events: EngineEvents): Engine {
    const byParts = transport === 'll-hls';
    if (byParts || transport === 'hls') {
      return hlsEngine(this.#can) === 'native'
        ? openNative(this.#video, live, events)
        : openHls(this.#video, live, byParts, events);
    }
    return openFlv(this.#video, live, transport === 'ws-flv', events);
  }

  /** Starts with sound where the browser allows it, silent otherwise. */
  #autoplay(): void {
    const video = this.#video;
    if (this.#pausedAt > 0) return;
    const once = (): void => {
      video.play().catch((error: unknown) => {
        if (!(error instanceof DOMException) || error.name !== 'NotAllowedError' || video.muted) return;
        this.#silenced = true;
        video.muted = true;
        video.play().catch(() => undefined);
        this.#show();
      });
    };
    if (video.readyState >= HTMLMediaElement.HAVE_METADATA) once();
    else video.addEventListener('loadedmetadata', once, { once: true, signal: this.#listeners.signal });
  }

  #listen(): void {
    const { signal } = this.#listeners;
    const on = (name: string, act: () => void): void => {
      this.#video.addEventListener(name, act, { signal });
    };
    const waits = (buffering: boolean) => () => {
      this.#buffering = buffering;
      this.#show();
    };
    on('playing', waits(false));
    on('timeupdate', () => {
      if (this.#buffering) waits(false)();
    });
    on('waiting', () => {
      if (this.#following && Date.now() - this.#openedAt > SETTLING_MS) this.#chaser?.stalled(seconds());
      waits(true)();
    });
    on('seeking', () => {
      this.#openedAt = Date.now();
      this.#lastTime = NaN;
    });
    on('pause', () => {
      // A source that goes away, ends or breaks pauses, too; any other pause is the viewer's.
      const { ended, error, readyState } = this.#video;
      const plays = readyState > HTMLMediaElement.HAVE_NOTHING && !ended && error === null;
      if (this.#engine && plays) this.#pausedAt = Date.now();
      this.#show();
    });
    on('play', () => {
      this.#pausedAt = 0;
      if (this.#suspended) this.play();
      else if (this.#behind !== null && this.#chaser && this.#behind > this.#chaser.target + FLV.jump) {
        this.#following = false;
      }
      this.#show();
    });
    on('volumechange', () => {
      if (!this.#video.muted) this.#silenced = false;
      this.#show();
    });
    document.addEventListener(
      'visibilitychange',
      () => {
        if (document.hidden) return;
        this.#jumpsUntil = seconds() + JUMPS_FOR;
        this.#session.visible();
      },
      { signal },
    );
  }

  #tick(): void {
    const video = this.#video;
    this.#measure();
    // Before the first picture there is nothing to pause, but a tab in the background may have to wait for it.
    const paused = video.paused && (video.readyState > HTMLMediaElement.HAVE_METADATA || document.hidden);
    this.#session.progress({ time: video.currentTime, paused });
    if (!this.#engine) return;
    if (video.paused) {
      // Data keeps arriving while the viewer pauses; not for ever.
      if (this.#pausedAt > 0 && Date.now() - this.#pausedAt > LONGEST_PAUSE_MS && !this.#suspended) {
        this.#suspended = true;
        this.#session.suspend();
      }
    } else {
      this.#keepNearLive();
      const next = afterGap(video.buffered, this.#lastTime, video.currentTime);
      if (next !== undefined) video.currentTime = next;
    }
    this.#lastTime = video.seeking ? NaN : video.currentTime;
    this.#show();
  }

  #measure(): void {
    const video = this.#video;
    const known = this.#engine?.latency?.();
    if (known) {
      if (this.#session.snapshot.transport === 'll-hls') this.#chaser?.aim(known.target);
      this.#behind = Math.max(0, known.behind);
      this.#atEdge = known.behind <= Math.max(known.target, this.#chaser?.target ?? 0) + EDGE_TOLERANCE;
      return;
    }
    const now = seconds();
    const last = end(this.#engine && this.#session.snapshot.transport === 'hls' ? video.seekable : video.buffered);
    if (last === undefined || !Number.isFinite(last)) return;
    this.#edge.observe(now, last);
    const edge = this.#edge.at(now);
    if (edge === undefined || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    this.#behind = Math.max(0, edge - video.currentTime);
    this.#atEdge = this.#behind <= (this.#chaser?.target ?? 0) + EDGE_TOLERANCE;
  }

  #keepNearLive(): void {
    const video = this.#video;
    if (!this.#following || this.#behind === null || !this.#chaser) {
      if (video.playbackRate !== this.#speed) video.playbackRate = this.#speed;
      if (this.#atEdge && this.#behind !== null && this.#speed >= 1) {
        this.#following = true;
        this.#speed = 1;
      }
      return;
    }
    const now = seconds();
    this.#jumpsUntil = Math.min(this.#jumpsUntil, now + JUMPS_FOR);
    const correction = this.#chaser.correct({
      now,
      behind: this.#behind,
      ahead: ahead(video.buffered, video.currentTime),
      unnoticed: now < this.#jumpsUntil,
    });
    if (Math.abs(video.playbackRate - correction.rate) > 0.005) video.playbackRate = correction.rate;
    if (correction.jumpTo === undefined) return;
    this.#jumpsUntil = 0;
    this.#seek(video.currentTime + this.#behind - correction.jumpTo);
  }

  #lookAround(time: number): void {
    const [from, to] = this.#window();
    const edge = to - (this.#chaser?.target ?? 0);
    this.#following = time >= edge;
    this.#seek(Math.min(edge, Math.max(from, time)));
  }

  #changeSpeed(step: number): void {
    const at = SPEEDS.indexOf(this.#speed);
    const speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at + step))] ?? 1;
    // Nothing is faster than live at its edge.
    if (speed > 1 && this.#atEdge) return;
    this.#speed = speed;
    this.#following = speed === 1 && this.#atEdge;
    this.#show();
  }

  /** What can be replayed: first and last media time. */
  #window(): [number, number] {
    const { buffered, currentTime } = this.#video;
    return [start(buffered) ?? currentTime, end(buffered) ?? currentTime];
  }

  #seek(time: number): void {
    const [from, to] = this.#window();
    this.#video.currentTime = Math.min(Math.max(time, from), Math.max(from, to - 0.1));
  }

  #show(): void {
    this.#options.onView({
      ...this.#session.snapshot,
      behind: this.#behind,
      atEdge: this.#following || this.#atEdge,
      paused: this.#video.paused && !this.#video.ended,
      muted: this.#video.muted,
      silenced: this.#silenced,
      buffering: this.#buffering,
      speed: this.#speed,
    });
  }
}

function seconds(): number {
  return performance.now() / 1000;
}

const FLV: Profile = { target: 1, slack: 0.5, jump: 5 };
const PROFILES: Record<Transport, Profile> = {
  'ws-flv': FLV,
  'http-flv': FLV,
  // The playlist says its target (PART-HOLD-BACK); this one holds until it does.
  'll-hls': { target: 1, slack: 0.3, jump: 4 },
  // Two segments, usually of two seconds, and what a playlist takes to arrive.
  hls: { target: 4.5, slack: 1.5, jump: 10 },
};
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5];
const JUMPS_FOR = 3;
const TICK_MS = 250;
const EDGE_TOLERANCE = 1.5;
/** Waits right after opening or seeking say nothing about the network. */
const SETTLING_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;
