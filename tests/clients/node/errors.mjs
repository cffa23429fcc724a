// Errors pass as OpenAI sent them and are tagged too: nothing was generated, so nothing is settled.
import OpenAI from 'openai';

const client = new OpenAI();
const messages = [{ role: 'user', content: 'Is anybody there?' }];

async function show(client, model) {
  try {
    await client.chat.completions.create({ model, messages });
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    console.log(error.status, error.code);
    console.log('verdict:', error.headers.get('x-tollfree-verdict'), error.headers.get('x-tollfree-reason'));
  }
}

await show(client.withOptions({ apiKey: 'sk-wrong' }), 'gpt-5-mini');
await show(client, 'no-such-model');
