//! The WebSocket `/v1/realtime`: a session of one model that answers in text, and writes down what it hears with a
//! model of its own. The model is named once, no response repeats it. Knows nothing of audio.

use serde_json::{Value, json};
use tokio::io::AsyncRead;

use super::frames::Reader;
use super::{Outgoing, Over, Speaker, say};
use crate::call::{Bought, Call};
use crate::request::content_text;
use crate::steering::{Ending, Steering, UsageShown};
use crate::text;
use crate::tokens::{self, Usage};

const ENDPOINT: &str = "/v1/realtime";

/// Tokens of one piece of speech, by the simulator's count: there is no audio to count.
const SPEECH_TOKENS: Usage = Usage {
    input: 26,
    output: 4,
    cached: 0,
    reasoning: 0,
};

/// Characters of a conversation that are kept; what is older no longer counts.
const MOST_REMEMBERED: usize = 1 << 20;

/// What a session has learned.
struct Session<'s> {
    speaker: &'s Speaker,
    model: String,
    transcriber: Option<String>,
    /// What the user said last.
    text: String,
    /// All that was said.
    heard: usize,
}

/// Answers until the client is gone.
pub(super) async fn run<R: AsyncRead + Unpin>(
    speaker: &Speaker,
    said: &mut Reader<R>,
    model: Option<String>,
) {
    let mut session = Session {
        speaker,
        model: model.unwrap_or_default(),
        transcriber: None,
        text: String::new(),
        heard: 0,
    };
    let mut told = session.told("session.created").await;
    while told.is_ok()
        && let Some(text) = speaker.hear(said).await
    {
        let message: Value = serde_json::from_str(&text).unwrap_or_default();
        told = session.answer(&text, &message).await;
    }
}

