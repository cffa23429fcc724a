//! Which endpoint a method and path belong to. Knows nothing of what an endpoint answers.

use http::{Method, Uri};
use serde_json::Value;

use crate::call::Call;
use crate::errors::ApiError;
use crate::exchange::Reply;
use crate::json::{list, object};
use crate::{chat, completions, embeddings, models, responses, threads};

/// When the models were created, all of them, Unix seconds.
const MODELS_CREATED: i64 = 1_715_367_049;

/// Answers a request of a known key.
pub(crate) async fn answer(
    call: Call,
    method: &Method,
    uri: &Uri,
    json: Option<Value>,
) -> Result<Reply, ApiError> {
    let path = uri.path();
    let unknown = || ApiError::unknown_url(method.as_str(), path);
    let rest = path.strip_prefix("/v1/").ok_or_else(unknown)?;
    let segments: Vec<&str> = rest.split('/').collect();
    let wrong = || ApiError::wrong_method(method.as_str(), path);
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    if let Some(reply) = create(&call, method, &segments, json.as_ref()).await {
        return reply;
    }
    let (get, post) = (method == Method::GET, method == Method::POST);
    let delete = method == Method::DELETE;
    match segments.as_slice() {
        ["models"] if get => Ok(list_models()),
        ["models", id] if get => one_model(id),
        ["responses", id] if get => responses::stored::show(&call, id, uri.query()).await,
        ["responses", id] if delete => responses::stored::delete(&call, id),
        ["responses", id, "cancel"] if post => responses::stored::cancel(&call, id),
        ["responses", id, "input_items"] if get => responses::stored::input_items(&call, id),
        ["threads"] if post => Ok(threads::create_thread(&call)),
        ["threads", thread, "runs"] if get => Ok(threads::list_all(&call, thread)),
        ["threads", thread, "runs", id] if get => threads::show(&call, thread, id),
        ["threads", thread, "runs", id, "cancel"] if post => threads::cancel(&call, thread, id),
        ["threads", thread, "runs", id, "submit_tool_outputs"] if post => {
            threads::submit(&call, thread, id, json.as_ref())
        }
        ["chat", "completions"] if get => Ok(chat::stored::list_all(&call)),
        ["chat", "completions", id] if get || post => chat::stored::show(&call, id),
        ["chat", "completions", id] if delete => chat::stored::delete(&call, id),
        ["chat", "completions"]
        | ["completions" | "embeddings" | "responses" | "models"]
        | ["responses" | "models", _]
        | ["chat", "completions", _] => Err(wrong()),
        _ => Err(unknown()),
    }
}

/// The endpoints that need a body and create something; `None` for all others.
async fn create(
    call: &Call,
    method: &Method,
    segments: &[&str],
    json: Option<&Value>,
) -> Option<Result<Reply, ApiError>> {
    if method != Method::POST
        || !matches!(
            segments,
            ["chat", "completions"]
                | ["completions" | "embeddings" | "responses"]
                | ["responses", "input_tokens" | "compact"]
                | ["threads", "runs"]
                | ["threads", _, "runs"]
        )
    {
        return None;
    }
    let Some(body) = json.filter(|json| json.is_object()) else {
        return Some(Err(ApiError::not_json()));
    };
    Some(match segments {
        ["chat", "completions"] => chat::create(call, body).await,
        ["completions"] => completions::create(call, body).await,
        ["embeddings"] => embeddings::create(call, body).await,
        ["responses", "input_tokens"] => responses::count_input(body),
        ["responses", "compact"] => responses::compact(call, body).await,
        ["threads", "runs"] => threads::create(call, None, body),
        ["threads", thread, "runs"] => threads::create(call, Some(thread), body),
        _ => responses::create(call, body).await,
    })
}

fn model_node(id: &str) -> crate::json::Node {
    object([
        ("id", id.into()),
        ("object", "model".into()),
        ("created", MODELS_CREATED.into()),
        ("owned_by", "system".into()),
    ])
}

fn list_models() -> Reply {
    let all = object([
        ("object", "list".into()),
        ("data", list(models::listed().map(model_node))),
    ]);
    Reply::json(all.pretty())
}

fn one_model(id: &str) -> Result<Reply, ApiError> {
    match models::served(id) {
        Some(_) => Ok(Reply::json(model_node(id).pretty())),
        None => Err(ApiError::unknown_model(id)),
    }
}
