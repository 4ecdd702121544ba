/** Entry of every page. */

import './site.css';

import { enableCaptions } from './site/captions';
import { watchChannel } from './site/channel';
import { enableComments } from './site/comments';
import { enableCopying } from './site/copy';
import { watchDashboard } from './site/dashboard';
import { enableForms, keepTyped } from './site/forms';
import { enableLikes } from './site/likes';
import { watchLive } from './site/live-grid';
import { enableMenus, enableSearchKey } from './site/menus';
import { enablePictures } from './site/pictures';
import { enablePreviews } from './site/previews';
import { showCurrentTab } from './site/rail';
import { keepFresh } from './site/refresh';
import { enableMore } from './site/more';
import { enableSecondFactor } from './site/second-factor';
import { hideSecrets, watchHealth } from './site/studio';
import { enableTabs } from './site/tabs';
import { enableTheme } from './site/theme';
import { keepThumbnails } from './site/thumbnails';
import { enableUploads } from './site/upload';
import { keepVideos } from './site/videos';

// Every picture that belongs to a page without being part of a script.
import.meta.glob('./images/*', { eager: true, query: '?url' });

keepThumbnails();
enableTheme();
enableMenus();
enableSearchKey();
enableCopying();
enableForms();
keepTyped();
enablePictures();
enablePreviews();
enableLikes();
enableComments();
showCurrentTab();
enableTabs();
enableMore();
watchLive();
watchChannel();
watchDashboard();
keepFresh();
enableSecondFactor();
hideSecrets();
watchHealth();
enableCaptions();
enableUploads();
keepVideos();
