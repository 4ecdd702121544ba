import { expect, test, vi } from 'vitest';

import { refusal, REFUSALS } from '../src/site/upload-words';

vi.mock('../src/lib/messages', () => ({
  t: (key: string, values: Record<string, unknown> = {}) => [key, ...Object.entries(values).flat()].join(' '),
}));

const said = (status: number, error: string, code = '008'): ReturnType<typeof refusal> =>
  refusal(status, JSON.stringify({ error_code: code, error }));

test('refusals say how much there is', () => {
  expect(said(413, 'the file has 9.5 GiB; the largest that is taken has 8 GiB')).toEqual({
    words: 'upload_too_large most 8 GiB',
    again: false,
  });
  const quota = 'the file has 2 GiB, and 512 MiB of your 10 GiB are left; delete videos for good to make room';
  expect(said(413, quota)?.words).toBe('upload_quota left 512 MiB most 10 GiB');
  const disk = 'the file has 2 GiB, and this server has room for 0 bytes; ask who runs it';
  expect(said(503, disk, '010')).toEqual({ words: 'upload_no_room most 0 bytes', again: false });
});

test('what can go on later says so', () => {
  expect(said(503, "this server's disk is full; what came is kept, go on later", '010')).toEqual({
    words: 'upload_full',
    again: true,
  });
  expect(said(401, 'log in first', '002')).toEqual({ words: 'form_logged_out', again: true });
  expect(said(415, 'this is a text file, not a video')).toEqual({ words: 'upload_text', again: false });
  expect(said(404, 'there is no such upload: it was given up', '006')?.words).toBe('upload_gone');
});

test('what a server in between says is tried again, unless it refuses the file', () => {
  expect(refusal(502, '<html>Bad Gateway</html>')).toBeNull();
  expect(refusal(503, '')).toBeNull();
  expect(said(409, 'the upload has 5 bytes, and what was sent begins at another place', '007')).toBeNull();
  expect(refusal(413, '<html>Too Large</html>')).toEqual({ words: 'upload_refused', again: false });
});

test('whatever is explained is what the server says', () => {
  const sources = import.meta.glob<string>('../../crates/{site,store,transcode}/src/**/*.rs', {
    eager: true,
    query: '?raw',
    import: 'default',
  });
  const all = Object.values(sources).join('\n');
  for (const [part] of REFUSALS) expect(all.includes(part.replace(/^there are as many .*/, 'there are as many ')), part).toBe(true);
});
