// The one event stream, and the word for how it does. On each return the whole state is fetched, then it goes on.

import { path } from './api.js';

/** Begins to listen. `changed` is called with each event, `whole` on each (re)connection, `word` with the state. */
export function listen({ changed, whole, word }) {
  let stopped = null;
  const source = new EventSource(path('events'));
  source.addEventListener('open', () => {
    stopped = null;
    whole();
    word('live');
  });
  source.addEventListener('change', (event) => changed(JSON.parse(event.data)));
  source.addEventListener('stop', () => {
    stopped = new Date();
    word(`stopped ${stopped.toISOString().slice(11, 19)} UTC`);
  });
  source.addEventListener('error', () => {
    // The browser tries again by itself; a server that refuses for good closes the stream.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => listen({ changed, whole, word }), 2000);
    }
    if (!stopped) word('reconnecting');
  });
}
