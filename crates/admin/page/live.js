// The one event stream, and the word for how it does. On each return the whole state is fetched, then it goes on.

import { path, refusal } from './api.js';

/** How long a lost connection is only being looked for again, milliseconds; then the proxy is said to have stopped. */
const HOPE = 5_000;

const at = (instant) => `stopped ${instant.toISOString().slice(11, 19)} UTC`;

/** Until it is asked again after the stream was closed, and after it was refused, milliseconds. */
const AGAIN = 2_000;
const REFUSED_AGAIN = 10_000;

/**
 * Begins to listen. `changed` is called with what changed since, `anew` where what changed is not all: something is gone; `whole`
 * on each (re)connection, `word` with the state, `refused` with why the stream cannot be had. `since` is what a lost connection
 * hands on to the next: when it was lost, when the proxy stopped.
 */
export function listen(told, since = { lost: null, stopped: null }) {
  const { changed, anew, whole, word, refused } = told;
  const source = new EventSource(path('events'));
  source.addEventListener('open', () => {
    since.stopped = null;
    since.lost = null;
    whole();
    word('live');
  });
  source.addEventListener('change', (event) => changed(JSON.parse(event.data)));
  source.addEventListener('anew', () => anew());
  source.addEventListener('stop', () => {
    since.stopped = new Date();
    word(at(since.stopped));
  });
  source.addEventListener('error', async () => {
    since.lost ??= new Date();
    // The browser tries again by itself; an answer that is no stream of events closes it for good.
    if (source.readyState === EventSource.CLOSED) {
      const why = await refusal('events');
      setTimeout(() => listen(told, since), why ? REFUSED_AGAIN : AGAIN);
      if (why) {
        refused(why);
        return;
      }
    }
    if (!since.stopped && Date.now() - since.lost > HOPE) since.stopped = since.lost;
    word(since.stopped ? at(since.stopped) : 'reconnecting');
  });
}
