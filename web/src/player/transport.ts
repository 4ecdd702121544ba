/** Which way a stream is fetched, by what this browser can do. Pure. */

import type { LiveStream } from '../lib/api';

export type Transport = 'ws-flv' | 'http-flv' | 'hls';

/** What the browser offers. */
export interface Capabilities {
  /** Whether Media Source Extensions play this type; always false where there are none. */
  plays: (mimeType: string) => boolean;
  webSocket: boolean;
  /** Whether `fetch` hands over a body while it arrives. */
  streamingFetch: boolean;
  /** Whether `<video>` opens an HLS playlist by itself. */
  nativeHls: boolean;
  /** Whether this is Apple's engine, where native HLS is the better choice (AirPlay, battery). */
  apple: boolean;
}

export type Tracks = Pick<LiveStream, 'video' | 'audio'>;

/** The transports to try, the quickest first. Empty where the browser cannot decode the stream. */
export function plan(can: Capabilities, tracks: Tracks, wanted: Transport | null): Transport[] {
  const decodes = missingCodec(can, tracks) === null;
  const possible: Transport[] = [];
  if (decodes && can.webSocket) possible.push('ws-flv');
  if (decodes && can.streamingFetch) possible.push('http-flv');
  if (decodes || can.nativeHls) possible.push('hls');
  return wanted === null ? possible : possible.filter((transport) => transport === wanted);
}

/** What opens an HLS playlist here. */
export function hlsEngine(can: Capabilities): 'native' | 'hls.js' {
  const media = can.plays('video/mp4; codecs="avc1.42e01e"');
  return can.nativeHls && (can.apple || !media) ? 'native' : 'hls.js';
}

/** The first codec of the stream that Media Source Extensions cannot play here. */
export function missingCodec(can: Capabilities, { video, audio }: Tracks): string | null {
  if (video && !can.plays(`video/mp4; codecs="${video.codec}"`)) return video.codec;
  if (audio && !audioTypes(audio.codec).some((type) => can.plays(type))) return audio.codec;
  return null;
}

/** The transport that a visitor asked for by query (`?transport=hls`). */
export function wantedTransport(query: string): Transport | null {
  const wanted = new URLSearchParams(query).get('transport');
  return ALL.find((transport) => transport === wanted) ?? null;
}

/** What this browser offers. */
export function capabilities(): Capabilities {
  const probe = document.createElement('video');
  return {
    plays: (type) => typeof MediaSource !== 'undefined' && MediaSource.isTypeSupported(type),
    webSocket: typeof WebSocket !== 'undefined',
    streamingFetch: typeof ReadableStream !== 'undefined' && 'body' in Response.prototype,
    nativeHls: probe.canPlayType('application/vnd.apple.mpegurl') !== '',
    apple: navigator.vendor.startsWith('Apple'),
  };
}

/** MP3 goes into MP4 in some browsers and bare in others. */
function audioTypes(codec: string): string[] {
  const inMp4 = `audio/mp4; codecs="${codec}"`;
  return MP3.includes(codec) ? ['audio/mpeg', 'audio/mp4; codecs="mp3"'] : [inMp4];
}

const ALL: Transport[] = ['ws-flv', 'http-flv', 'hls'];
const MP3 = ['mp3', 'mp4a.6b', 'mp4a.69', 'mp4a.40.34', 'mp4a.6B'];
