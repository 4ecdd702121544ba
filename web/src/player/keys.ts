/** What a key does in the player. Pure. */

export type Command =
  | { do: 'toggle-play' | 'toggle-mute' | 'toggle-fullscreen' | 'toggle-captions' | 'toggle-theatre' }
  | { do: 'seek' | 'volume' | 'rate'; by: number }
  | { do: 'part'; tenth: number };

type Key = Pick<KeyboardEvent, 'key' | 'altKey' | 'ctrlKey' | 'metaKey'>;

/** The command of a key press; `undefined` where the player leaves it alone. */
export function command(event: Key): Command | undefined {
  if (event.altKey || event.ctrlKey || event.metaKey) return undefined;
  if (/^[0-9]$/.test(event.key)) return { do: 'part', tenth: Number(event.key) };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return COMMANDS[key];
}

const COMMANDS: Record<string, Command> = {
  ' ': { do: 'toggle-play' },
  k: { do: 'toggle-play' },
  m: { do: 'toggle-mute' },
  f: { do: 'toggle-fullscreen' },
  c: { do: 'toggle-captions' },
  t: { do: 'toggle-theatre' },
  ArrowLeft: { do: 'seek', by: -5 },
  ArrowRight: { do: 'seek', by: 5 },
  j: { do: 'seek', by: -10 },
  l: { do: 'seek', by: 10 },
  ArrowUp: { do: 'volume', by: 0.05 },
  ArrowDown: { do: 'volume', by: -0.05 },
  '<': { do: 'rate', by: -1 },
  '>': { do: 'rate', by: 1 },
};
