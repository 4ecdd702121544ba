/** FLV over WebSocket or HTTP, remuxed by mpegts.js, which is loaded on first use. */

import type Mpegts from 'mpegts.js';

import type { LiveStream } from '../../lib/api';
import type { Engine, EngineEvents } from '../session';

export function openFlv(
  video: HTMLVideoElement,
  live: LiveStream,
  overWebSocket: boolean,
  events: EngineEvents,
): Engine {
  let player: ReturnType<typeof Mpegts.createPlayer> | null = null;
  let draining: ReturnType<typeof setInterval> | undefined;
  let closed = false;

  const url = new URL(live.urls.flv, location.href);
  if (overWebSocket) url.protocol = url.protocol.replace('http', 'ws');

  import('mpegts.js')
    .then(({ default: mpegts }) => {
      if (closed) return;
      mpegts.LoggingControl.applyConfig({ enableAll: false });
      player = mpegts.createPlayer(
        { type: 'flv', isLive: true, url: url.href, hasVideo: live.video !== null, hasAudio: live.audio !== null },
        {
          enableStashBuffer: false,
          lazyLoad: false,
          // A tab opened in the background may never see its media source open.
          deferLoadAfterSourceOpen: false,
          autoCleanupSourceBuffer: true,
          autoCleanupMaxBackwardDuration: 45,
          autoCleanupMinBackwardDuration: 30,
        },
      );
      player.on(mpegts.Events.ERROR, (type: string) => {
        // Later, because it cannot bear to be destroyed while it reports.
        setTimeout(() => {
          if (!closed) events.failed(type === mpegts.ErrorTypes.MEDIA_ERROR ? 'media' : 'network');
        });
      });
      player.on(mpegts.Events.LOADING_COMPLETE, () => {
        // What has arrived is still to be seen.
        const deadline = Date.now() + DRAIN_MS;
        draining = setInterval(() => {
          if (video.paused || ahead(video) < 0.15 || Date.now() > deadline) {
            clearInterval(draining);
            events.ended();
          }
        }, 100);
      });
      player.attachMediaElement(video);
      player.load();
    })
    .catch(() => {
      if (!closed) events.failed('network');
    });

  return {
    destroy() {
      closed = true;
      clearInterval(draining);
      player?.destroy();
      player = null;
    },
  };
}

function ahead(video: HTMLVideoElement): number {
  const { buffered } = video;
  return buffered.length === 0 ? 0 : buffered.end(buffered.length - 1) - video.currentTime;
}

const DRAIN_MS = 4_000;
