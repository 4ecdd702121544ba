import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { Plugin } from 'vite';

/** Lucide icons that the server's templates and the player use. */
const ICONS = [
  'audio-lines',
  'check',
  'chevron-right',
  'circle-user',
  'clapperboard',
  'copy',
  'compass',
  'external-link',
  'eye',
  'flag',
  'hard-drive',
  'languages',
  'layout-dashboard',
  'list-checks',
  'log-in',
  'log-out',
  'maximize',
  'minimize',
  'monitor',
  'mail-plus',
  'message-square',
  'moon',
  'pause',
  'pin',
  'picture-in-picture-2',
  'play',
  'radio',
  'radio-tower',
  'rectangle-horizontal',
  'search',
  'settings',
  'shield',
  'sliders-horizontal',
  'scroll-text',
  'share-2',
  'sun',
  'thumbs-up',
  'user-check',
  'users',
  'video-off',
  'volume-1',
  'volume-2',
  'volume-x',
  'wifi-off',
  'trash-2',
  'triangle-alert',
  'upload',
  'captions',
  'lock',
  'clock',
  'rotate-ccw',
  'heart',
  'download',
];

/** Emits `icons.svg`, one sprite of the icons above and the site's own mark. */
export function iconSprite(): Plugin {
  return {
    name: 'icon-sprite',
    generateBundle() {
      const require = createRequire(import.meta.url);
      const lucide = ICONS.map((name) =>
        symbol(name, readFileSync(require.resolve(`lucide-static/icons/${name}.svg`), 'utf8')),
      );
      const mark = symbol('mark', readFileSync(new URL('./mark.svg', import.meta.url), 'utf8'));
      this.emitFile({
        type: 'asset',
        name: 'icons.svg',
        originalFileName: 'icons.svg',
        source: `<svg xmlns="http://www.w3.org/2000/svg">${[...lucide, mark].join('')}</svg>\n`,
      });
    },
  };
}

/** An icon file as a `<symbol>`, with the drawing attributes of its root moved onto a group. */
function symbol(id: string, svg: string): string {
  const match = /<svg([^>]*)>([\s\S]*)<\/svg>/.exec(svg.replace(/<!--[\s\S]*?-->/g, ''));
  if (!match) throw new Error(`icon ${id} is not an SVG file`);
  const [, root = '', content = ''] = match;
  const kept = ['viewBox', 'fill', 'stroke', 'stroke-width', 'stroke-linecap', 'stroke-linejoin']
    .map((name) => new RegExp(`\\s${name}="[^"]*"`).exec(root)?.[0] ?? '')
    .join('');
  return `<symbol id="${id}"${kept}>${content.replace(/\s*\n\s*/g, '')}</symbol>`;
}
