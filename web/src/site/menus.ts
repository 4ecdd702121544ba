/** Menus close on Escape, on a press elsewhere, and when another opens. */
export function enableMenus(): void {
  const menus = [...document.querySelectorAll<HTMLDetailsElement>('[data-menu]')];
  const closeAllBut = (kept: Element | null): void => {
    for (const menu of menus) if (menu !== kept) menu.open = false;
  };
  document.addEventListener('pointerdown', (event) => {
    closeAllBut((event.target as Element).closest('[data-menu]'));
  });
  document.addEventListener('focusin', (event) => {
    closeAllBut((event.target as Element).closest('[data-menu]'));
  });
  for (const menu of menus) {
    menu.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !menu.open) return;
      menu.open = false;
      menu.querySelector('summary')?.focus();
    });
  }
}

/** `/` goes to the search, but for where one writes. */
export function enableSearchKey(): void {
  const field = document.querySelector<HTMLInputElement>('#search');
  document.addEventListener('keydown', (event) => {
    const writing = event.target instanceof Element && event.target.closest('input, textarea, select, [contenteditable]');
    if (event.key !== '/' || writing || event.ctrlKey || event.metaKey || event.altKey || !field?.offsetParent) return;
    event.preventDefault();
    field.focus();
  });
}
