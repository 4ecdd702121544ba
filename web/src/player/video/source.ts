/** Where the bytes of a video come from: HLS by hls.js, by the browser itself, or the file where neither works. */

import type Hls from 'hls.js';

/** A size that can be chosen. */
export interface Level {
  index: number;
  /** The shorter side, in pixels. */
  size: number;
}

export interface SourceEvents {
  /** The sizes that there are, the largest first; none where they cannot be chosen. */
  levels: (levels: Level[]) => void;
  /** The size that is shown from now on. */
  shown: (size: number) => void;
  failed: (what: 'media' | 'network') => void;
}

export interface Source {
  /** Shows this size, or whatever the line carries where it is `null`. */
  choose: (level: number | null) => void;
  destroy: () => void;
}

export interface Addresses {
  hls: string;
  file: string;
}

export function open(video: HTMLVideoElement, addresses: Addresses, events: SourceEvents): Source {
  let hls: Hls | null = null;
  let closed = false;
  let recovered = false;

  const file = (): void => {
    video.src = addresses.file;
    video.onerror = () => events.failed(video.error?.code === MediaError.MEDIA_ERR_NETWORK ? 'network' : 'media');
  };
  const native = (): void => {
    if (video.canPlayType('application/vnd.apple.mpegurl') === '') return file();
    video.src = addresses.hls;
    video.onerror = file;
  };

  import('hls.js')
    .then(({ default: Hls }) => {
      if (closed) return;
      if (!Hls.isSupported()) {
        native();
        return;
      }
      hls = new Hls({ capLevelToPlayerSize: true, maxBufferLength: 30, backBufferLength: 60, renderTextTracksNatively: false });
      hls.on(Hls.Events.MANIFEST_PARSED, (_, { levels }) => {
        const all = levels.map(({ width, height }, index) => ({ index, size: Math.min(width, height) }));
        events.levels(distinct(all));
      });
      hls.on(Hls.Events.LEVEL_SWITCHED, (_, { level }) => {
        const shown = hls?.levels[level];
        if (shown) events.shown(Math.min(shown.width, shown.height));
      });
      hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
        if (!fatal) return;
        if (type === Hls.ErrorTypes.NETWORK_ERROR) events.failed('network');
        else if (type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
          recovered = true;
          hls?.recoverMediaError();
        } else {
          // What Media Source Extensions refuse, the browser's own reader may still play.
          hls?.destroy();
          hls = null;
          events.levels([]);
          file();
        }
      });
      hls.loadSource(addresses.hls);
      hls.attachMedia(video);
    })
    .catch(() => {
      if (!closed) native();
    });

  return {
    choose(level) {
      if (!hls) return;
      // What is on the way is finished: the picture does not stop.
      hls.nextLevel = level ?? -1;
      hls.capLevelToPlayerSize = level === null;
    },
    destroy() {
      closed = true;
      hls?.destroy();
      video.onerror = null;
      video.removeAttribute('src');
    },
  };
}

/** One level for each size, the largest first. */
export function distinct(levels: Level[]): Level[] {
  const sizes = new Map<number, Level>();
  for (const level of levels) if (level.size > 0 && !sizes.has(level.size)) sizes.set(level.size, level);
  return [...sizes.values()].sort((a, b) => b.size - a.size);
}
