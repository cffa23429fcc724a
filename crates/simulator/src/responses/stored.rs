//! Stored responses: shown again, resumed, cancelled, deleted. Each shows the usage of the call that
//! made it, which must never be counted a second time; none makes a call of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::body::AnswerBody;
use crate::call::Call;
use crate::errors::ApiError;
use crate::exchange::{Reply, ReplyBody};
use crate::json::{NULL, list, object};
use crate::sse::Padding;

use super::events;
use super::object::{Response, Status};

/// How long a resumed stream waits for the end of its response.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// A stored response of the caller's organization.
pub(super) fn own(call: &Call, id: &str) -> Result<Arc<Response>, ApiError> {
    let response = call.world.store.response(id);
    let own = response.filter(|response| response.organization == call.identity.organization);
    own.ok_or_else(|| ApiError::no_response(id))
}

fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// `GET /v1/responses/{id}`: the object, or with `stream=true` its events after `starting_after`.
pub(crate) async fn show(call: &Call, id: &str, query: Option<&str>) -> Result<Reply, ApiError> {
    let response = own(call, id)?;
    if query_value(query, "stream") != Some("true") {
        return Ok(Reply::json(response.node().pretty()));
    }
    let ended = call.world.store.ended(id);
    let Ok(Some(response)) = tokio::time::timeout(LONGEST_WAIT, ended).await else {
        return Err(ApiError::no_response(id));
    };
    let padding = Padding::new(None, &call.ids);
    let after = query_value(query, "starting_after").and_then(|at| at.parse::<usize>().ok());
    let skipped = after.map_or(0, |at| at.saturating_add(1));
    let pieces = events::of(&response, &padding, None);
    let (sender, body) = AnswerBody::pieces();
    tokio::spawn(async move {
        for piece in pieces.into_iter().skip(skipped) {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    Ok(Reply {
        body: ReplyBody::Events(body),
        limited_tokens: None,
        model: None,
    })
}

/// `POST /v1/responses/{id}/cancel`: only a background response that has not ended is cancelled; one
/// that has ended is shown as it is.
pub(crate) fn cancel(call: &Call, id: &str) -> Result<Reply, ApiError> {
    if !own(call, id)?.background {
        return Err(ApiError::not_cancellable());
    }
    let cancelled = call.world.store.update_response(id, |response| {
        (!response.status.is_terminal()).then(|| response.begun(Status::Cancelled))
    });
    let cancelled = cancelled.ok_or_else(|| ApiError::no_response(id))?;
    Ok(Reply::json(cancelled.node().pretty()))
}

/// `DELETE /v1/responses/{id}`.
pub(crate) fn delete(call: &Call, id: &str) -> Result<Reply, ApiError> {
    own(call, id)?;
    call.world.store.remove_response(id);
    let deleted = object([
        ("id", id.into()),
        ("object", "response.deleted".into()),
        ("deleted", true.into()),
    ]);
    Ok(Reply::json(deleted.pretty()))
}

/// `GET /v1/responses/{id}/input_items`: what the request said.
pub(crate) fn input_items(call: &Call, id: &str) -> Result<Reply, ApiError> {
    let response = own(call, id)?;
    let input = response.request.get("input");
    let items = match input {
        Some(serde_json::Value::Array(items)) => list(items.iter().cloned().map(Into::into)),
        Some(serde_json::Value::String(text)) => list([object([
            ("id", call.ids.part(4).long("msg").into()),
            ("type", "message".into()),
            ("status", "completed".into()),
            (
                "content",
                list([object([
                    ("type", "input_text".into()),
                    ("text", text.into()),
                ])]),
            ),
            ("role", "user".into()),
        ])]),
        _ => list([]),
    };
    let node = object([
        ("object", "list".into()),
        ("data", items),
        ("first_id", NULL),
        ("last_id", NULL),
        ("has_more", false.into()),
    ]);
    Ok(Reply::json(node.pretty()))
}
