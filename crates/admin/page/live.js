// The one event stream, and the word for how it does. On each return the whole state is fetched, then it goes on.

import { path } from './api.js';

/** How long a lost connection is only being looked for again, milliseconds; then the proxy is said to have stopped. */
const HOPE = 5_000;

const at = (instant) => `stopped ${instant.toISOString().slice(11, 19)} UTC`;

/** Begins to listen. `changed` is called with each event, `whole` on each (re)connection, `word` with the state. */
export function listen({ changed, whole, word }) {
  let stopped = null;
  let lost = null;
  const source = new EventSource(path('events'));
  source.addEventListener('open', () => {
    stopped = null;
    lost = null;
    whole();
    word('live');
  });
  source.addEventListener('change', (event) => changed(JSON.parse(event.data)));
  source.addEventListener('stop', () => {
    stopped = new Date();
    word(at(stopped));
  });
  source.addEventListener('error', () => {
    // The browser tries again by itself; a server that refuses for good closes the stream.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => listen({ changed, whole, word }), 2000);
    }
    lost ??= new Date();
    if (!stopped && Date.now() - lost > HOPE) stopped = lost;
    word(stopped ? at(stopped) : 'reconnecting');
  });
}
