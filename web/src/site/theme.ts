/** Changes light and dark at once; without this script the links do the same by a request. */
export function enableTheme(): void {
  for (const link of document.querySelectorAll<HTMLAnchorElement>('[data-theme-choice]')) {
    link.addEventListener('click', (event) => {
      event.preventDefault();
      const theme = link.dataset.themeChoice ?? 'auto';
      document.documentElement.dataset.theme = theme;
      document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
      for (const other of document.querySelectorAll('[data-theme-choice]')) {
        if (other === link) other.setAttribute('aria-current', 'true');
        else other.removeAttribute('aria-current');
      }
      const menu = link.closest('details');
      menu?.removeAttribute('open');
      menu?.querySelector('summary')?.focus();
    });
  }
  // The choice is kept; the address need not repeat it.
  const url = new URL(location.href);
  if (url.searchParams.has('theme') || url.searchParams.has('lang')) {
    url.searchParams.delete('theme');
    url.searchParams.delete('lang');
    history.replaceState(history.state, '', url);
  }
}
