// Checks that the real Node SDK sees through tollfree what it sees without, and that the tags reach it.
//
// Runs each program of this folder and each call below twice, through tollfree and directly at upstream, and
// compares what the SDK makes of the answers. Knows only the public contract; the closed sets of tag values are the
// Python checks' business. Texts in square brackets steer the simulated OpenAI. Where both URLs are the same there
// is no tollfree in between: then its absence is checked instead of its tags.
//
//     OPENAI_BASE_URL=http://127.0.0.1:8800/v1 OPENAI_DIRECT_URL=http://127.0.0.1:8900/v1 \
//         OPENAI_API_KEY=sk-sim-acme node checks.mjs
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const PROGRAMS = ['chat', 'stream', 'responses', 'structured', 'tools', 'errors'];
const VARIABLES = ['OPENAI_BASE_URL', 'OPENAI_DIRECT_URL', 'OPENAI_API_KEY'];
const MODEL = 'gpt-5-mini';
const DEADLINE = 30_000; // milliseconds, for one call and for one program
const STREAMS = 20; // streams one after the other on one pool

// What differs between two runs of one call, with tollfree or without.
const DIFFERS = new Set([
  'id', 'created', 'created_at', 'completed_at', 'obfuscation', 'system_fingerprint', 'call_id', 'item_id', 'billing',
  '_request_id',
]); // prettier-ignore

const City = z.object({ name: z.string(), country: z.string(), inhabitants: z.number().int() });
const WEATHER = {
  name: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const CHAT_TOOL = { tools: [{ type: 'function', function: WEATHER }], tool_choice: 'required' };
const USAGE = { stream_options: { include_usage: true } };

const sdk = (baseURL) => new OpenAI({ baseURL, timeout: DEADLINE, maxRetries: 0 });
const says = (content) => [{ role: 'user', content }];

// --- through tollfree and without ---

/** A value as plain data, without what differs between two runs; what was null stays, what was absent too. */
function aside(value) {
  return JSON.parse(JSON.stringify(value, (name, member) => (DIFFERS.has(name) ? undefined : member)));
}

const chat = (client, options = {}, content = 'Hello!') =>
  client.chat.completions.create({ model: MODEL, messages: says(content), ...options });

const response = (client, options = {}) => client.responses.create({ model: MODEL, input: 'Hello!', ...options });

async function listed(stream) {
  const items = [];
  for await (const item of await stream) items.push(item);
  return items;
}

const chatStream = (client, options = {}, content = 'Count to five. [chunks 5]') =>
  listed(chat(client, { stream: true, ...options }, content));

const completionStream = (client, options = {}) =>
  listed(client.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'Once', stream: true, ...options }));

/** A stream that did not ask for usage shows none of it: not even `"usage":null`. */
const unasked = (call) => async (client) => {
  const chunks = await call(client);
  assert(chunks.length > 0 && chunks.every(({ choices }) => choices.length > 0), 'a chunk without choices');
  assert(!chunks.some((chunk) => 'usage' in chunk), 'usage that nobody asked for');
  return chunks;
};

/** A stream that asked for usage: one chunk has it, without choices, and all others say null. */
const asked = (call) => async (client) => {
  const chunks = await call(client);
  assert(chunks.every((chunk) => 'usage' in chunk), 'a chunk without usage');
  const showing = chunks.filter(({ usage }) => usage).map(({ choices }) => choices);
  assert.deepEqual(showing, [[]], 'not exactly one usage chunk');
  return chunks;
};

/** The error that the SDK raises, as data. */
const fails = (call) => async (client) => {
  const error = await call(client).then(
    () => assert.fail('no error'),
    (raised) => raised,
  );
  if (!(error instanceof OpenAI.APIError)) throw error;
  return [error.constructor.name, error.status ?? null, error.error ?? null];
};

/** What the SDK's own accumulating stream tells, and its last word. */
async function accumulated(client) {
  const stream = client.chat.completions.stream({ model: MODEL, messages: says('Hello!') });
  return [await listed(stream), await stream.finalChatCompletion()];
}

async function responseAccumulated(client) {
  const stream = client.responses.stream({ model: MODEL, input: 'Hello!' });
  return [await listed(stream), await stream.finalResponse()];
}

