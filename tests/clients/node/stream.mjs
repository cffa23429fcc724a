// A stream: its head carries the call's id, a look-up gives the final verdict once it has ended.
import OpenAI from 'openai';

const client = new OpenAI();
const { data: stream, response } = await client.chat.completions
  .create({ model: 'gpt-5-mini', messages: [{ role: 'user', content: 'Tell me a short tale.' }], stream: true })
  .withResponse();
for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? '');
console.log();

const call = response.headers.get('x-tollfree-call');
const tag = call ? await client.get(`/_tollfree/calls/${call}`) : {};
console.log('verdict:', tag.verdict ?? null, tag.certainty ?? null);
