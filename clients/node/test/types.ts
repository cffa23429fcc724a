// What a program in TypeScript may write: it is only read, by `tsc`, never run.
import OpenAI from 'openai';
import { type Tag, type Tagged, final, wrap } from 'tollfree';

const client: OpenAI = wrap(new OpenAI());
const messages = [{ role: 'user' as const, content: 'hi' }];
const model = 'gpt-5-mini';
const answer = await client.chat.completions.create({ model, messages });
const parsed = await client.chat.completions.parse({ model, messages });
const response = await client.responses.create({ model, input: 'hi' });
const parsedToo = await client.responses.parse({ model, input: 'hi' });
const listed = await client.models.list();
const embedded = await client.embeddings.create({ model, input: 'hi' });
const stream = await client.chat.completions.create({ model, messages, stream: true });
const tags: (Tag | undefined)[] = [answer, parsed, response, parsedToo, listed, embedded, stream].map((one) => one.tollfree);
const ran = await client.chat.completions.runTools({ model, messages, tools: [] }).finalChatCompletion();
const left: number | undefined = ran.tollfree?.remainingTokens;
const last: Tag | undefined = await final(stream);
try {
  const file = await client.files.retrieve('file');
  tags.push((file as Tagged<typeof file>).tollfree);
} catch (error) {
  if (error instanceof OpenAI.APIError) tags.push(error.tollfree);
}
// @ts-expect-error: a tag has no such word
answer.tollfree?.verdikt;
export { last, left, tags };
