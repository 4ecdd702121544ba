/** HLS by the browser itself (Safari). */

import type { LiveStream } from '../../lib/api';
import type { Engine, EngineEvents } from '../session';

export function openNative(video: HTMLVideoElement, live: LiveStream, events: EngineEvents): Engine {
  const failed = (): void => {
    events.failed(video.error?.code === MediaError.MEDIA_ERR_DECODE ? 'media' : 'network');
  };
  const ended = (): void => {
    events.ended();
  };
  video.addEventListener('error', failed);
  video.addEventListener('ended', ended);
  video.src = live.urls.hls;
  video.load();
  return {
    destroy() {
      video.removeEventListener('error', failed);
      video.removeEventListener('ended', ended);
      video.removeAttribute('src');
      video.load();
    },
  };
}
