// Answers parsed by a zod schema, in both APIs.
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const City = z.object({ name: z.string(), country: z.string(), inhabitants: z.number().int() });

async function show(call) {
  const { data, response } = await call.withResponse();
  console.log('verdict:', response.headers.get('x-tollfree-verdict'), response.headers.get('x-tollfree-certainty'));
  return data;
}

const client = new OpenAI();
const model = 'gpt-5-mini';
const question = 'Describe a city.';

const chat = client.chat.completions.parse({
  model,
  messages: [{ role: 'user', content: question }],
  response_format: zodResponseFormat(City, 'city'),
});
console.log((await show(chat)).choices[0].message.parsed);

const response = client.responses.parse({ model, input: question, text: { format: zodTextFormat(City, 'city') } });
console.log((await show(response)).output_parsed);
