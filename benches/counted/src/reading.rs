//! Bytes as OpenAI sends them and clients ask, and their readers as a call uses them. It must not know what is found.

use wire::{End, Form, Metered, Reading, ResponseReader};

/// Text of an answer without anything to escape.
pub const PLAIN: &str = "The quick brown fox jumps over the lazy dog and runs on. ";
/// Text that is JSON in a JSON string.
pub const ESCAPED: &str = r#"{\"a\": \"b\",\n \"c\": 1}, "#;

/// A chat completion of about `size` bytes, pretty-printed as OpenAI does.
#[must_use]
pub fn answer(size: usize, text: &str) -> String {
    let content = text.repeat(size.saturating_sub(900) / text.len() + 1);
    format!(
        r#"{{
  "id": "chatcmpl-BenchBenchBenchBenchBenchBench",
  "object": "chat.completion",
  "created": 1763700000,
  "model": "gpt-4o-mini-2024-07-18",
  "choices": [
    {{
      "index": 0,
      "message": {{
        "role": "assistant",
        "content": "{content}",
        "refusal": null,
        "annotations": []
      }},
      "logprobs": null,
      "finish_reason": "stop"
    }}
  ],
  "usage": {{
    "prompt_tokens": 62,
    "completion_tokens": 27,
    "total_tokens": 89,
    "prompt_tokens_details": {{
      "cached_tokens": 0,
      "audio_tokens": 0
    }},
    "completion_tokens_details": {{
      "reasoning_tokens": 0,
      "audio_tokens": 0,
      "accepted_prediction_tokens": 0,
      "rejected_prediction_tokens": 0
    }}
  }},
  "service_tier": "default",
  "system_fingerprint": "fp_bench"
}}
"#
    )
}

/// One event of a chat stream; `asked`: of a stream that shows its usage at the end.
#[must_use]
pub fn event(asked: bool) -> String {
    let usage = if asked { ",\"usage\":null" } else { "" };
    format!(
        "data: {{\"id\":\"chatcmpl-Bench\",\"object\":\"chat.completion.chunk\",\"created\":1763700000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word\"}},\"logprobs\":null,\"finish_reason\":null}}]{usage},\"obfuscation\":\"q8Zk\"}}\n\n"
    )
}

/// The body of a chat request with about `size` bytes of text.
#[must_use]
pub fn request(size: usize) -> String {
    let content = PLAIN.repeat(size / PLAIN.len());
    format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{content}"}}],"max_tokens":100,"stream":true}}"#
    )
}

/// Reads a JSON answer from its first byte to its end.
#[must_use]
pub fn read_answer(body: &[u8]) -> Reading {
    let mut reader = ResponseReader::new(Metered::ChatCompletions, Form::Json, &[]);
    reader.push(body);
    reader.finish(End::Complete)
}

/// A reader in the middle of a chat stream, past its first event.
#[must_use]
pub fn events(first: &[u8]) -> ResponseReader {
    let mut reader = ResponseReader::new(Metered::ChatCompletions, Form::EventStream, &[]);
    reader.push(first);
    reader
}
