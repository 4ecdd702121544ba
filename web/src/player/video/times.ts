/** Times of videos as text. */

/** `1:02:03` as seconds, or `1h2m3s`, or a plain number of seconds; `undefined` where it is none. */
export function seconds(text: string): number | undefined {
  const clock = /^(?:(\d{1,3}):)?(\d{1,2}):(\d{2})$/.exec(text);
  if (clock) return Number(clock[1] ?? 0) * 3600 + Number(clock[2]) * 60 + Number(clock[3]);
  const units = /^(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s?)?$/.exec(text);
  if (!units || text === '') return undefined;
  return Number(units[1] ?? 0) * 3600 + Number(units[2] ?? 0) * 60 + Number(units[3] ?? 0);
}

/** Seconds as a clock shows them: `2:03`, `1:02:03`. */
export function clock(time: number): string {
  const whole = Math.max(0, Math.floor(time));
  const two = (part: number): string => String(part).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** When the page's address says that a video begins. */
export function startOf(search: string): number | undefined {
  const text = new URLSearchParams(search).get('t');
  return text === null ? undefined : seconds(text);
}
