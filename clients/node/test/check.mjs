// Against a real proxy before a simulated OpenAI: OPENAI_BASE_URL, OPENAI_API_KEY, and OPENAI_DIRECT_URL without a proxy.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const { Tag, final, wrap } = await import(process.env.TOLLFREE_PACKAGE ?? 'tollfree');
const messages = [{ role: 'user', content: 'hi [tokens in=100 out=50]' }];
let passed = 0;
const check = (name, holds, seen) => {
  assert.ok(holds, `${name}: ${JSON.stringify(seen)}`);
  passed += 1;
};
const tagged = (tag, name) => {
  check(`${name}: is tagged`, tag instanceof Tag, tag);
  check(`${name}: has a call`, tag.call.startsWith('c_'), tag);
};

const client = wrap(new OpenAI());
check('the client keeps its type', client instanceof OpenAI);
const answer = await client.chat.completions.create({ model: 'gpt-5-mini', messages });
tagged(answer.tollfree, 'chat');
check('tokens', answer.tollfree.tokens === 150, answer.tollfree);
check('a verdict', ['free', 'billed'].includes(answer.tollfree.verdict), answer.tollfree);
check('JSON is as it was', !JSON.stringify(answer).includes('tollfree'));
tagged((await client.responses.create({ model: 'gpt-5-mini', input: 'hi' })).tollfree, 'responses');
const both = await client.chat.completions.create({ model: 'gpt-5-mini', messages }).withResponse();
check('withResponse stays', both.response.headers.get('x-tollfree-verdict') !== null);
tagged(both.data.tollfree, 'withResponse');
const stream = await client.chat.completions.create({ model: 'gpt-5-mini', messages, stream: true });
tagged(stream.tollfree, 'head of a stream');
let text = '';
for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? '';
const last = await final(stream);
check("a stream's last word", text && last.tokens === 150 && ['free', 'billed'].includes(last.verdict), last);
check('it is recorded, and was not at its head', last.recorded && !stream.tollfree.recorded, last);
const helper = client.chat.completions.stream({ model: 'gpt-5-mini', messages });
for await (const _ of helper);
const ofHelper = await final(helper);
check("its last word", ofHelper?.tokens === 150, ofHelper);
const response = client.responses.stream({ model: 'gpt-5-mini', input: 'hi [tokens in=100 out=50]' });
await response.finalResponse();
const ofResponse = await final(response);
check("and of a response's", ofResponse?.tokens === 150, ofResponse);
// What the SDK makes of an answer is tagged as the answer is: parsed, listed, or found in the end of a run with tools.
const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const format = { type: 'json_schema', name: 'city', schema, strict: true };
const parsed = await client.chat.completions.parse({ model: 'gpt-5-mini', messages, response_format: { type: 'json_schema', json_schema: format } });
tagged(parsed.tollfree, 'parsed chat');
check('and parsed', typeof parsed.choices[0].message.parsed.city === 'string', parsed.choices[0].message);
const parsedToo = await client.responses.parse({ model: 'gpt-5-mini', input: 'hi', text: { format } }).withResponse();
tagged(parsedToo.data.tollfree, 'parsed response');
check('and is what its headers say', parsedToo.data.tollfree.call === parsedToo.response.headers.get('x-tollfree-call'));
tagged((await client.models.list()).tollfree, 'page');
let models = 0;
for await (const _ of client.models.list()) models += 1;
check('a page that is not awaited lists', models > 0, models);
let asked = 0;
const weather = { name: 'weather', parameters: schema, parse: JSON.parse, function: () => { asked += 1; return 'warm'; } };
for (const stream of [false, true]) {
  const run = client.chat.completions.runTools({ model: 'gpt-5-mini', messages, stream, tool_choice: 'required', tools: [{ type: 'function', function: weather }] });
  const ran = await run.finalChatCompletion();
  tagged(ran.tollfree, `end of a run with tools, stream ${stream}`);
  check('JSON of it is as it was', !JSON.stringify(ran).includes('tollfree'));
  const ofRun = await final(run);
  check('is the last call of it', ofRun?.call === ran.tollfree.call, ofRun);
}
check('the tools were asked', asked > 0, asked);
const hasty = client.withOptions({ timeout: 60_000 });
check('withOptions keeps the type', hasty instanceof OpenAI && hasty !== client);
tagged((await hasty.chat.completions.create({ model: 'gpt-5-mini', messages })).tollfree, 'withOptions');
tagged((await hasty.withOptions({ maxRetries: 0 }).models.list()).tollfree, 'withOptions twice');
await assert.rejects(client.responses.retrieve('resp_none'), (error) => {
  tagged(error.tollfree, 'error');
  check('and records nothing', error.tollfree.recorded === false, error.tollfree);
  return error.tollfree.verdict === 'none';
});
if (process.env.OPENAI_DIRECT_URL) {
  const plain = wrap(new OpenAI({ baseURL: process.env.OPENAI_DIRECT_URL }));
  const bare = await plain.chat.completions.create({ model: 'gpt-5-mini', messages });
  check('without a proxy there is no tag', bare.tollfree === undefined && bare.choices.length > 0, bare.tollfree);
}
console.log(`${passed} passed, 0 failed`);
