// The Responses API, whole and as a stream.
import OpenAI from 'openai';

const client = new OpenAI();
const question = { model: 'gpt-5-mini', input: 'Name a colour.' };

const whole = await client.responses.create(question).withResponse();
console.log(whole.data.output_text);
const { headers } = whole.response;
console.log('verdict:', headers.get('x-tollfree-verdict'), headers.get('x-tollfree-certainty'));

const { data: stream, response } = await client.responses.create({ ...question, stream: true }).withResponse();
for await (const event of stream) {
  if (event.type === 'response.output_text.delta') process.stdout.write(event.delta);
}
console.log();

const call = response.headers.get('x-tollfree-call');
const tag = call ? await client.get(`/_tollfree/calls/${call}`) : {};
console.log('verdict:', tag.verdict ?? null, tag.certainty ?? null);
