import { expect, test, vi } from 'vitest';

import { explain, MEANINGS } from '../src/site/problems';

vi.mock('../src/lib/messages', () => ({
  t: (key: string, values: Record<string, unknown> = {}) => [key, ...Object.values(values)].join(' '),
}));

const words = (code: string, error: string): string => explain({ error_code: code, error }).words;

test('the field that is wrong is named', () => {
  expect(explain({ error_code: '001', error: 'handle must have 2 to 32 of …' })).toEqual({
    words: 'form_handle',
    fields: ['handle'],
  });
  expect(words('001', 'password must have at least 10 characters')).toBe('form_password');
  expect(words('001', 'password must have at most 512 bytes')).toBe('form_password_long');
  expect(words('001', 'there may be at most 20 hosts')).toBe('form_embed_hosts');
});

test('a comment that is refused says why', () => {
  expect(explain({ error_code: '001', error: 'text must have at most 3 links' })).toEqual({
    words: 'form_comment',
    fields: ['text'],
  });
  expect(words('005', 'links have to be approved: write another comment with them')).toBe('form_comment_links');
  expect(words('005', 'comments on this video are closed')).toBe('form_comments_closed');
  expect(words('006', 'there is no such comment')).toBe('form_no_comment');
});

test('reasons that have one code are told apart', () => {
  expect(words('002', 'log in first')).toBe('form_logged_out');
  expect(words('002', 'the password is wrong')).toBe('form_wrong_password');
  expect(words('005', 'this account is locked')).toBe('form_locked');
  expect(words('007', 'the e-mail address is taken')).toBe('form_email_taken');
  expect(words('007', 'there are as many channels as there may be')).toBe('form_full');
  expect(words('007', 'this channel has a video: put it into the trash first')).toBe('form_channel_videos');
});

test('who tries too often learns how long to wait', () => {
  expect(words('009', 'too many tries; wait 42 s')).toBe('form_009_until unit_seconds 42');
  expect(words('009', 'too many tries; wait 61 s')).toBe('form_009_until unit_minutes 2');
  expect(words('009', 'too many')).toBe('form_009');
});

test('what has no field, or is new to the page, is told as such', () => {
  expect(explain({ error_code: '001', error: 'constructor is no field' })).toEqual({ words: 'form_001', fields: [] });
  expect(words('002', 'the name or the password is wrong')).toBe('form_002');
  expect(words('003', 'the database failed')).toBe('form_failed');
  expect(explain({}).words).toBe('form_failed');
});

test('whatever is explained is what the server says', () => {
  const sources = import.meta.glob<string>('../../crates/{site,store,transcode}/src/**/*.rs', {
    eager: true,
    query: '?raw',
    import: 'default',
  });
  const said = Object.values(sources).join('\n');
  for (const [begins] of MEANINGS) {
    // The store has what is taken by itself.
    expect(said.includes(`"${begins.replace(/ is taken$/, '')}`), begins).toBe(true);
  }
});
