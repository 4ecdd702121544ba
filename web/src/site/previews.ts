/** Lists in which a video can be watched where it stands. Nothing of it is loaded before that is asked for. */

import type { Seed } from '../player/video/show';

/** The part of the API's answer that the player needs. */
interface Video {
  id: string;
  title: string;
  thumbnail_url: string | null;
  urls: { hls: string; file: string };
  media: {
    frame_rate: number;
    captions: { language: string; url: string }[];
    storyboard_url: string | null;
  };
}

/** Takes away the player that is open. */
let close: (() => void) | undefined;

export function enablePreviews(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-preview]')) {
    button.hidden = false;
    button.addEventListener('click', () => void toggle(button));
  }
}

async function toggle(button: HTMLButtonElement): Promise<void> {
  if (button.ariaBusy === 'true') return;
  const open = button.ariaExpanded === 'true';
  // One at a time: keys are for it alone.
  close?.();
  close = undefined;
  if (open) return;
  button.ariaBusy = 'true';
  const id = button.dataset.preview ?? '';
  try {
    const [{ show }, response] = await Promise.all([import('../player/video/show'), fetch(`/api/v1/videos/${id}`)]);
    if (!response.ok) throw new Error(`the video answered ${response.status}`);
    const place = document.createElement('div');
    place.className = 'player player-video preview';
    button.closest('li')?.prepend(place);
    const end = show(place, seed((await response.json()) as Video), { autoplay: true, theatre: false });
    button.ariaExpanded = 'true';
    close = () => {
      end();
      place.remove();
      button.ariaExpanded = 'false';
    };
  } catch {
    // Its own page says what is the matter.
    location.assign(`/w/${id}`);
  }
  button.ariaBusy = 'false';
}

function seed({ id, title, thumbnail_url, urls, media }: Video): Seed {
  const names = new Intl.DisplayNames([document.documentElement.lang], { type: 'language' });
  return {
    id,
    label: title,
    poster: thumbnail_url,
    hls: urls.hls,
    file: urls.file,
    captions: media.captions.map(({ language, url }) => ({ language, label: names.of(language) ?? language, url })),
    storyboard: media.storyboard_url,
    frame_rate: media.frame_rate / 1000,
    next: null,
  };
}
