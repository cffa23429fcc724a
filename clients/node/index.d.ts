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

/** The last word on a stream that was read to its end, or undefined. */
export function final(stream: unknown, wait?: number): Promise<Tag | undefined>;
