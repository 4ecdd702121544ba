/** The parts of media-chrome that only videos use, speaking the page's language. */

import 'media-chrome/media-time-range';
import 'media-chrome/media-time-display';
import { addTranslation } from 'media-chrome/utils/i18n';

import { t } from '../../lib/messages';

addTranslation(document.documentElement.lang, {
  seek: t('seek'),
  'playback time': t('playback_time'),
});
