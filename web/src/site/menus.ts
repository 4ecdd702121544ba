/** Menus close on Escape, on a press elsewhere, and when another opens; what asks again before it is done closes on Escape. */
export function enableMenus(): void {
  document.addEventListener('keydown', (event) => {
    const open = (event.target as Element).closest<HTMLDetailsElement>('details.confirm[open]');
    if (event.key !== 'Escape' || !open) return;
    open.open = false;
    open.querySelector('summary')?.focus();
  });
  const menus = [...document.querySelectorAll<HTMLDetailsElement>('[data-menu]')];
  document.addEventListener('pointerdown', (event) => {
    for (const menu of menus) if (!menu.contains(event.target as Element)) menu.open = false;
  });
  document.addEventListener('focusin', (event) => {
    const target = event.target as Element;
    // A press on words in a menu gives the focus to what is around it, such as the page's content: that is no way out.
    for (const menu of menus) if (!menu.contains(target) && !target.contains(menu)) menu.open = false;
  });
  for (const menu of menus) {
    menu.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !menu.open) return;
      menu.open = false;
      menu.querySelector('summary')?.focus();
    });
    menu.addEventListener('toggle', () => {
      // Once what else hears of it has put into the menu what belongs there.
      if (menu.open) requestAnimationFrame(() => menu.querySelector('.menu-list')?.scrollIntoView({ block: 'nearest' }));
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
