// One call with Vercel's AI SDK, and whether it was free: only OPENAI_BASE_URL says that tollfree is in between.
import { openai } from '@ai-sdk/openai';
import { generateText } from 'ai';

const { text, response } = await generateText({ model: openai('gpt-5-mini'), prompt: 'Greet me in one word.' });
console.log(text);
console.log('verdict:', response.headers['x-tollfree-verdict'], response.headers['x-tollfree-certainty']);
