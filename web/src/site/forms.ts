import { t } from '../lib/messages';
import { explain, type Meaning, type Problem } from './problems';

/**
 * Forms that go to the JSON API: `data-api` holds method and path. What follows is `data-next`, a page, or `data-done`,
 * words, where `{name}` stands for that of the answer; `millrace:sent` is dispatched at the form, with the answer as its detail.
 * `data-version` is sent as `If-Match`. `:name` in path or page stands for the field of that name. A button that has a name says
 * with its value what is meant.
 */
export function enableForms(): void {
  // Heard at the document, so that forms that come later are among them.
  document.addEventListener('submit', (event) => {
    const form = event.target as HTMLFormElement;
    if (!form.matches('form[data-api]')) return;
    event.preventDefault();
    void send(form, event.submitter as HTMLButtonElement | null);
  });
}

/** What was typed into a form that changes something, and is not saved, is not lost without a question. */
export function keepTyped(): void {
  document.addEventListener('input', (event) => {
    const form = (event.target as HTMLElement).closest<HTMLFormElement>('form[data-version]');
    if (form) form.dataset.unsaved = '';
  });
  addEventListener('beforeunload', (event) => {
    if (!document.querySelector('form[data-unsaved]')) return;
    event.preventDefault();
    // What older browsers ask with.
    event.returnValue = '';
  });
}

async function send(form: HTMLFormElement, pressed: HTMLButtonElement | null): Promise<void> {
  const buttons = [...form.querySelectorAll<HTMLButtonElement>('button[type=submit]')];
  const button = pressed ?? buttons[0];
  if (!button || buttons.some((one) => one.ariaBusy === 'true')) return;
  button.ariaBusy = 'true';
  say(form, '');
  try {
    const all = values(form);
    if (button.name) all[button.name] = button.value;
    const [method, template] = (form.dataset.api ?? '').split(' ') as [string, string];
    const path = filled(template, form);
    const headers: Record<string, string> = { accept: 'application/json', 'content-type': 'application/json' };
    if (form.dataset.version) headers['if-match'] = `"${form.dataset.version}"`;
    const body = JSON.stringify(all);
    const response = await fetch(path, { method, headers, body, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (!response.ok) {
      const problem = (await response.json().catch(() => ({}))) as Problem;
      const factor = form.querySelector<HTMLElement>('[data-second-factor]');
      if (problem.second_factor && factor?.hidden) {
        say(form, t('form_second_factor'));
        factor.hidden = false;
        factor.querySelector('input')?.focus();
      } else if (problem.second_factor && factor) refuse(form, { words: t('form_code'), fields: ['code'] });
      else refuse(form, explain(problem));
    } else if (form.dataset.next) {
      const next = new URL(filled(form.dataset.next, form), location.href);
      delete form.dataset.unsaved;
      location.assign(next);
      if (next.hash && next.pathname === location.pathname) location.reload();
      return; // busy until the page is there
    } else {
      const version = response.headers.get('etag')?.replaceAll('"', '');
      if (version) form.dataset.version = version;
      for (const field of form.querySelectorAll<HTMLInputElement>('input[type=password]')) field.value = '';
      await showResult(form, response);
      const answer = (await response.clone().json().catch(() => null)) as Record<string, unknown> | null;
      say(form, (form.dataset.done ?? '').replace(/\{(\w+)\}/g, (_, name: string) => String(answer?.[name] ?? '')), true);
      delete form.dataset.unsaved;
      if ('once' in form.dataset) for (const part of form.querySelectorAll<HTMLElement>('.field, button')) part.hidden = true;
      form.dispatchEvent(new CustomEvent('millrace:sent', { bubbles: true, detail: answer }));
    }
  } catch {
    say(form, t('form_failed'));
  }
  button.ariaBusy = 'false';
}

/** The link that an answer holds as `path`, or its `token`, to be copied from the form's `data-result`. */
async function showResult(form: HTMLFormElement, response: Response): Promise<void> {
  const result = form.querySelector<HTMLElement>('[data-result]');
  const text = result?.querySelector('[data-copy-text]');
  if (!result || !text) return;
  const made = (await response.clone().json()) as { path?: string; token?: string };
  text.textContent = made.token ?? location.origin + (made.path ?? '');
  result.hidden = false;
}

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** `template` with the values of fields in place of their names. */
function filled(template: string, form: HTMLFormElement): string {
  return template.replace(/:(\w+)/g, (_, name: string) => {
    const field = form.elements.namedItem(name) as Field | null;
    return encodeURIComponent((field?.value ?? '').trim().replace(/^@/, '').toLowerCase());
  });
}

function values(form: HTMLFormElement): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const field of form.querySelectorAll<Field>('input, textarea, select')) {
    const input = field as HTMLInputElement;
    if ('path' in field.dataset || ('optional' in field.dataset && !field.value)) continue;
    if ('list' in field.dataset) all[field.name] = list(field.value, field.dataset.list ?? ',');
    else if ('links' in field.dataset) all[field.name] = links(field.value);
    else if (field.type === 'datetime-local') all[field.name] = field.value ? new Date(field.value).toISOString() : null;
    else if ('many' in field.dataset) {
      const chosen = (all[field.name] ??= []) as string[];
      if (input.checked) chosen.push(field.value);
    } else if (field.type === 'checkbox') all[field.name] = input.checked;
    else if (field.type === 'number') all[field.name] = input.valueAsNumber;
    else if (field.type !== 'radio' || input.checked) all[field.name] = field.value;
  }
  return all;
}

function list(text: string, separator: string): string[] {
  return text.split(separator).map((part) => part.trim()).filter(Boolean);
}

/** A link a line: its address, and behind it what it is called. */
function links(text: string): { title: string; url: string }[] {
  return list(text, '\n').map((line) => {
    const [, url = '', title = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
    return { url, title: title || url.replace(/^https?:\/\//, '').slice(0, 50) };
  });
}

/** Shows words in a form, as an error or as good news. */
export function say(form: HTMLFormElement, words: string, good = false): void {
  form.querySelector('.field-error')?.remove();
  form.querySelector('[aria-invalid]')?.removeAttribute('aria-invalid');
  const place = form.querySelector<HTMLElement>('[data-error]');
  if (!place) return;
  place.textContent = words;
  place.toggleAttribute('data-good', good);
}

/** Says what is wrong: below the field that it is about, or else for the whole form. */
export function refuse(form: HTMLFormElement, { words, fields }: Meaning): void {
  const found = fields.map((name) => form.querySelector<Field>(`[name="${name}"]:not([type=hidden])`));
  const field = found.find((one) => one !== null);
  // What lies within its label has no place for further words there.
  const box = field?.closest('.field:not(label)');
  say(form, box ? '' : words);
  field?.setAttribute('aria-invalid', 'true');
  if (field && box) {
    const place = document.createElement('p');
    place.id = `${field.id || field.name}-error`;
    place.className = 'form-error field-error';
    place.role = 'alert';
    place.textContent = words;
    box.append(place);
    field.setAttribute('aria-errormessage', place.id);
  }
  field?.focus();
}

const REQUEST_TIMEOUT_MS = 15_000;
