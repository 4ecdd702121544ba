/** Words for spans and points of time. Pure apart from the messages handed in. */

type Translate = (key: string, values: Record<string, string | number>) => string;

/** A span in at most two units: "45 s", "12 min", "2 h 5 min", "3 d 4 h". The server writes the same. */
export function duration(seconds: number, t: Translate): string {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(whole / 3600);
  const days = Math.floor(whole / 86400);
  if (days > 0) return pair(t('unit_days', { n: days }), 'unit_hours', hours % 24, t);
  if (hours > 0) return pair(t('unit_hours', { n: hours }), 'unit_minutes', minutes % 60, t);
  if (minutes > 0) return t('unit_minutes', { n: minutes });
  return t('unit_seconds', { n: whole });
}

/** How long ago `time` was, in words of `language`: "2 hours ago", "昨天". */
export function relative(time: Date, now: Date, language: string): string {
  const seconds = (time.getTime() - now.getTime()) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const units: [Intl.RelativeTimeFormatUnit, number][] = [
    ['day', 86400],
    ['hour', 3600],
    ['minute', 60],
  ];
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(Math.trunc(seconds), 'second');
}

function pair(first: string, unit: string, rest: number, t: Translate): string {
  return rest === 0 ? first : `${first} ${t(unit, { n: rest })}`;
}
