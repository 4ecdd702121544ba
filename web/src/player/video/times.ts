/** Times of videos as text. */

/** `1:02:03` as seconds, or `1h2m3s`, or a plain number of seconds; `undefined` where it is none. */
export function seconds(text: string): number | undefined {
  const clock = /^(?:(\d{1,3}):)?(\d{1,2}):(\d{2})$/.exec(text);
  if (clock) return Number(clock[1] ?? 0) * 3600 + Number(clock[2]) * 60 + Number(clock[3]);
  const units = /^(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s?)?$/.exec(text);
  if (!units || text === '') return undefined;
  return Number(units[1] ?? 0) * 3600 + Number(units[2] ?? 0) * 60 + Number(units[3] ?? 0);
}

/** When the page's address says that a video begins. */
export function startOf(search: string): number | undefined {
  const text = new URLSearchParams(search).get('t');
  return text === null ? undefined : seconds(text);
}
