// Numbers, times and verdicts as the page writes them. Knows no element.

const THOUSANDS = new Intl.NumberFormat('en-US');

/** A count in full, `?` where it is not known. */
export const count = (n) => (n === null || n === undefined ? '?' : THOUSANDS.format(n));

/** A count in short, for axes, bars and the tab. What remains is never said to be more: `round` is up where `n` is a most. */
export function short(n, round = Math.floor) {
  for (const [unit, letter] of [[1e6, 'M'], [1e3, 'k']]) {
    const parts = n < 10 * unit ? 10 : 1;
    const value = round((n * parts) / unit) / parts;
    if (value >= 1) return `${value}${letter}`;
  }
  return String(n);
}

/** `23:10:04` UTC of an RFC 3339 instant. */
export const clock = (instant) => instant.slice(11, 19);

/** `2026-11-21 16:06` UTC of an RFC 3339 instant. */
export const moment = (instant) => `${instant.slice(0, 10)} ${instant.slice(11, 16)}`;

/** `Sat 21 Nov 2026` of a day `2026-11-21`, in no time zone at all. */
export const dayName = (day) =>
  new Intl.DateTimeFormat('en-GB', {
    weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC',
  }).format(new Date(`${day}T00:00:00Z`)).replace(',', '');

/** `00:45:51` of milliseconds. */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  return [s / 3600, (s / 60) % 60, s % 60].map((part) => String(Math.floor(part)).padStart(2, '0')).join(':');
}

const SHAPES = { free: '●', billed: '■', unknown: '?', pending: '○', none: '·' };

/** Word and shape of a verdict; billed in capitals. */
export const verdict = (word) => `${SHAPES[word] ?? '·'} ${word === 'billed' ? 'BILLED' : word}`;

/** A name in at most so many characters, cut in its middle: both ends tell names apart. */
export const middle = (name, most) => (name.length > most
  ? `${name.slice(0, Math.ceil((most - 1) / 2))}…${name.slice(-Math.floor((most - 1) / 2))}` : name);

/** An id in its beginning and end. */
export const shortId = (id) => (id.length > 16 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id);
