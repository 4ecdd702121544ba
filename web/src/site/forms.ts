import { t } from '../lib/messages';

/**
 * Forms that go to the JSON API: `data-api` holds method and path. What follows is `data-next`, a page, or `data-done`,
 * words. `data-version` is sent as `If-Match`. `:name` in path or page stands for the field of that name.
 */
export function enableForms(): void {
  // Heard at the document, so that forms that come later are among them.
  document.addEventListener('submit', (event) => {
    const form = event.target as HTMLFormElement;
    if (!form.matches('form[data-api]')) return;
    event.preventDefault();
    void send(form);
  });
}

async function send(form: HTMLFormElement): Promise<void> {
  const button = form.querySelector<HTMLButtonElement>('button[type=submit]');
  if (!button || button.ariaBusy === 'true') return;
  button.ariaBusy = 'true';
  say(form, '');
  try {
    const all = values(form);
    const [method, template] = (form.dataset.api ?? '').split(' ') as [string, string];
    const path = filled(template, form);
    const headers: Record<string, string> = { accept: 'application/json', 'content-type': 'application/json' };
    if (form.dataset.version) headers['if-match'] = `"${form.dataset.version}"`;
    const body = JSON.stringify(all);
    const response = await fetch(path, { method, headers, body, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (!response.ok) {
      const problem = (await response.json().catch(() => ({}))) as Problem;
      const factor = form.querySelector<HTMLElement>('[data-second-factor]');
      if (problem.second_factor && factor) {
        say(form, factor.hidden ? t('form_second_factor') : t('form_code'));
        factor.hidden = false;
        factor.querySelector('input')?.focus();
      } else say(form, explain(problem));
    } else if (form.dataset.next) {
      const next = new URL(filled(form.dataset.next, form), location.href);
      location.assign(next);
      if (next.hash && next.pathname === location.pathname) location.reload();
      return; // busy until the page is there
    } else {
      const version = response.headers.get('etag')?.replaceAll('"', '');
      if (version) form.dataset.version = version;
      for (const field of form.querySelectorAll<HTMLInputElement>('input[type=password]')) field.value = '';
      await showResult(form, response);
      say(form, form.dataset.done ?? '', true);
      if ('once' in form.dataset) for (const part of form.querySelectorAll<HTMLElement>('.field, button')) part.hidden = true;
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
  const made = (await response.json()) as { path?: string; token?: string };
  text.textContent = made.token ?? location.origin + (made.path ?? '');
  result.hidden = false;
}

export interface Problem {
  error?: string;
  error_code?: string;
  second_factor?: boolean;
}

/** What went wrong, in the visitor's language. The API's own words begin with the name of the field that is wrong. */
export function explain(problem: Problem): string {
  switch (problem.error_code) {
    case '001':
      return wrong(problem.error?.match(/^\w+/)?.[0]);
    case '002':
      return t('form_002');
    case '005':
      return t('form_005');
    case '006':
      return t('form_006');
    case '007':
      return t('form_007');
    case '009':
      return t('form_009');
    default:
      return t('form_failed');
  }
}

function wrong(field: string | undefined): string {
  switch (field) {
    case 'handle':
      return t('form_handle');
    case 'password':
      return t('form_password');
    case 'display_name':
      return t('form_display_name');
    case 'email':
      return t('form_email');
    case 'bio':
      return t('form_bio');
    case 'viewers':
      return t('form_viewers_password');
    case 'title':
      return t('form_title');
    case 'a':
    case 'there':
      return t('form_tags');
    case 'embed_hosts':
      return t('form_embed_hosts');
    case 'language':
      return t('form_language');
    case 'expires_at':
      return t('form_expires_at');
    case 'site_name':
      return t('form_site_name');
    case 'description':
      return t('form_description');
    case 'name':
    case 'label':
      return t('form_label');
    case 'scopes':
      return t('form_scopes');
    case 'note':
      return t('form_note');
    case 'days':
      return t('form_days');
    case 'code':
      return t('form_code');
    default:
      return t('form_001');
  }
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
  const place = form.querySelector<HTMLElement>('[data-error]');
  if (!place) return;
  place.textContent = words;
  place.toggleAttribute('data-good', good);
}

const REQUEST_TIMEOUT_MS = 15_000;
