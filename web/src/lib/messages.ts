/** The islands' messages, which the server puts into every page in the visitor's language. */

import { compact } from './numbers';

const messages = read();
const plural = new Intl.PluralRules(document.documentElement.lang);

/** The message of `key` with its `{placeholders}` filled; the key itself where there is none. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  const text = messages[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The counted message of `key` (`…_one`, `…_other`) with `{count}` abbreviated. */
export function tCount(key: string, count: number): string {
  const form = plural.select(count) === 'one' ? 'one' : 'other';
  return t(`${key}_${form}`, { count: compact(count) });
}

function read(): Record<string, string> {
  const text = document.getElementById('messages')?.textContent;
  return text ? (JSON.parse(text) as Record<string, string>) : {};
}
