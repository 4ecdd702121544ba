import { expect, test } from 'vitest';

import { audioTypes, codecName, inFlv, playedBy } from '../src/player/codecs';

test.each([
  ['avc1.64001f', 'H.264', true],
  ['hvc1.1.6.L93.B0', 'HEVC', true],
  ['av01.0.04M.08', 'AV1', false],
  ['vp09.00.31.08', 'VP9', false],
  ['mp4a.40.2', 'AAC', true],
  ['mp4a.40.34', 'MP3', true],
  ['mp4a.6B', 'MP3', true],
  ['mp3', 'MP3', true],
  ['Opus', 'Opus', true],
  ['fLaC', 'FLAC', false],
  ['ac-3', 'AC-3', false],
  ['ec-3', 'E-AC-3', false],
])('%s is %s', (codec, name, flv) => {
  expect(codecName(codec)).toBe(name);
  expect(inFlv(codec)).toBe(flv);
});

test('HEVC plays in Safari or Edge', () => {
  expect(playedBy('hev1.1.6.L93.B0')).toEqual(['Safari', 'Edge']);
});

test('what is unknown keeps its own name and goes by HLS', () => {
  expect(codecName('lcev.1')).toBe('lcev.1');
  expect(inFlv('lcev.1')).toBe(false);
});

test('MP3 plays bare, too', () => {
  expect(audioTypes('mp4a.6B')).toContain('audio/mpeg');
  expect(audioTypes('Opus')).toEqual(['audio/mp4; codecs="Opus"']);
});
