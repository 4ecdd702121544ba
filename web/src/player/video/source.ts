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
  let recovered = 0;

  const native = (): void => {
    const hlsItself = video.canPlayType('application/vnd.apple.mpegurl') !== '';
    video.src = hlsItself ? addresses.hls : addresses.file;
    video.onerror = () => {
      if (hlsItself && video.src !== addresses.file && recovered === 0) {
        recovered += 1;
        video.src = addresses.file;
      } else events.failed(video.error?.code === MediaError.MEDIA_ERR_NETWORK ? 'network' : 'media');
    };
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
        if (type === Hls.ErrorTypes.MEDIA_ERROR && recovered === 0) {
          recovered += 1;
          hls?.recoverMediaError();
        } else events.failed(type === Hls.ErrorTypes.NETWORK_ERROR ? 'network' : 'media');
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
