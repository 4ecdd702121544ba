import { expect, test } from 'vitest';

import { command } from '../src/player/keys';

const press = (key: string, change = {}) => command({ key, altKey: false, ctrlKey: false, metaKey: false, ...change });

test('every documented key', () => {
  expect(press(' ')).toEqual({ do: 'toggle-play' });
  expect(press('K')).toEqual({ do: 'toggle-play' });
  expect(press('m')).toEqual({ do: 'toggle-mute' });
  expect(press('f')).toEqual({ do: 'toggle-fullscreen' });
  expect(press('c')).toEqual({ do: 'toggle-captions' });
  expect(press('j')).toEqual({ do: 'seek', by: -10 });
  expect(press('ArrowRight')).toEqual({ do: 'seek', by: 5 });
  expect(press('ArrowUp')).toEqual({ do: 'volume', by: 0.05 });
  expect(press('7')).toEqual({ do: 'part', tenth: 7 });
  expect(press('<')).toEqual({ do: 'rate', by: -1 });
  expect(press('>')).toEqual({ do: 'rate', by: 1 });
});

test('what belongs to the browser stays with it', () => {
  expect(press('f', { ctrlKey: true })).toBeUndefined();
  expect(press('ArrowLeft', { altKey: true })).toBeUndefined();
  expect(press('1', { metaKey: true })).toBeUndefined();
  expect(press('Tab')).toBeUndefined();
  expect(press('x')).toBeUndefined();
});
