/** Where the bytes of a video come from: HLS by hls.js, by the browser itself, or the file where neither works. */

import type Hls from 'hls.js';

import { typesOf } from '../codecs';

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
  /** A size is left out, since the browser lacks this codec. */
  lacks: (codec: string) => void;
  failed: (why: Failure) => void;
}

/** `codec`: the browser lacks what every size is coded in. */
export type Failure = 'codec' | 'media' | 'network';

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
  /** Where the video was when its decoder was last set up anew. */
  let recoveredAt: number | undefined;
  let lacking: string | undefined;

  /** What is attached next goes on where the video is, and as it is: browsers begin anew, and rest. */
  const keepPlace = (): void => {
    const { currentTime: at, paused } = video;
    const restore = (): void => {
      if (closed) return;
      if (at > 0) video.currentTime = at;
      if (!paused) video.play().catch(() => undefined);
    };
    video.addEventListener('loadedmetadata', restore, { once: true });
  };
  const file = (): void => {
    keepPlace();
    hls?.destroy();
    hls = null;
    events.levels([]);
    video.src = addresses.file;
    video.onerror = () => events.failed(video.error?.code === MediaError.MEDIA_ERR_NETWORK ? 'network' : 'media');
  };
  /** Not twice at the same place: there it did not help. */
  const mayRecover = (): boolean => {
    const at = video.readyState > 0 ? video.currentTime : (recoveredAt ?? 0);
    if (recoveredAt !== undefined && Math.abs(at - recoveredAt) < FAR) return false;
    recoveredAt = at;
    return true;
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
      const sources = Hls.getMediaSource();
      const INCOMPATIBLE = Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
      hls.on(Hls.Events.MANIFEST_LOADED, (_, { levels }) => {
        lacking = lacked(levels.map(({ attrs }) => attrs.CODECS), (type) => sources?.isTypeSupported(type) ?? false);
        if (lacking) events.lacks(lacking);
      });
      hls.on(Hls.Events.MANIFEST_PARSED, (_, { levels }) => {
        const all = levels.map(({ width, height }, index) => ({ index, size: Math.min(width, height) }));
        events.levels(distinct(all));
      });
      hls.on(Hls.Events.LEVEL_SWITCHED, (_, { level }) => {
        const shown = hls?.levels[level];
        if (shown) events.shown(Math.min(shown.width, shown.height));
      });
      hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => {
        if (!fatal) return;
        if (details === INCOMPATIBLE && lacking) {
          // The browser's own reader would leave out what it lacks, and play sound without a picture.
          events.failed('codec');
        } else if (type === Hls.ErrorTypes.NETWORK_ERROR) events.failed('network');
        else if (type === Hls.ErrorTypes.MEDIA_ERROR && details !== INCOMPATIBLE && mayRecover()) {
          keepPlace();
          hls?.recoverMediaError();
        } else {
          // What Media Source Extensions refuse, the browser's own reader may still play.
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

/** The first codec among those of the levels that is not played, as `plays` tells of its MIME type. */
export function lacked(levels: (string | undefined)[], plays: (type: string) => boolean): string | undefined {
  const codecs = levels.flatMap((list) => list?.split(',') ?? []).map((codec) => codec.trim());
  return codecs.find((codec) => !typesOf(codec).some(plays));
}

/** One level for each size, the largest first. */
export function distinct(levels: Level[]): Level[] {
  const sizes = new Map<number, Level>();
  for (const level of levels) if (level.size > 0 && !sizes.has(level.size)) sizes.set(level.size, level);
  return [...sizes.values()].sort((a, b) => b.size - a.size);
}

/** Seconds from the place of an error, behind which another is one of its own. */
const FAR = 10;
