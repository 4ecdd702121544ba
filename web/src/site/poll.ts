/**
 * Runs `act` every `interval` milliseconds while the tab is seen, the first time after `first`; and at once when the
 * tab comes back after longer.
 */
export function whileVisible(interval: number, act: () => Promise<void>, first = interval): void {
  let last = Date.now() - interval + first;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const plan = (): void => {
    clearTimeout(timer);
    if (document.hidden) return;
    timer = setTimeout(() => {
      last = Date.now();
      // A failed attempt leaves what is shown and waits for the next.
      void act().catch(() => undefined).finally(plan);
    }, Math.max(0, last + interval - Date.now()));
  };
  document.addEventListener('visibilitychange', plan);
  plan();
}