impl Session<'_> {
    async fn answer(&mut self, text: &str, message: &Value) -> Result<(), Over> {
        let named = message.get("type").and_then(Value::as_str);
        match named.unwrap_or_default() {
            "session.update" => {
                let model = message.pointer("/session/audio/input/transcription/model");
                if let Some(model) = model.and_then(Value::as_str) {
                    self.transcriber = Some(model.to_owned());
                }
                self.told("session.updated").await
            }
            "conversation.item.create" => {
                let item = message.get("item").unwrap_or(&Value::Null);
                self.text = item.get("content").map(content_text).unwrap_or_default();
                self.heard = (self.heard + self.text.len()).min(MOST_REMEMBERED);
                self.say(json!({"type": "conversation.item.added", "item": item}))
                    .await?;
                self.say(json!({"type": "conversation.item.done", "item": item}))
                    .await
            }
            "input_audio_buffer.append" => Ok(()),
            "input_audio_buffer.commit" => self.write_down(text).await,
            "response.create" => {
                let call = self.speaker.call(ENDPOINT, text);
                self.respond(&call).await
            }
            other => {
                let message = format!("Invalid value: '{other}'.");
                let error = json!({"type": "invalid_request_error", "code": "invalid_value",
                    "message": message, "param": "type", "event_id": null});
                self.say(json!({"type": "error", "error": error})).await
            }
        }
    }

    async fn say(&self, event: Value) -> Result<(), Over> {
        say(&self.speaker.out, event.to_string()).await
    }

    /// Tells how the session is set up.
    async fn told(&self, name: &str) -> Result<(), Over> {
        let transcription = self
            .transcriber
            .as_ref()
            .map(|model| json!({"model": model}));
        let session = json!({"type": "realtime", "object": "realtime.session", "model": self.model,
            "output_modalities": ["text"], "audio": {"input": {"transcription": transcription}}});
        self.say(json!({"type": name, "session": session})).await
    }

    fn bill(&self, call: &Call, model: &str, id: &str, usage: Usage, complete: bool) {
        let mut answered = call.answered(&Bought {
            endpoint: ENDPOINT,
            model,
            service_tier: "default",
            response_id: id,
            usage,
            stream: true,
            asked_usage: false,
        });
        answered.complete = complete;
        self.speaker.world.settle(&answered, false);
    }

    /// Writes down one piece of speech, if a model for that was set.
    async fn write_down(&self, text: &str) -> Result<(), Over> {
        let call = self.speaker.call(ENDPOINT, text);
        let id = format!("item_{}", call.ids.part(2).letters(21));
        self.say(json!({"type": "input_audio_buffer.committed", "item_id": id}))
            .await?;
        let Some(model) = &self.transcriber else {
            return Ok(());
        };
        let usage = if model == "whisper-1" {
            json!({"type": "duration", "seconds": 3})
        } else {
            json!({"type": "tokens", "total_tokens": SPEECH_TOKENS.total(),
                "input_tokens": SPEECH_TOKENS.input,
                "input_token_details": {"text_tokens": 5, "audio_tokens": 21},
                "output_tokens": SPEECH_TOKENS.output})
        };
        self.bill(&call, model, &id, SPEECH_TOKENS, true);
        let name = "conversation.item.input_audio_transcription.completed";
        self.say(json!({"type": name, "item_id": id, "content_index": 0,
            "transcript": "Simulated speech.", "usage": usage}))
            .await
    }

    /// Answers what the user said last.
    async fn respond(&self, call: &Call) -> Result<(), Over> {
        let steering = Steering::read(&self.text);
        tokio::time::sleep(call.world.settings.latency + steering.delay).await;
        let input = (self.heard as u64).div_ceil(tokens::BYTES_PER_TOKEN).max(1);
        let answer = text::answer(&steering, None);
        let (answer, ending, usage) = text::limited(answer, &steering, None, input, 1);
        let mut ids = call.ids.part(2);
        let (id, item) = (
            format!("resp_{}", ids.letters(21)),
            format!("item_{}", ids.letters(21)),
        );
        let shown = |status: &str, usage: Value| {
            json!({"object": "realtime.response", "id": id, "status": status, "status_details": null,
                "output": [], "conversation_id": null, "output_modalities": ["text"],
                "max_output_tokens": "inf", "usage": usage, "metadata": null})
        };
        let begun = shown("in_progress", Value::Null);
        self.say(json!({"type": "response.created", "response": begun}))
            .await?;
        let deltas = text::deltas(&answer, steering.chunks);
        let all = deltas.len();
        for (at, delta) in deltas.into_iter().enumerate() {
            if at == all / 2 && matches!(ending, Ending::Break | Ending::Truncate) {
                self.bill(call, &self.model, &id, usage.part(at, all), false);
                let end = if ending == Ending::Break {
                    Outgoing::Reset
                } else {
                    Outgoing::Cut
                };
                return self.speaker.out.send(end).await.map_err(|_| Over);
            }
            tokio::time::sleep(call.world.settings.chunk_interval).await;
            let delta = json!({"type": "response.output_text.delta", "response_id": id,
                "item_id": item, "output_index": 0, "content_index": 0, "delta": delta});
            if self.say(delta).await.is_err() {
                self.bill(call, &self.model, &id, usage.part(at, all), false);
                return Err(Over);
            }
        }
        self.bill(call, &self.model, &id, usage, true);
        let status = match ending {
            Ending::Incomplete => "incomplete",
            Ending::Failed => "failed",
            _ => "completed",
        };
        let done = shown(status, shown_usage(usage, &steering.usage));
        self.say(json!({"type": "response.done", "response": done}))
            .await
    }
}

/// The usage of a response: details in the singular.
fn shown_usage(usage: Usage, shown: &UsageShown) -> Value {
    match shown {
        UsageShown::LeftOut => Value::Null,
        UsageShown::Raw(raw) => serde_json::from_str(raw).unwrap_or(Value::Null),
        UsageShown::True => json!({"total_tokens": usage.total(), "input_tokens": usage.input,
            "output_tokens": usage.output,
            "input_token_details": {"text_tokens": usage.input, "audio_tokens": 0,
                "image_tokens": 0, "cached_tokens": usage.cached,
                "cached_tokens_details": {"text_tokens": usage.cached, "audio_tokens": 0}},
            "output_token_details": {"text_tokens": usage.output, "audio_tokens": 0}}),
    }
}
