/** What the server's refusals of uploads mean to whoever uploads. */

import { t } from '../lib/messages';
import { explain, type Problem } from './problems';

/** Why an upload stopped, and whether it may go on later. */
export interface Refusal {
  words: string;
  again: boolean;
}

/** What an answer means; `null` where trying again by itself may help. */
export function refusal(status: number, body: string): Refusal | null {
  const problem = read(body);
  const said = problem.error ?? '';
  const sizes = said.match(/\d+(?:\.\d+)? (?:bytes|[KMGT]iB)/g) ?? [];
  const [, message, again = false, names = []] = REFUSALS.find(([part]) => said.includes(part)) ?? [];
  if (message) {
    // The first size is that of the file itself.
    const values = Object.fromEntries(names.map((name, at) => [name, sizes[at + 1] ?? '?']));
    return { words: t(message, values), again };
  }
  if (status === 401 || status === 403) return { words: explain(problem).words, again: true };
  if (status === 404 || status === 410) return { words: t('upload_gone'), again: false };
  if (status === 413 || status === 415 || status === 400) return { words: t('upload_refused'), again: false };
  return null;
}

function read(body: string): Problem {
  try {
    return JSON.parse(body) as Problem;
  } catch {
    return {}; // of a server in between
  }
}

/** Part of the server's words, the message that they become, whether going on may help, and what the sizes in them are. */
export const REFUSALS: readonly (readonly [part: string, message: string, again?: boolean, sizes?: readonly string[]])[] = [
  ['the largest that is taken has', 'upload_too_large', false, ['most']],
  ['are left; delete videos for good', 'upload_quota', false, ['left', 'most']],
  ['this server has room for', 'upload_no_room', false, ['most']],
  ["this server's disk is full", 'upload_full', true],
  ['the file is empty', 'upload_empty'],
  ['this is a text file', 'upload_text'],
  ['this is a playlist', 'upload_playlist'],
  ['this is a picture', 'upload_picture'],
  ['this is a document', 'upload_document'],
  ['this is an archive', 'upload_archive'],
  ['this is a program', 'upload_program'],
  ['this is no kind of video', 'upload_unknown'],
  ['make a channel first', 'upload_no_channel'],
  ['there are as many uploads', 'upload_many', true],
];
