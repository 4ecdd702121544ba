/** The parts of media-chrome that the player uses, speaking the page's language. */

import 'media-chrome/media-controller';
import 'media-chrome/media-control-bar';
import 'media-chrome/media-play-button';
import 'media-chrome/media-mute-button';
import 'media-chrome/media-volume-range';
import 'media-chrome/media-captions-button';
import 'media-chrome/media-pip-button';
import 'media-chrome/media-fullscreen-button';
import { addTranslation, setLanguage } from 'media-chrome/utils/i18n';

import { t } from '../lib/messages';

const words: Record<string, string> = {};

/** Further words in the page's language: the library takes the place of all that it had. */
export function translate(more: Record<string, string>): void {
  addTranslation(document.documentElement.lang, Object.assign(words, more));
}

translate({
  Play: t('play'),
  play: t('play'),
  Pause: t('pause'),
  pause: t('pause'),
  Mute: t('mute'),
  mute: t('mute'),
  Unmute: t('sound'),
  unmute: t('sound'),
  volume: t('volume'),
  'Enter picture in picture mode': t('pip_enter'),
  'enter picture in picture mode': t('pip_enter'),
  'Exit picture in picture mode': t('pip_exit'),
  'exit picture in picture mode': t('pip_exit'),
  'Enter fullscreen mode': t('fullscreen_enter'),
  'enter fullscreen mode': t('fullscreen_enter'),
  'Exit fullscreen mode': t('fullscreen_exit'),
  'exit fullscreen mode': t('fullscreen_exit'),
  'Enable captions': t('captions'),
  'Disable captions': t('captions'),
  'closed captions': t('captions'),
  'video player': t('player'),
  'media loading': t('loading'),
});
setLanguage(document.documentElement.lang);

/** Says that a button of media-chrome is on or off, which its own role, `button`, has no words for. */
export function asSwitch(button: Element): void {
  button.setAttribute('role', 'switch');
}
