/** Live pictures on cards: hidden where there are none, exchanged without a flicker. */

/** Hides pictures that do not load, so that the placeholder beneath is seen. */
export function keepThumbnails(): void {
  document.addEventListener(
    'error',
    (event) => {
      if (event.target instanceof HTMLImageElement && 'thumbnail' in event.target.dataset) event.target.hidden = true;
    },
    { capture: true },
  );
  for (const image of document.querySelectorAll<HTMLImageElement>('[data-thumbnail]')) {
    if (image.complete && image.naturalWidth === 0) image.hidden = true;
  }
}

/** Loads a newer picture and shows it once it is ready. */
export async function refreshThumbnail(image: HTMLImageElement): Promise<void> {
  const url = new URL(image.src);
  // The same for all who ask within these seconds, so that caches on the way can share the picture.
  url.searchParams.set('t', Math.floor(Date.now() / 10_000).toString());
  const next = new Image();
  next.src = url.href;
  try {
    await next.decode();
    image.src = next.src;
    image.hidden = false;
  } catch {
    // Keeps the picture it has.
  }
}
