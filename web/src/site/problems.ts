/** What the refusals of the API mean to the people who fill in forms. */

import { t } from '../lib/messages';
import { duration } from '../lib/time';

/** A refusal as the API sends it. */
export interface Problem {
  error?: string;
  error_code?: string;
  second_factor?: boolean;
}

/** What went wrong, in the visitor's language, and the names that the field has which it is about. */
export interface Meaning {
  words: string;
  fields: readonly string[];
}

export function explain({ error_code: code = '', error = '' }: Problem): Meaning {
  if (code === '009') {
    const seconds = /(\d+) s$/.exec(error)?.[1];
    return { words: seconds ? t('form_009_until', { time: wait(Number(seconds)) }) : t('form_009'), fields: [] };
  }
  const line = /^line (\d+): /.exec(error)?.[1];
  if (line) return { words: t('form_captions_line', { n: line }), fields: ['file'] };
  const [, message, ...fields] = MEANINGS.find(([begins]) => error.startsWith(begins)) ?? [];
  return { words: t(message ?? CODES.get(code) ?? 'form_failed'), fields };
}

/** A span that is long enough: minutes are not cut off but begun. */
function wait(seconds: number): string {
  return duration(seconds < 60 ? seconds : Math.ceil(seconds / 60) * 60, t);
}

/** What codes mean, whatever else they are about. */
const CODES = new Map([
  ['001', 'form_001'],
  ['002', 'form_002'],
  ['005', 'form_005'],
  ['006', 'form_006'],
  ['007', 'form_007'],
]);

/** How the API's words begin, the message that they become, and the names of the field; the first that fits counts. */
export const MEANINGS: readonly (readonly [begins: string, message: string, ...fields: string[]])[] = [
  ['handle is reserved', 'form_reserved', 'handle'],
  ['handle ', 'form_handle', 'handle'],
  ['the name is taken', 'form_taken', 'handle'],
  ["the channel's name is taken", 'form_taken', 'handle'],
  ["a stream of the server's configuration has this name", 'form_taken', 'handle'],
  ['display_name ', 'form_display_name', 'display_name'],
  ['bio ', 'form_bio', 'bio'],
  ['email ', 'form_email', 'email'],
  ['the e-mail address is taken', 'form_email_taken', 'email'],
  ['password must have at least', 'form_password', 'password', 'new_password'],
  ['password ', 'form_password_long', 'password', 'new_password'],
  ['username ', 'form_002'],
  ['the password is wrong', 'form_wrong_password', 'current_password', 'password'],
  ['code ', 'form_code', 'code'],
  ['log in first', 'form_logged_out'],
  ['an administrator has not yet approved', 'form_pending'],
  ['this account is locked', 'form_locked'],
  ['registration is closed', 'form_closed'],
  ['registration is by invitation', 'form_link'],
  ['this link is not or no longer good', 'form_link'],
  ['too many wait to be let in', 'form_waiting'],
  ['this is the last administrator', 'form_last_administrator'],
  ['there is no such account', 'form_no_account', 'viewer'],
  ['there are as many ', 'form_full'],
  ['as many are invited as may be', 'form_full'],
  ['this channel has ', 'form_channel_videos'],
  ['text ', 'form_comment', 'text'],
  ['links have to be approved', 'form_comment_links', 'text'],
  ['comments on this video are closed', 'form_comments_closed'],
  ['there is no such comment', 'form_no_comment'],
  ['title ', 'form_title', 'title'],
  ['description ', 'form_description', 'description'],
  ['language ', 'form_language', 'language'],
  ['a tag ', 'form_tags', 'tags'],
  ['there may be at most 10 tags', 'form_tags', 'tags'],
  ["a link's ", 'form_links', 'links'],
  ['there may be at most 10 links', 'form_links', 'links'],
  ["viewers' password is missing", 'form_viewers_password_missing', 'password'],
  ["viewers' password ", 'form_viewers_password', 'password'],
  ['embed_hosts ', 'form_embed_hosts', 'embed_hosts'],
  ['there may be at most 20 hosts', 'form_embed_hosts', 'embed_hosts'],
  ['this channel is not watched by password', 'form_007'],
  ['label ', 'form_label', 'label'],
  ['name ', 'form_label', 'name'],
  ['scopes ', 'form_scopes', 'scopes'],
  ['expires_at ', 'form_expires_at', 'expires_at'],
  ['site_name ', 'form_site_name', 'site_name'],
  ['note ', 'form_note', 'note'],
  ['reason ', 'form_reason', 'reason'],
  ['words ', 'form_words', 'words'],
  ['days ', 'form_days', 'days'],
  ['publish_at must ', 'form_publish_at', 'publish_at'],
  ['publish_at and publish_now ', 'form_publish_both', 'publish_at'],
  ['the captions are too large', 'form_captions_large', 'file'],
  ['the file is larger than ', 'form_captions_large', 'file'],
  ['the file is not text in ', 'form_captions_text', 'file'],
  ['there are no captions in the file', 'form_captions_empty', 'file'],
  ['there are captions in as many languages ', 'form_captions_many'],
];
