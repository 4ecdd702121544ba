/** Which way a stream is fetched, by what this browser can do. Pure. */

import type { LiveStream } from '../lib/api';
import { audioTypes, inFlv, videoType } from './codecs';

/** `ll-hls` is HLS by parts of a segment, `hls` by whole ones; a browser's own HLS chooses by itself. */
export type Transport = 'ws-flv' | 'http-flv' | 'll-hls' | 'hls';

/** What the browser offers. */
export interface Capabilities {
  /** Whether Media Source Extensions play this type; always false where there are none. */
  plays: (mimeType: string) => boolean;
  webSocket: boolean;
  /** Whether `fetch` hands over a body while it arrives. */
  streamingFetch: boolean;
  /** Whether `<video>` opens an HLS playlist by itself. */
  nativeHls: boolean;
  /** Whether `<video>` plays this type from a plain address. */
  playsPlain: (mimeType: string) => boolean;
  /** Whether this is Apple's engine, where native HLS is the better choice (AirPlay, battery). */
  apple: boolean;
}

export type Tracks = Pick<LiveStream, 'video' | 'audio'>;

/** The transports to try, the quickest first. Empty where the browser cannot decode the stream. */
export function plan(can: Capabilities, tracks: Tracks, wanted: Transport | null): Transport[] {
  const decodes = missing(can.plays, tracks) === null;
  const silent = unheard(can, tracks) !== null;
  const carried = silent ? [tracks.video] : [tracks.video, tracks.audio];
  const flv = (decodes || silent) && carried.every((track) => track === null || inFlv(track.codec));
  const possible: Transport[] = [];
  if (flv && can.webSocket) possible.push('ws-flv');
  if (flv && can.streamingFetch) possible.push('http-flv');
  if (hlsEngine(can) === 'native') {
    if (missing(can.playsPlain, tracks) === null) possible.push('hls');
  } else if (decodes) {
    possible.push('ll-hls', 'hls');
  }
  return wanted === null ? possible : possible.filter((transport) => transport === wanted);
}

/** What opens an HLS playlist here. */
export function hlsEngine(can: Capabilities): 'native' | 'hls.js' {
  const media = can.plays(videoType('avc1.42e01e'));
  return can.nativeHls && (can.apple || !media) ? 'native' : 'hls.js';
}

/** The codec of sound that cannot be played here, where the picture can without it: FLV comes apart into tracks. */
export function unheard(can: Capabilities, { video, audio }: Tracks): string | null {
  if (!video || !audio || !inFlv(video.codec)) return null;
  if (hlsEngine(can) === 'native' && missing(can.playsPlain, { video, audio }) === null) return null;
  if (missing(can.plays, { video, audio: null }) !== null) return null;
  return missing(can.plays, { video: null, audio });
}

/** The first codec of the stream that is in the way of every transport. */
export function missingCodec(can: Capabilities, tracks: Tracks): string | null {
  if (unheard(can, tracks) !== null) return null;
  const codec = missing(can.plays, tracks);
  return codec !== null && hlsEngine(can) === 'native' ? missing(can.playsPlain, tracks) : codec;
}

/** The first codec of the stream that is not among what `plays`. */
function missing(plays: Capabilities['plays'], { video, audio }: Tracks): string | null {
  if (video && !plays(videoType(video.codec))) return video.codec;
  if (audio && !audioTypes(audio.codec).some(plays)) return audio.codec;
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
    playsPlain: (type) => probe.canPlayType(type) !== '',
    nativeHls: probe.canPlayType('application/vnd.apple.mpegurl') !== '',
    apple: navigator.vendor.startsWith('Apple'),
  };
}

const ALL: Transport[] = ['ws-flv', 'http-flv', 'll-hls', 'hls'];
