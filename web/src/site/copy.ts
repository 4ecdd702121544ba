import { t } from '../lib/messages';

/** Shows the copy buttons, which need this script, and makes them work. */
export function enableCopying(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-copy]')) {
    const text = button.parentElement?.querySelector('[data-copy-text]');
    if (!text) continue;
    button.hidden = false;
    const said = document.createElement('span');
    said.className = 'sr-only';
    said.setAttribute('role', 'status');
    button.after(said);
    button.addEventListener('click', () => {
      void copy(text).then((copied) => {
        said.textContent = copied ? t('copied') : t('copy_failed');
        if (!copied) return;
        button.dataset.done = '';
        setTimeout(() => {
          delete button.dataset.done;
          said.textContent = '';
        }, 2_000);
      });
    });
  }
}

/** Copies; where the browser allows it only on secure origins, by way of a selection. */
async function copy(source: Element): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    getSelection()?.selectAllChildren(source);
    return document.execCommand('copy');
  }
}
