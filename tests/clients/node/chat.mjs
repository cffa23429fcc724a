// One chat call, and whether it was free.
import OpenAI from 'openai';

const client = new OpenAI();
const { data, response } = await client.chat.completions
  .create({ model: 'gpt-5-mini', messages: [{ role: 'user', content: 'Greet me in one word.' }] })
  .withResponse();
console.log(data.choices[0].message.content);
console.log('verdict:', response.headers.get('x-tollfree-verdict'), response.headers.get('x-tollfree-certainty'));
