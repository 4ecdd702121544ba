/** `count` as people write it in the page's language: 1.2K, 1.2万. */
export function compact(count: number): string {
  return new Intl.NumberFormat(document.documentElement.lang, {
    notation: 'compact',
    maximumFractionDigits: 1,
    roundingMode: 'trunc',
  } as Intl.NumberFormatOptions).format(count);
}