const numbered = (client) => (_, number) => chatStream(client, {}, `Number ${number}. [chunks ${number + 1}]`);

const CALLS = {
  chat,
  'chat, parsed': (c) =>
    c.chat.completions.parse({
      model: MODEL,
      messages: says('A city?'),
      response_format: zodResponseFormat(City, 'city'),
    }),
  'chat, function call': (c) => chat(c, CHAT_TOOL),
  'chat stream': unasked(chatStream),
  'chat stream, options null': unasked((c) => chatStream(c, { stream_options: null })),
  'chat stream, usage declined': unasked((c) => chatStream(c, { stream_options: { include_usage: false } })),
  'chat stream, usage asked': asked((c) => chatStream(c, USAGE)),
  'chat stream, function call': unasked((c) => chatStream(c, CHAT_TOOL)),
  'chat stream, accumulated': accumulated,
  'chat streams at once': (c) => Promise.all(Array.from({ length: 10 }, numbered(c))),
  'completion stream': unasked(completionStream),
  'completion stream, usage asked': asked((c) => completionStream(c, USAGE)),
  response,
  'response, parsed': (c) =>
    c.responses.parse({ model: MODEL, input: 'A city?', text: { format: zodTextFormat(City, 'city') } }),
  'response, function call': (c) =>
    response(c, { tools: [{ type: 'function', strict: false, ...WEATHER }], tool_choice: 'required' }),
  'response stream': (c) => listed(response(c, { stream: true })),
  'response stream, accumulated': responseAccumulated,
  'response, retrieved': async (c) => c.responses.retrieve((await response(c)).id),
  embeddings: (c) => c.embeddings.create({ model: 'text-embedding-3-small', input: 'Hello!' }),
  models: (c) => listed(c.models.list()),
  'wrong key': fails((c) => chat(c.withOptions({ apiKey: 'sk-wrong' }))),
  'unknown model': fails((c) => chat(c, { model: 'no-such-model' })),
  'rate limit': fails((c) => chat(c, {}, '[status 429]')),
  'error in a stream': fails((c) => chatStream(c, {}, '[error mid-stream]')),
};

async function same(call, through, direct) {
  assert.deepEqual(aside(await call(sdk(through))), aside(await call(sdk(direct))));
}

/** The answers and the verdicts that a program prints at this base URL. */
async function run(name, baseURL) {
  const { stdout } = await promisify(execFile)(process.execPath, [`${import.meta.dirname}/${name}.mjs`], {
    env: { ...process.env, OPENAI_BASE_URL: baseURL },
    timeout: DEADLINE,
  });
  const lines = stdout.trimEnd().split('\n');
  const verdicts = lines.filter((line) => line.startsWith('verdict: ')).map((line) => line.slice('verdict: '.length));
  return { answers: lines.filter((line) => !line.startsWith('verdict: ')), verdicts };
}

async function program(name, through, direct) {
  const [seen, expected] = [await run(name, through), await run(name, direct)];
  assert.deepEqual(seen.answers, expected.answers);
  assert.deepEqual(new Set(expected.verdicts), new Set(['null null']));
  if (through === direct) return 'null null';
  for (const verdict of seen.verdicts) {
    assert.match(verdict, /^((free|billed) (confirmed|final|assumed)|none error-response)$/);
  }
  return [...new Set(seen.verdicts)].join(', ');
}

// --- connections ---

