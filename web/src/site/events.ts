/** What the server tells of live streams as it happens (`GET /api/v1/events`). */

import { retryDelay } from '../player/backoff';

/** What to do with the data of each kind of event. */
export type Handlers = Record<string, (data: unknown) => void>;

/**
 * Listens while the tab is seen. A connection that is lost is made anew, later and later; each begins with all that there
 * is, so that nothing is missed.
 */
export function listen(query: string, handlers: Handlers): void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  const close = (): void => {
    clearTimeout(timer);
    source?.close();
  };
  const open = (): void => {
    close();
    if (document.hidden) return;
    source = new EventSource(`/api/v1/events${query}`);
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event: MessageEvent<string>) => {
        failures = 0;
        handle(JSON.parse(event.data));
      });
    }
    source.addEventListener('error', () => {
      close();
      failures += 1;
      timer = setTimeout(open, retryDelay(failures, Math.random));
    });
  };
  document.addEventListener('visibilitychange', open);
  open();
}
