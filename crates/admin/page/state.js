// What is shown, as the address bar holds it: organization, day, filters and call, so that a link shows the same.

const FIELDS = ['organization', 'group', 'day', 'verdict', 'model', 'reason', 'search', 'call'];

/** The wishes of the address bar; empty texts where it says nothing, or a day that is none. */
export function read() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (!/^\d{4}-\d\d-\d\d$/.test(asked.get('day')) || Number.isNaN(Date.parse(asked.get('day')))) asked.delete('day');
  return Object.fromEntries(FIELDS.map((field) => [field, asked.get(field) ?? '']));
}

/** Puts wishes into the address bar. */
export function write(changes) {
  const next = { ...read(), ...changes };
  const asked = new URLSearchParams(Object.entries(next).filter(([, value]) => value));
  const hash = asked.toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
  return next;
}
