/** What a key does in the player of videos: what it does in every player, and what needs a whole file. Pure. */

import { command as common, type Command as Common } from '../keys';

export type Command = Common | { do: 'begin' | 'end' | 'toggle-pip' } | { do: 'frame'; by: 1 | -1 };

/** The command of a key press; `undefined` where the player leaves it alone. Single frames are for a video that rests. */
export function command(event: Parameters<typeof common>[0], rests: boolean): Command | undefined {
  if (!event.altKey && !event.ctrlKey && !event.metaKey) {
    if (event.key === 'Home') return { do: 'begin' };
    if (event.key === 'End') return { do: 'end' };
    if (event.key === 'i' || event.key === 'I') return { do: 'toggle-pip' };
    if (rests && event.key === ',') return { do: 'frame', by: -1 };
    if (rests && event.key === '.') return { do: 'frame', by: 1 };
  }
  return common(event);
}
