/** What is to be known of a codec, by its codec string (RFC 6381). Pure. */

/** Programs that viewers know. */
type Program = 'Chrome' | 'Edge' | 'Firefox' | 'Safari';

interface Codec {
  /** How a codec string of it begins, in small letters. */
  prefixes: string[];
  /** What people call it. */
  name: string;
  /** Two browsers that play it on most machines. */
  playedBy: readonly [Program, Program];
  /** Whether mpegts.js plays it from FLV; what it does not goes by HLS. It knows AV1 and FLAC, but not well enough. */
  inFlv: boolean;
}

/** The name of a codec, or its codec string where it has none here. */
export function codecName(codec: string): string {
  return find(codec)?.name ?? codec;
}

/** Browsers to try where this one lacks the codec. */
export function playedBy(codec: string): readonly [Program, Program] {
  return find(codec)?.playedBy ?? ['Chrome', 'Safari'];
}

/** Whether the player can take it from FLV. */
export function inFlv(codec: string): boolean {
  return find(codec)?.inFlv ?? false;
}

/** The MIME types of an audio track, any of which will do: MP3 goes into MP4 in some browsers and bare in others. */
export function audioTypes(codec: string): string[] {
  return find(codec)?.name === 'MP3' ? ['audio/mpeg', 'audio/mp4; codecs="mp3"'] : [`audio/mp4; codecs="${codec}"`];
}

/** The MIME type of a video track. */
export function videoType(codec: string): string {
  return `video/mp4; codecs="${codec}"`;
}

/** The MIME types of a track of which it is not known whether it is picture or sound. */
export function typesOf(codec: string): string[] {
  return [videoType(codec), ...audioTypes(codec)];
}

function find(codec: string): Codec | undefined {
  const small = codec.toLowerCase();
  return CODECS.find(({ prefixes }) => prefixes.some((prefix) => small.startsWith(prefix)));
}

/** The first that fits counts: MP3 has object types among those of AAC. */
const CODECS: Codec[] = [
  { prefixes: ['avc1', 'avc3'], name: 'H.264', playedBy: ['Chrome', 'Safari'], inFlv: true },
  { prefixes: ['hvc1', 'hev1'], name: 'HEVC', playedBy: ['Safari', 'Edge'], inFlv: true },
  { prefixes: ['av01'], name: 'AV1', playedBy: ['Chrome', 'Firefox'], inFlv: false },
  { prefixes: ['vp09', 'vp9'], name: 'VP9', playedBy: ['Chrome', 'Firefox'], inFlv: false },
  { prefixes: ['vp08', 'vp8'], name: 'VP8', playedBy: ['Chrome', 'Firefox'], inFlv: false },
  { prefixes: ['mp3', 'mp4a.6b', 'mp4a.69', 'mp4a.40.34'], name: 'MP3', playedBy: ['Chrome', 'Safari'], inFlv: true },
  { prefixes: ['mp4a.40', 'mp4a.67'], name: 'AAC', playedBy: ['Chrome', 'Safari'], inFlv: true },
  { prefixes: ['opus'], name: 'Opus', playedBy: ['Chrome', 'Firefox'], inFlv: true },
  { prefixes: ['flac'], name: 'FLAC', playedBy: ['Chrome', 'Firefox'], inFlv: false },
  { prefixes: ['ac-3'], name: 'AC-3', playedBy: ['Safari', 'Edge'], inFlv: false },
  { prefixes: ['ec-3'], name: 'E-AC-3', playedBy: ['Safari', 'Edge'], inFlv: false },
];
