// Whether each call of OpenAI's SDK was free or billed, beside its answer. Never throws because a tag is missing.

const NUMBERS = ['tokens', 'input-tokens', 'output-tokens', 'allowance-tokens', 'remaining-tokens', 'reset-seconds',
  'cost-usd', 'saved-usd'];
const WORDS = ['call', 'verdict', 'certainty', 'reason', 'group', 'reset'];
const CLIENT = Symbol('client');
const SETTLED = ['free', 'billed', 'unknown'];
// What the helpers' streams read (`client.chat.completions.stream`, `client.responses.stream`), by what aborts both.
const STREAMS = new WeakMap();

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

/** What tollfree says of one call: its headers' names, numbers as numbers, undefined where not known. */
export class Tag {
  /** True only where it is sure: free, and final or confirmed. */
  get isFree() {
    return this.verdict === 'free' && ['final', 'confirmed'].includes(this.certainty);
  }
}

/** The tag that `get` finds by name, or undefined. */
function tagOf(get) {
  const tag = new Tag();
  for (const name of WORDS) tag[camel(name)] = get(name) ?? undefined;
  for (const name of NUMBERS) {
    const value = get(name);
    tag[camel(name)] = value === null || value === undefined || Number.isNaN(Number(value)) ? undefined : Number(value);
  }
  const assumes = get('assumes') ?? [];
  tag.assumes = Array.isArray(assumes) ? assumes : assumes.split(',');
  tag.disputed = String(get('disputed')) === 'true';
  // Said only where a settled call is not: what settles nothing, or is not settled yet, is not recorded either.
  tag.recorded = SETTLED.includes(tag.verdict) && tag.certainty !== 'expected' && String(get('recorded')) !== 'false';
  return tag.call && tag.verdict ? tag : undefined;
}

const ofHeaders = (headers) => tagOf((name) => headers?.get?.(`x-tollfree-${name}`));

/** Puts a tag beside an answer, where neither JSON nor a loop sees it. */
function attach(answer, response, client) {
  if (answer === null || typeof answer !== 'object') return answer;
  Object.defineProperty(answer, 'tollfree', { value: ofHeaders(response.headers), configurable: true });
  Object.defineProperty(answer, CLIENT, { value: client, configurable: true });
  return answer;
}

/** The same client, whose answers, streams and errors carry `tollfree`. */
export function wrap(client) {
  const request = client.request.bind(client);
  client.request = (...asked) =>
    request(...asked)._thenUnwrap((answer, { response, options }) => {
      if (options?.stream && options.signal && answer) STREAMS.set(options.signal, answer);
      return attach(answer, response, client);
    });
  const APIError = client.constructor.APIError;
  if (APIError && !('tollfree' in APIError.prototype)) {
    Object.defineProperty(APIError.prototype, 'tollfree', { get() { return ofHeaders(this.headers); } });
  }
  return client;
}

/** The last word on a stream that was read to its end, or undefined. */
export async function final(stream, wait = 5) {
  const read = STREAMS.get(stream?.controller?.signal) ?? stream;
  const call = read?.tollfree?.call;
  if (!call) return undefined;
  const said = await read[CLIENT].get(`/_tollfree/calls/${call}`, { query: { wait } });
  return tagOf((name) => said[name]);
}