/** Runs `use` with a base URL that leads to `baseURL` (plain http) and counts the connections opened to it. */
async function connections(baseURL, use) {
  const { hostname, port, pathname } = new URL(baseURL);
  let count = 0;
  const sockets = new Set();
  const relay = net.createServer({ noDelay: true }, (client) => {
    count += 1;
    const upstream = net.connect({ host: hostname, port: Number(port || 80), noDelay: true });
    for (const [source, sink] of [[client, upstream], [upstream, client]]) {
      sockets.add(source);
      source.on('error', () => sink.destroy()).pipe(sink);
    }
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  try {
    await use(`http://127.0.0.1:${relay.address().port}${pathname}`);
  } finally {
    relay.close();
    for (const socket of sockets) socket.destroy();
  }
  return count;
}

/**
 * A client keeps its connections through tollfree as well as without. A few more are no fault: the next stream may
 * be asked for a moment before the last one's connection is back in the pool. Lost connections would be one a stream.
 */
async function pool(through, direct) {
  const streams = async (baseURL) => {
    const client = sdk(baseURL);
    for (let left = STREAMS; left > 0; left -= 1) await chatStream(client);
  };
  const [seen, expected] = [await connections(through, streams), await connections(direct, streams)];
  assert(seen <= expected + STREAMS / 4, `${seen} connections instead of ${expected}`);
  return `${STREAMS} streams on ${seen} connections, ${expected} without tollfree`;
}

// --- the tags ---

const tagsOf = (headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('x-tollfree-')).map(([n, v]) => [n.slice(11), v]));

/** The look-up of a call under the headers' names, as text. */
async function lookUp(client, call) {
  const answer = await client.get(`/_tollfree/calls/${call}`);
  return Object.fromEntries(Object.entries(answer).map(([name, value]) => [name.replaceAll('_', '-'), String(value)]));
}

const STEER = says('[tokens in=1200 out=34]');
const TOLD = ['call', 'verdict', 'certainty', 'reason', 'group', 'tokens', 'input-tokens', 'output-tokens'];

const TAGGED = {
  /** The head of a whole answer, its body and its look-up say the same. */
  async chat(client) {
    const { data, response } = await chat(client, { messages: STEER }).withResponse();
    const seen = tagsOf(response.headers);
    const later = await lookUp(client, seen.call);
    for (const name of TOLD) assert.equal(later[name], seen[name], name);
    assert.equal(seen.tokens, String(data.usage.total_tokens));
    assert.equal(later['response-id'], data.id);
  },
  /** The look-up after a stream's end is final, though the stream itself showed no usage. */
  async stream(client) {
    const { data, response } = await chat(client, { messages: STEER, stream: true }).withResponse();
    const head = tagsOf(response.headers);
    const [{ id }] = await listed(data);
    const later = await lookUp(client, head.call);
    assert(head.verdict === 'pending' || head.certainty === 'expected', JSON.stringify(head));
    assert.match(`${later.verdict} ${later.certainty}`, /^(free|billed) (confirmed|final|assumed)$/);
    assert.deepEqual([later.tokens, later['response-id']], ['1234', id]);
  },
  async error(client) {
    const error = await chat(client.withOptions({ apiKey: 'sk-wrong' })).catch((raised) => raised);
    const { call, ...rest } = tagsOf(error.headers);
    assert(call, 'no x-tollfree-call');
    assert.deepEqual(rest, { verdict: 'none', reason: 'error-response' });
  },
};

async function untagged(direct) {
  const { response } = await chat(sdk(direct)).withResponse();
  assert.deepEqual(tagsOf(response.headers), {});
}

async function passes([name, check]) {
  try {
    const note = await check();
    console.log(`ok    ${name}${note ? `: ${note}` : ''}`);
    return true;
  } catch (error) {
    console.log(`FAIL  ${name}: ${error.stack}`);
    return false;
  }
}

async function main() {
  const missing = VARIABLES.filter((name) => !process.env[name]);
  if (missing.length > 0) {
    console.error(`not set: ${missing.join(', ')}. help: the top of ${import.meta.filename} shows a run`);
    process.exit(1);
  }
  const urls = VARIABLES.slice(0, 2).map((name) => process.env[name].replace(/\/$/, ''));
  const [through, direct] = urls;
  const checks = Object.entries(CALLS).map(([name, call]) => [name, () => same(call, ...urls)]);
  checks.push(...PROGRAMS.map((name) => [`${name}.mjs`, () => program(name, ...urls)]));
  checks.push(['pool', () => pool(...urls)]);
  if (through === direct) checks.push(['no tags without tollfree', () => untagged(direct)]);
  else checks.push(...Object.entries(TAGGED).map(([name, check]) => [`tags: ${name}`, () => check(sdk(through))]));
  let failed = 0;
  for (const check of checks) failed += (await passes(check)) ? 0 : 1;
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main();
