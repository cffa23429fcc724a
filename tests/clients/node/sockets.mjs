// Checks that WebSockets work through tollfree with the real Node SDK and with the `ws` package itself.
//
// Each response must be found by its id as soon as its last event is there. Knows only the public contract. Texts in
// square brackets steer the simulated OpenAI.
//
//     OPENAI_BASE_URL=http://127.0.0.1:8800/v1 OPENAI_API_KEY=sk-sim-acme node sockets.mjs
import assert from 'node:assert/strict';
import { once } from 'node:events';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { ResponsesWS } from 'openai/resources/responses/ws';
import WebSocket from 'ws';

const BASE = process.env.OPENAI_BASE_URL.replace(/\/$/, '');
const KEY = process.env.OPENAI_API_KEY;
const MODEL = 'gpt-5-mini';
const DEADLINE = 30_000; // milliseconds, for one check
const LANES = 12;

const client = new OpenAI({ baseURL: BASE, timeout: DEADLINE, maxRetries: 0 });
const create = (input, more = {}) => ({ type: 'response.create', model: MODEL, input, ...more });

/** What a look-up by OpenAI's own id says, at once. */
async function settled(id, tokens, verdict = 'free') {
  const call = await client.get(`/_tollfree/calls/${id}`);
  assert.equal(call.verdict, verdict);
  assert.equal(call.tokens, tokens);
  assert.equal(call['response-id'], id);
}

/** The first event of this type. */
function comes(socket, type) {
  return new Promise((resolve, reject) => {
    socket.once(type, resolve);
    socket.once('error', reject);
  });
}

async function responses() {
  const socket = new ResponsesWS(client);
  try {
    for (const number of [1, 2, 3]) {
      const ended = comes(socket, 'response.completed');
      socket.send(create(`[tokens in=1${number}0 out=5]`));
      const { response } = await ended;
      await settled(response.id, response.usage.total_tokens);
    }
  } finally {
    socket.close();
  }
}

async function realtime() {
  // The SDK speaks TLS alone; the URL it made is used without.
  const { url } = new OpenAIRealtimeWS({ model: 'gpt-realtime', options: { lookup: () => {} } }, client).on('error', () => {});
  const socket = new WebSocket(`${BASE.replace('http', 'ws')}/realtime${url.search}`, [
    'realtime',
    `openai-insecure-api-key.${KEY}`,
  ]);
  await once(socket, 'open');
  assert.equal(socket.protocol, 'realtime');
  const content = [{ type: 'input_text', text: '[tokens in=16 out=63]' }];
  socket.send(JSON.stringify({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } }));
  socket.send(JSON.stringify({ type: 'response.create' }));
  const { response } = await heard(socket, 'response.done');
  // The key that a browser names among its protocols is the same key.
  await settled(response.id, 79, 'billed');
  socket.close();
}

/** The first message of this type. */
function heard(socket, type) {
  return new Promise((resolve, reject) => {
    socket.on('message', (text) => {
      const event = JSON.parse(text);
      if (event.type === type) resolve(event);
    });
    socket.on('close', () => reject(new Error(`closed before ${type}`)));
  });
}

const raw = () =>
  new WebSocket(`${BASE.replace('http', 'ws')}/responses`, {
    headers: { authorization: `Bearer ${KEY}` },
    perMessageDeflate: true,
  });

async function lanes() {
  const socket = raw();
  await once(socket, 'open');
  assert.equal(socket.extensions, '');
  const ended = [];
  const all = new Promise((resolve, reject) => {
    socket.on('close', () => reject(new Error('closed early')));
    socket.on('message', (text) => {
      const { type, response } = JSON.parse(text);
      if (type === 'response.completed' && ended.push(settled(response.id, response.usage.total_tokens)) === LANES) {
        resolve();
      }
    });
  });
  for (let lane = 0; lane < LANES; lane += 1) {
    const text = `[tokens in=${lane + 1}000 out=1] [delay ${10 * (LANES - lane)}] [chunks 20]`;
    socket.send(JSON.stringify(create(text, { stream_id: `lane ${lane}` })));
  }
  await all;
  await Promise.all(ended);
  socket.removeAllListeners('close');
  socket.close();
}

async function pingsAndGoodbye() {
  const socket = raw();
  await once(socket, 'open');
  socket.ping('there?');
  const [payload] = await once(socket, 'pong');
  assert.equal(payload.toString(), 'there?');
  socket.close(1000, 'done');
  const [code] = await once(socket, 'close');
  assert.equal(code, 1000);
}

async function wrongKey() {
  const socket = new WebSocket(`${BASE.replace('http', 'ws')}/responses`, {
    headers: { authorization: 'Bearer sk-wrong' },
  });
  const [, answer] = await once(socket, 'unexpected-response');
  assert.equal(answer.statusCode, 401);
  assert.equal(answer.headers['x-tollfree-verdict'], 'none');
  answer.resume();
}

const CHECKS = { responses, realtime, lanes, 'pings and goodbye': pingsAndGoodbye, 'wrong key': wrongKey };

let failed = 0;
for (const [name, check] of Object.entries(CHECKS)) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error('too late')), DEADLINE).unref();
  });
  try {
    await Promise.race([check(), late]);
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
console.log(`${Object.keys(CHECKS).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
