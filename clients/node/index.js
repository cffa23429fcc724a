// Whether each call of OpenAI's SDK was free or billed, beside its answer. Never throws because a tag is missing.

const NUMBERS = ['tokens', 'input-tokens', 'output-tokens', 'allowance-tokens', 'remaining-tokens', 'reset-seconds',
  'cost-usd', 'saved-usd'];
const WORDS = ['call', 'verdict', 'certainty', 'reason', 'group', 'reset'];
const CLIENT = Symbol('client');
const SETTLED = ['free', 'billed', 'unknown'];
// What the SDK's helpers read last (`client.chat.completions.stream` and `runTools`, `client.responses.stream`), by what
// aborts both.
const ANSWERS = new WeakMap();

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
function put(answer, tag, client) {
  if (answer === null || typeof answer !== 'object') return answer;
  Object.defineProperty(answer, 'tollfree', { value: tag, configurable: true });
  Object.defineProperty(answer, CLIENT, { value: client, configurable: true });
  return answer;
}

/** Gives what keeps its answer's headers a tag read from them. */
function carries(kind, headersOf) {
  if (!kind || 'tollfree' in kind.prototype) return;
  Object.defineProperty(kind.prototype, 'tollfree', { get() { return ofHeaders(headersOf(this)); } });
}

/** The same promise, whose answer is tagged; and so is what the SDK makes of it: `parse` unwraps the answer into another. */
function tagging(promise, client) {
  const { parseResponse, _thenUnwrap } = promise;
  promise.parseResponse = async (of, props) => {
    const answer = await parseResponse.call(promise, of, props);
    const { signal } = props.options ?? {};
    if (signal && answer !== null && typeof answer === 'object') ANSWERS.set(signal, answer);
    return put(answer, ofHeaders(props.response.headers), client);
  };
  promise._thenUnwrap = (...asked) => tagging(_thenUnwrap.apply(promise, asked), client);
  return promise;
}

/** The same client, whose answers, streams and errors carry `tollfree`. */
export function wrap(client) {
  const { request, requestAPIList, withOptions } = client;
  client.request = (...asked) => tagging(request.apply(client, asked), client);
  client.requestAPIList = (Page, ...asked) => {
    carries(Page, (page) => page.response?.headers);
    return requestAPIList.call(client, Page, ...asked);
  };
  client.withOptions = (...options) => wrap(withOptions.apply(client, options));
  // A run with tools copies each answer before it shows it.
  const chat = client.chat.completions;
  const { runTools } = chat;
  chat.runTools = (...asked) => {
    const run = runTools.apply(chat, asked);
    return run.on('chatCompletion', (copy) => put(copy, ANSWERS.get(run.controller.signal)?.tollfree, client));
  };
  carries(client.constructor.APIError, (error) => error.headers);
  return client;
}

/** The last word on a stream that was read to its end, or undefined. */
export async function final(stream, wait = 5) {
  const read = ANSWERS.get(stream?.controller?.signal) ?? stream;
  const call = read?.tollfree?.call;
  if (!call) return undefined;
  const said = await read[CLIENT].get(`/_tollfree/calls/${call}`, { query: { wait } });
  return tagOf((name) => said[name]);
}
