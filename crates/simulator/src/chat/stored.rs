//! Stored chat completions shown again: each with the usage of the call that made it, which must never
//! be counted a second time. Must not make a call of its own.

use crate::call::Call;
use crate::errors::ApiError;
use crate::exchange::Reply;
use crate::json::{Node, list, object};

/// `GET /v1/chat/completions`: all of the organization, oldest first.
pub(crate) fn list_all(call: &Call) -> Reply {
    let chats = call.world.store.chats(&call.identity.organization);
    let data = chats.iter().map(|chat| Node::Raw(chat.body.clone()));
    let all = object([
        ("object", "list".into()),
        ("data", list(data)),
        ("has_more", false.into()),
    ]);
    Reply::json(all.compact())
}

/// `GET` and (metadata) `POST /v1/chat/completions/{id}`: the completion as it was made.
pub(crate) fn show(call: &Call, id: &str) -> Result<Reply, ApiError> {
    let chat = call.world.store.chat(id);
    let own = chat.filter(|chat| chat.organization == call.identity.organization);
    let own = own.ok_or_else(|| ApiError::no_chat(id))?;
    Ok(Reply::json(own.body.clone()))
}

/// `DELETE /v1/chat/completions/{id}`.
pub(crate) fn delete(call: &Call, id: &str) -> Result<Reply, ApiError> {
    show(call, id)?;
    call.world.store.remove_chat(id);
    let deleted = object([
        ("object", "chat.completion.deleted".into()),
        ("id", id.into()),
        ("deleted", true.into()),
    ]);
    Ok(Reply::json(deleted.pretty()))
}
