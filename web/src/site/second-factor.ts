/** Setting up the second factor: a picture to scan, the first code, and codes to keep. */

import { refuse } from './forms';
import { explain, type Problem } from './problems';

export function enableSecondFactor(): void {
  const place = document.querySelector<HTMLElement>('[data-factor]');
  const begin = place?.querySelector<HTMLButtonElement>('[data-factor-begin]');
  const form = place?.querySelector<HTMLFormElement>('form[data-factor-code]');
  if (!place || !begin || !form) return;
  let setup = '';
  begin.addEventListener('click', () => {
    void ask('POST').then(async (response) => {
      if (!response?.ok) return;
      const made = (await response.json()) as { secret: string; qr: string; setup: string };
      setup = made.setup;
      const picture = form.querySelector('img');
      if (picture) picture.src = `data:image/svg+xml,${encodeURIComponent(made.qr)}`;
      const secret = form.querySelector('[data-copy-text]');
      if (secret) secret.textContent = made.secret;
      form.hidden = false;
      begin.hidden = true;
      form.querySelector<HTMLInputElement>('input[name=code]')?.focus();
    });
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const code = form.querySelector<HTMLInputElement>('input[name=code]')?.value ?? '';
    void ask('PUT', { setup, code }).then(async (response) => {
      if (response?.ok) {
        const { codes } = (await response.json()) as { codes: string[] };
        const list = place.querySelector<HTMLElement>('[data-factor-codes]');
        const text = list?.querySelector('[data-copy-text]');
        if (text) text.textContent = codes.join('\n');
        form.hidden = true;
        if (list) list.hidden = false;
      } else refuse(form, explain(((await response?.json().catch(() => ({}))) ?? {}) as Problem));
    });
  });
}

function ask(method: string, body?: unknown): Promise<Response | undefined> {
  return fetch('/api/v1/users/me/second-factor', {
    method,
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  }).catch(() => undefined);
}

const REQUEST_TIMEOUT_MS = 15_000;
