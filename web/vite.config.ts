import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vite';

import { iconSprite } from './build/icon-sprite.ts';
import { precompress } from './build/precompress.ts';

export default defineConfig({
  base: '/assets/',
  publicDir: false,
  plugins: [tailwindcss(), svelte(), iconSprite(), precompress()],
  build: {
    outDir: 'dist',
    assetsDir: '',
    assetsInlineLimit: 0,
    // The server finds the hashed names here.
    manifest: 'manifest.json',
    modulePreload: { polyfill: false },
    target: ['chrome111', 'edge111', 'firefox128', 'safari16.4'],
    rolldownOptions: {
      input: ['src/site.ts', 'src/player.ts', 'src/video.ts'],
    },
    // hls.js is one large module that only browsers without FLV playback load.
    chunkSizeWarningLimit: 700,
  },
});
