/**
 * Tabs that are links to parts of the page, of which styles show the one that is the target. Here the chosen one is marked
 * for those who do not see it, and the page stays where it is, so that the picture above is not scrolled away.
 */
export function enableTabs(): void {
  const tabs = [...document.querySelectorAll<HTMLAnchorElement>('[data-tabs] a')];
  const mark = (): void => {
    const chosen = tabs.find((tab) => tab.hash === location.hash) ?? tabs[0];
    for (const tab of tabs) {
      if (tab === chosen) tab.setAttribute('aria-current', 'true');
      else tab.removeAttribute('aria-current');
    }
  };
  for (const tab of tabs) {
    tab.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      const { scrollX, scrollY } = window;
      location.hash = tab.hash;
      window.scrollTo(scrollX, scrollY);
    });
  }
  window.addEventListener('hashchange', mark);
  mark();
}
