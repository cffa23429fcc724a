//! The WebSocket `/v1/responses`: each `response.create` is answered with the events of a stream, as messages. Those
//! of one lane (`stream_id`) come one response after another, lanes come side by side. Knows nothing of what a
//! response says.

use std::collections::HashMap;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::io::AsyncRead;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::frames::Reader;
use super::{Outgoing, Over, Speaker, say};
use crate::errors::ApiError;
use crate::exchange::{Reply, ReplyBody};
use crate::responses;

const PATH: &str = "/v1/responses";

/// Lanes of one connection.
const MOST_LANES: usize = 64;

/// Held by the response that speaks in a lane.
type Turn = Arc<Mutex<()>>;

/// Answers until the client is gone; then what was under way is billed as far as it went.
pub(super) async fn run<R: AsyncRead + Unpin>(speaker: &mut Speaker, said: &mut Reader<R>) {
    let mut lanes: HashMap<Option<String>, Turn> = HashMap::new();
    let mut under_way = JoinSet::new();
    while let Some(text) = speaker.hear(said).await {
        let message: Value = serde_json::from_str(&text).unwrap_or_default();
        let lane = message.get("stream_id").and_then(Value::as_str);
        let lane = lane.map(str::to_owned);
        if message.get("type").and_then(Value::as_str) != Some("response.create") {
            if say(
                &speaker.out,
                refusal(&ApiError::missing("type"), lane.as_deref()),
            )
            .await
            .is_err()
            {
                break;
            }
            continue;
        }
        if !lanes.contains_key(&lane) && lanes.len() == MOST_LANES {
            break;
        }
        let turn = Arc::clone(lanes.entry(lane.clone()).or_default());
        let speaker = speaker.clone();
        under_way.spawn(async move {
            let _turn = turn.lock_owned().await;
            // The client is gone: what was to be billed is.
            let _ = respond(&speaker, &text, message, lane.as_deref()).await;
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// Answers one `response.create`.
async fn respond(
    speaker: &Speaker,
    text: &str,
    mut message: Value,
    lane: Option<&str>,
) -> Result<(), Over> {
    if let Some(members) = message.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "type" | "stream_id" | "background"));
        members.insert("stream".to_owned(), Value::Bool(true));
    }
    let call = speaker.call(PATH, text);
    let mut events = match responses::create(&call, &message).await {
        Ok(Reply {
            body: ReplyBody::Events(events),
            ..
        }) => events,
        Ok(_) => return Ok(()),
        Err(error) => return say(&speaker.out, refusal(&error, lane)).await,
    };
    let mut has_ended = false;
    while let Some(piece) = events.frame().await {
        let Ok(Ok(piece)) = piece.map(Frame::into_data) else {
            return speaker.out.send(Outgoing::Reset).await.map_err(|_| Over);
        };
        let piece = String::from_utf8_lossy(&piece);
        let data = piece
            .split_once("data: ")
            .map_or("", |(_, data)| data)
            .trim_end();
        has_ended |= ["completed", "incomplete", "failed"]
            .iter()
            .any(|end| data.starts_with(&format!(r#"{{"type":"response.{end}""#)));
        say(&speaker.out, in_lane(data, lane)).await?;
    }
    if has_ended {
        return Ok(());
    }
    speaker.out.send(Outgoing::Cut).await.map_err(|_| Over)
}

/// An event as the message of a lane.
fn in_lane(data: &str, lane: Option<&str>) -> String {
    let Some((lane, open)) = lane.zip(data.strip_suffix('}')) else {
        return data.to_owned();
    };
    format!(r#"{open},"stream_id":{}}}"#, json!(lane))
}

/// What a request is told that came to nothing.
fn refusal(error: &ApiError, lane: Option<&str>) -> String {
    let body: Value = serde_json::from_str(&error.body()).unwrap_or_default();
    let told =
        json!({"type": "error", "status": error.status.as_u16(), "error": body.get("error")});
    in_lane(&told.to_string(), lane)
}
