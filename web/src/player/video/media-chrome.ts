/** The parts of media-chrome that only videos use, speaking the page's language. */

import 'media-chrome/media-time-range';
import 'media-chrome/media-time-display';

import { t } from '../../lib/messages';
import { translate } from '../media-chrome';

translate({
  seek: t('seek'),
  'playback time': t('playback_time'),
});
