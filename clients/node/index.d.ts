import type OpenAI from 'openai';

/** What tollfree says of one call: its headers' names, numbers as numbers, undefined where not known. */
export class Tag {
  readonly call: string;
  readonly verdict: 'free' | 'billed' | 'pending' | 'unknown' | 'none';
  readonly certainty?: 'confirmed' | 'final' | 'assumed' | 'expected' | 'estimated';
  readonly assumes: string[];
  readonly reason?: string;
  readonly group?: string;
  readonly tokens?: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly allowanceTokens?: number;
  readonly remainingTokens?: number;
  readonly reset?: string;
  readonly resetSeconds?: number;
  readonly costUsd?: number;
  readonly savedUsd?: number;
  readonly disputed: boolean;
  readonly recorded: boolean;
  /** True only where it is sure: free, and final or confirmed. */
  get isFree(): boolean;
}

/** The same client, whose answers, streams and errors carry `tollfree`. */
export function wrap<Client extends OpenAI>(client: Client): Client;

/** An answer of a client that was wrapped, where its type does not say so yet: `(answer as Tagged<typeof answer>).tollfree`. */
export type Tagged<Answer> = Answer & { readonly tollfree?: Tag };

/** The last word on a stream that was read to its end, or undefined. */
export function final(stream: unknown, wait?: number): Promise<Tag | undefined>;

// The answers that cost tokens, lists, streams and errors have a tag; undefined without a proxy, or of a client not wrapped.
declare module 'openai/resources/chat/completions/completions' {
  interface ChatCompletion { readonly tollfree?: Tag }
}
declare module 'openai/resources/responses/responses' {
  interface Response { readonly tollfree?: Tag }
}
declare module 'openai/resources/completions' {
  interface Completion { readonly tollfree?: Tag }
}
declare module 'openai/resources/embeddings' {
  interface CreateEmbeddingResponse { readonly tollfree?: Tag }
}
declare module 'openai/resources/moderations' {
  interface ModerationCreateResponse { readonly tollfree?: Tag }
}
declare module 'openai/resources/images' {
  interface ImagesResponse { readonly tollfree?: Tag }
}
declare module 'openai/resources/audio/transcriptions' {
  interface Transcription { readonly tollfree?: Tag }
}
declare module 'openai/core/pagination' {
  interface AbstractPage<Item> { readonly tollfree?: Tag }
}
declare module 'openai/core/streaming' {
  interface Stream<Item> { readonly tollfree?: Tag }
}
declare module 'openai/core/error' {
  interface APIError<TStatus, THeaders, TError> { readonly tollfree?: Tag }
}
