/** Where the pages of a rail are tabs that scroll, the current one is brought into sight. */
export function showCurrentTab(): void {
  const list = document.querySelector<HTMLElement>('.rail');
  const current = list?.querySelector<HTMLElement>('[aria-current]');
  if (!list || !current) return;
  list.scrollLeft = current.offsetLeft - (list.clientWidth - current.offsetWidth) / 2;
}
