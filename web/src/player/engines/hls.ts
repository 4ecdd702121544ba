/** HLS through hls.js, which is loaded on first use. */

import type Hls from 'hls.js';
import type { HlsConfig } from 'hls.js';

import type { LiveStream } from '../../lib/api';
import type { Engine, EngineEvents } from '../session';

/** An HLS connection knows more of live than the end of its buffer. */
export interface HlsEngine extends Engine {
  /** Seconds behind the live edge of the playlist, and how many are aimed for. */
  latency(): { behind: number; target: number } | undefined;
}

/** By segments: two of them behind live. */
const SEGMENTS: Partial<HlsConfig> = { liveSyncDurationCount: 2 };

/**
 * By parts: as far behind live as the playlist says (PART-HOLD-BACK). That is a fraction of a second, so that what hangs
 * is given up and what failed is asked for again sooner than whole segments would be.
 */
const PARTS: Partial<HlsConfig> = {
  fragLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 4_000,
      maxLoadTimeMs: 8_000,
      timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 3, retryDelayMs: 200, maxRetryDelayMs: 1_000 },
    },
  },
  playlistLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 8_000,
      maxLoadTimeMs: 10_000,
      timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 3, retryDelayMs: 300, maxRetryDelayMs: 2_000 },
    },
  },
};

/** `byParts` asks for the parts of a segment as they come, where the playlist has them. */
export function openHls(
  video: HTMLVideoElement,
  live: LiveStream,
  byParts: boolean,
  events: EngineEvents,
): HlsEngine {
  let hls: Hls | null = null;
  let closed = false;
  let mediaErrors = 0;
  const ended = (): void => {
    events.ended();
  };
  video.addEventListener('ended', ended);

  import('hls.js/light')
    .then(({ default: Hls }) => {
      if (closed) return;
      hls = new Hls({
        lowLatencyMode: byParts,
        ...(byParts ? PARTS : SEGMENTS),
        // The chaser sets the speed and keeps more in reserve after a stall, for all transports alike.
        maxLiveSyncPlaybackRate: 1,
        liveSyncOnStallIncrease: 0,
        backBufferLength: 30,
        manifestLoadPolicy: { default: { maxTimeToFirstByteMs: 8_000, maxLoadTimeMs: 10_000, timeoutRetry: null, errorRetry: null } },
      });
      hls.on(Hls.Events.ERROR, (_, data) => {
        if (!data.fatal) return;
        mediaErrors += 1;
        if (data.type === Hls.ErrorTypes.MEDIA_ERROR && mediaErrors === 1) {
          const { paused } = video;
          hls?.recoverMediaError();
          // The element is given a new source, which pauses it.
          if (!paused) video.play().catch(() => undefined);
        } else events.failed(data.type === Hls.ErrorTypes.MEDIA_ERROR ? 'media' : 'network');
      });
      hls.loadSource(live.urls.hls);
      hls.attachMedia(video);
    })
    .catch(() => {
      if (!closed) events.failed('network');
    });

  return {
    latency() {
      if (!hls?.latestLevelDetails || hls.targetLatency === null) return undefined;
      return { behind: hls.latency, target: hls.targetLatency };
    },
    destroy() {
      closed = true;
      video.removeEventListener('ended', ended);
      hls?.destroy();
      hls = null;
    },
  };
}
