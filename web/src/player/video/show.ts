/** Puts the player of videos into a place of a page. */

import { mount, unmount } from 'svelte';

import VideoPlayer from './VideoPlayer.svelte';

/** What the player needs to know of a video. */
export interface Seed {
  id: string;
  label: string;
  poster: string | null;
  hls: string;
  file: string;
  captions: { language: string; label: string; url: string }[];
  storyboard: string | null;
  frame_rate: number;
  next: { title: string; page: string; thumbnail: string | null } | null;
}

export interface Manner {
  /** Where it begins, in seconds. */
  start?: number | undefined;
  autoplay: boolean;
  /** Whether the page has room for theatre mode. */
  theatre: boolean;
}

/** Shows it in place of what is in `root`; what is returned takes it away again. */
export function show(root: HTMLElement, seed: Seed, { start, autoplay, theatre }: Manner): () => void {
  root.replaceChildren();
  const player = mount(VideoPlayer, { target: root, props: { ...seed, root, start, autoplay, theatre } });
  return () => void unmount(player);
}
