// The questions the page asks the proxy it came from. Shapes: docs/openapi.json.

// A token has no spaces: a plus sign that was typed is one.
const token = new URLSearchParams(location.search.replaceAll('+', '%2B')).get('token');

/** The path of a question, with what limits it. */
export function path(name, limits = {}) {
  const asked = new URLSearchParams(Object.entries(limits).filter(([, value]) => value !== '' && value !== undefined && value !== null));
  if (token) asked.set('token', token);
  const query = asked.toString();
  return `api/v1/${name}${query ? `?${query}` : ''}`;
}

/** Nobody answers: the proxy ended, or is not back yet. */
export class Silent extends Error {}

// Why an answer refuses, in its own words; who lacks a token is told where the page takes it from.
function words(answer, said) {
  if (answer.status === 401) return 'a token is required. help: open this page as /?token=...';
  return said?.error?.message ?? `${answer.status} ${answer.statusText}`;
}

/** Why a question is refused; nothing where it is not, or nobody answers. */
export async function refusal(name) {
  const enough = new AbortController();
  try {
    const answer = await fetch(path(name), { cache: 'no-store', signal: enough.signal });
    return answer.ok ? null : words(answer, await answer.json().catch(() => null));
  } catch {
    return null;
  } finally {
    enough.abort();
  }
}

/** Asks; an answer that refuses is an error with its own words, and `Silent` is one where none comes. */
export async function ask(name, limits) {
  let answer;
  try {
    answer = await fetch(path(name, limits), { cache: 'no-store' });
  } catch {
    throw new Silent('the proxy does not answer. help: start tollfree; this page goes on by itself');
  }
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(words(answer, said));
  return said;
}
