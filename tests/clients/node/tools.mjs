// A function tool, there and back, in both APIs: each call on the way has its own verdict.
import OpenAI from 'openai';

const client = new OpenAI();
const model = 'gpt-5-mini';
const question = { role: 'user', content: 'Is it warm in Lisbon?' };
const definition = {
  name: 'weather',
  description: 'The weather of a city.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
  strict: true,
};

const weather = ({ city }) => `18 degrees and clear in ${city}`;

async function show(call) {
  const { data, response } = await call.withResponse();
  console.log('verdict:', response.headers.get('x-tollfree-verdict'), response.headers.get('x-tollfree-certainty'));
  return data;
}

async function chat() {
  const ask = { model, tools: [{ type: 'function', function: definition }] };
  const messages = [question];
  const asked = client.chat.completions.create({ ...ask, messages, tool_choice: 'required' });
  const { message } = (await show(asked)).choices[0];
  messages.push(message);
  for (const call of message.tool_calls) {
    const content = weather(JSON.parse(call.function.arguments));
    messages.push({ role: 'tool', tool_call_id: call.id, content });
  }
  const answered = await show(client.chat.completions.create({ ...ask, messages }));
  console.log(answered.choices[0].message.content);
}

async function responses() {
  const ask = { model, tools: [{ type: 'function', ...definition }] };
  const input = [question];
  const { output } = await show(client.responses.create({ ...ask, input, tool_choice: 'required' }));
  input.push(...output);
  for (const call of output.filter((item) => item.type === 'function_call')) {
    const result = weather(JSON.parse(call.arguments));
    input.push({ type: 'function_call_output', call_id: call.call_id, output: result });
  }
  console.log((await show(client.responses.create({ ...ask, input }))).output_text);
}

await chat();
await responses();
