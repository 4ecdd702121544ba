import { describe, expect, test } from 'vitest';

import { hlsEngine, missingCodec, plan, unheard, wantedTransport, type Capabilities, type Tracks } from '../src/player/transport';

const H264 = 'video/mp4; codecs="avc1.64001f"';
const AAC = 'audio/mp4; codecs="mp4a.40.2"';
const BASIC = 'video/mp4; codecs="avc1.42e01e"';

function browser(change: Partial<Capabilities> & { types?: string[] } = {}): Capabilities {
  const types = change.types ?? [H264, AAC, BASIC];
  return {
    plays: (type) => types.includes(type),
    webSocket: true,
    streamingFetch: true,
    nativeHls: false,
    playsPlain: (type) => types.includes(type),
    apple: false,
    ...change,
  };
}

const video = { codec: 'avc1.64001f', width: 1280, height: 720, frame_rate: 30 };
const audio = { codec: 'mp4a.40.2', sample_rate: 48000, channels: 2 };
const stream: Tracks = { video, audio };

describe('plan', () => {
  test('the quickest first where everything works', () => {
    expect(plan(browser(), stream, null)).toEqual(['ws-flv', 'http-flv', 'll-hls', 'hls']);
  });
  test('no WebSocket, no streaming fetch', () => {
    expect(plan(browser({ webSocket: false }), stream, null)).toEqual(['http-flv', 'll-hls', 'hls']);
    expect(plan(browser({ webSocket: false, streamingFetch: false }), stream, null)).toEqual(['ll-hls', 'hls']);
  });
  test('an iPhone has only native HLS', () => {
    const iPhone = browser({ types: [], nativeHls: true, apple: true, playsPlain: () => true });
    expect(plan(iPhone, stream, null)).toEqual(['hls']);
    expect(missingCodec(iPhone, stream)).toBeNull();
  });
  test('what FLV does not carry goes by HLS', () => {
    const vp9: Tracks = { video: { ...video, codec: 'vp09.00.31.08' }, audio };
    const can = browser({ types: ['video/mp4; codecs="vp09.00.31.08"', AAC, BASIC] });
    expect(plan(can, vp9, null)).toEqual(['ll-hls', 'hls']);
    expect(plan(can, vp9, 'ws-flv')).toEqual([]);
    const ac3: Tracks = { video, audio: { ...audio, codec: 'ac-3' } };
    expect(plan(browser({ types: [H264, BASIC, 'audio/mp4; codecs="ac-3"'] }), ac3, null)).toEqual(['ll-hls', 'hls']);
  });
  test('sound that cannot be played is left out, where the picture can be fetched alone', () => {
    const ac3: Tracks = { video, audio: { ...audio, codec: 'ac-3' } };
    expect(plan(browser(), ac3, null)).toEqual(['ws-flv', 'http-flv']);
    expect(unheard(browser(), ac3)).toBe('ac-3');
    expect(missingCodec(browser(), ac3)).toBeNull();
    const iPhone = browser({ types: [H264, BASIC], nativeHls: true, apple: true, playsPlain: () => true });
    expect(plan(iPhone, ac3, null)).toEqual(['hls']);
    const neither: Tracks = { video: { ...video, codec: 'hvc1.1.6.L93.B0' }, audio: { ...audio, codec: 'ac-3' } };
    expect(unheard(browser(), neither)).toBeNull();
    expect(missingCodec(browser(), { video: null, audio: ac3.audio })).toBe('ac-3');
  });
  test('HEVC and Opus go by FLV where the browser decodes them', () => {
    const tracks: Tracks = { video: { ...video, codec: 'hvc1.1.6.L93.B0' }, audio: { ...audio, codec: 'opus' } };
    expect(plan(browser({ plays: () => true }), tracks, null)).toEqual(['ws-flv', 'http-flv', 'll-hls', 'hls']);
  });
  test('a codec that the browser lacks leaves nothing', () => {
    const hevc: Tracks = { video: { ...video, codec: 'hvc1.1.6.L93.B0' }, audio };
    expect(plan(browser(), hevc, null)).toEqual([]);
    expect(missingCodec(browser(), hevc)).toBe('hvc1.1.6.L93.B0');
    // Chromium opens HLS by itself, too, but with the same decoders.
    expect(plan(browser({ nativeHls: true }), hevc, null)).toEqual([]);
    const safari = browser({ nativeHls: true, apple: true });
    expect(plan(safari, hevc, null)).toEqual([]);
    expect(missingCodec(safari, hevc)).toBe('hvc1.1.6.L93.B0');
    expect(plan({ ...safari, playsPlain: () => true }, hevc, null)).toEqual(['hls']);
  });
  test('MP3 plays bare or in MP4', () => {
    const mp3: Tracks = { video: null, audio: { ...audio, codec: 'mp4a.40.34' } };
    expect(plan(browser({ types: ['audio/mpeg'] }), mp3, null)).toHaveLength(4);
    expect(plan(browser({ types: ['audio/mp4; codecs="mp3"'] }), mp3, null)).toHaveLength(4);
    expect(plan(browser({ types: [AAC] }), mp3, null)).toEqual([]);
  });
  test('a wish is the whole plan', () => {
    expect(plan(browser(), stream, 'hls')).toEqual(['hls']);
    expect(plan(browser({ webSocket: false }), stream, 'ws-flv')).toEqual([]);
  });
  test('tracks of one kind', () => {
    expect(plan(browser(), { video, audio: null }, null)).toHaveLength(4);
    expect(plan(browser(), { video: null, audio }, null)).toHaveLength(4);
  });
});

test('HLS is native on Apple, and where there is nothing else', () => {
  expect(hlsEngine(browser())).toBe('hls.js');
  expect(hlsEngine(browser({ nativeHls: true }))).toBe('hls.js');
  expect(hlsEngine(browser({ nativeHls: true, apple: true }))).toBe('native');
  expect(hlsEngine(browser({ nativeHls: true, types: [] }))).toBe('native');
});

test('only known transports can be wished for', () => {
  expect(wantedTransport('?transport=http-flv&x=1')).toBe('http-flv');
  expect(wantedTransport('?transport=telnet')).toBeNull();
  expect(wantedTransport('')).toBeNull();
});
