//! `POST /v1/responses` and its side doors `input_tokens` and `compact`: decides what a response says,
//! and whether it is answered as an object, a stream or in the background. Must not know how a call is
//! billed, only who pays once it is.

mod events;
mod object;
pub(crate) mod stored;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::call::{self, Bought, Call, Playback, Stored};
use crate::errors::ApiError;
use crate::exchange::Reply;
use crate::ids::Ids;
use crate::json::{list, object};
use crate::models::{self, Kind, Served};
use crate::request::{self, Conversation};
use crate::sse::Padding;
use crate::steering::{Ending, Steering};
use crate::text;
use crate::tokens::Usage;
use crate::world::Answered;

pub(crate) use object::{Item, Response, Status};

const ENDPOINT: &str = "/v1/responses";

/// The model of stored prompts: a request that names a prompt need not name a model.
const PROMPT_MODEL: &str = "gpt-4.1-2025-04-14";

/// Answers a request.
pub(crate) async fn create(call: &Call, body: &Value) -> Result<Reply, ApiError> {
    let model = model(body)?;
    let input = body.get("input").unwrap_or(&Value::Null);
    if input.is_null() && body.get("prompt").is_none() {
        return Err(ApiError::missing("input"));
    }
    let continued = continued_tokens(call, body)?;
    let conversation = Conversation::of(input);
    let steering = Steering::read(&conversation.steering_text());
    let background = request::is_true(body, "background");
    if background {
        // A background call waits after its answer, not before.
        call.begin(
            &Steering {
                delay: Duration::ZERO,
                ..steering.clone()
            },
            &model,
        )
        .await?;
    } else {
        call.begin(&steering, &model).await?;
    }
    let stream = request::is_true(body, "stream");
    let input = shown_tokens(body, &conversation).saturating_add(continued);
    let mut response = respond(call, body, model, &conversation, &steering, input);
    let answered = answered(call, &response, ENDPOINT, stream);
    if stream {
        return Ok(play(call, body, response, answered, &steering));
    }
    if steering.ending == Ending::ErrorMidStream {
        let status = http::StatusCode::INTERNAL_SERVER_ERROR;
        return Err(ApiError::of_status(status, &response.model, ""));
    }
    if background {
        let tokens = response.usage.input;
        let queued = response.queued();
        call.world.store.put_response(queued.clone());
        tokio::spawn(run_in_background(
            call.clone(),
            response,
            answered,
            steering.delay,
        ));
        return Ok(Reply::json(queued.node().pretty()).limited(tokens));
    }
    let shown = call.world.shows_payer(call.number);
    let payer = call.settle(answered, steering.ending, shown);
    response.payer = Some(payer);
    if response.stored() {
        call.world.store.put_response(response.clone());
    }
    if !shown {
        response.payer = None;
    }
    let reply = call.json(response.node().pretty(), steering.ending);
    Ok(reply.limited(response.usage.input))
}

fn play(
    call: &Call,
    body: &Value,
    response: Response,
    answered: Answered,
    steering: &Steering,
) -> Reply {
    let padding = Padding::new(
        request::stream_option(body, "include_obfuscation"),
        &call.ids,
    );
    let pieces = events::of(&response, &padding, steering.chunks);
    let half = pieces.len() / 2;
    let settle_before = pieces.len() - 1;
    call.stream(Playback {
        answered,
        settle_before,
        pieces,
        ending: steering.ending,
        error: events::error(&response, half),
        background: response.background,
        stored: response
            .stored()
            .then(|| Stored::Response(Box::new(response))),
    })
}

async fn run_in_background(
    call: Call,
    mut response: Response,
    answered: Answered,
    delay: Duration,
) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let id = response.id.clone();
    call.world.store.update_response(&id, |kept| {
        // Cancelled or deleted in the meantime: nothing was generated, nothing is billed.
        if kept.status != Status::Queued {
            return None;
        }
        response.payer = Some(call.world.settle(&answered, true));
        response.completed_at = response.completed_at.map(|_| call.world.now());
        Some(response)
    });
}

fn answered(call: &Call, response: &Response, endpoint: &'static str, stream: bool) -> Answered {
    let mut answered = call.answered(&Bought {
        endpoint,
        model: &response.model,
        service_tier: &response.tier,
        response_id: &response.id,
        usage: response.usage,
        stream,
        asked_usage: false,
    });
    answered.hosted_tools = response.hosted_tools().map(str::to_owned).collect();
    answered
}

fn model(body: &Value) -> Result<String, ApiError> {
    let Some(requested) = body.get("model").and_then(Value::as_str) else {
        return match body.get("prompt") {
            Some(_) => Ok(PROMPT_MODEL.to_owned()),
            None => Err(ApiError::missing("model")),
        };
    };
    match models::served(requested) {
        Some(Served {
            kind: Kind::Chat,
            snapshot,
        }) => Ok(snapshot),
        _ => Err(ApiError::unknown_model_in_responses(requested)),
    }
}

/// Input tokens that a request shows.
fn shown_tokens(body: &Value, conversation: &Conversation<'_>) -> u64 {
    conversation.tokens(&[
        body.get("instructions"),
        body.get("tools"),
        body.get("text").and_then(|text| text.get("format")),
    ])
}

/// Input tokens of the response that a request continues.
fn continued_tokens(call: &Call, body: &Value) -> Result<u64, ApiError> {
    let Some(id) = body.get("previous_response_id").and_then(Value::as_str) else {
        return Ok(0);
    };
    let previous = stored::own(call, id).map_err(|_| ApiError::no_previous_response(id))?;
    Ok(previous.usage.total())
}

/// Makes the whole response, settled by nobody yet.
fn respond(
    call: &Call,
    body: &Value,
    model: String,
    conversation: &Conversation<'_>,
    steering: &Steering,
    input: u64,
) -> Response {
    let mut ids = call.ids.part(2);
    let format = body.get("text").and_then(|text| text.get("format"));
    let function = request::function_to_call(body, conversation, steering.call);
    let spoken = function.as_ref().map_or_else(
        || text::answer(steering, format),
        |function| text::arguments(function.parameters),
    );
    let limit = body.get("max_output_tokens").and_then(Value::as_u64);
    let limit = limit.filter(|_| function.is_none());
    let (spoken, ending, usage) = text::limited(spoken, steering, limit, input, 1);
    let id = ids.long("resp");
    let said = match function {
        None => Item::Message {
            id: ids.long("msg"),
            text: spoken,
        },
        Some(function) => Item::Function {
            id: ids.long("fc"),
            call_id: format!("call_{}", ids.letters(24)),
            name: function.name.to_owned(),
            arguments: spoken,
        },
    };
    let created = call.world.now();
    Response {
        id,
        organization: call.identity.organization.clone(),
        created,
        completed_at: (ending != Ending::Incomplete && ending != Ending::Failed).then_some(created),
        status: match ending {
            Ending::Incomplete => Status::Incomplete,
            Ending::Failed => Status::Failed,
            _ => Status::Completed,
        },
        background: request::is_true(body, "background"),
        model,
        tier: call::service_tier(body, steering),
        request: Arc::new(body.clone()),
        output: output(&mut ids, steering, usage, said),
        usage,
        shown: steering.usage.clone(),
        payer: None,
    }
}

/// Reasoning first, then the hosted tools, then what is said.
fn output(ids: &mut Ids, steering: &Steering, usage: Usage, said: Item) -> Vec<Item> {
    let reasoning = (usage.reasoning > 0).then(|| Item::Reasoning { id: ids.long("rs") });
    let tools = steering.hosted_tools.iter().map(|tool| {
        let prefix = match tool.as_str() {
            "web_search" => "ws",
            "file_search" => "fs",
            "code_interpreter" => "ci",
            _ => "ht",
        };
        Item::Hosted {
            id: ids.long(prefix),
            tool: tool.clone(),
        }
    });
    let tools: Vec<Item> = tools.collect();
    reasoning.into_iter().chain(tools).chain([said]).collect()
}

/// `POST /v1/responses/input_tokens`: a count that costs nothing.
pub(crate) fn count_input(body: &Value) -> Result<Reply, ApiError> {
    model(body)?;
    let input = body.get("input").unwrap_or(&Value::Null);
    let conversation = Conversation::of(input);
    let steering = Steering::read(&conversation.steering_text());
    let counted = shown_tokens(body, &conversation);
    let node = object([
        ("object", "response.input_tokens".into()),
        (
            "input_tokens",
            steering.tokens.input.unwrap_or(counted).into(),
        ),
    ]);
    Ok(Reply::json(node.pretty()))
}

/// `POST /v1/responses/compact`: billed like a response; its answer names no model.
pub(crate) async fn compact(call: &Call, body: &Value) -> Result<Reply, ApiError> {
    let model = model(body)?;
    let input = body.get("input").unwrap_or(&Value::Null);
    let conversation = Conversation::of(input);
    let steering = Steering::read(&conversation.steering_text());
    call.begin(&steering, &model).await?;
    let input = shown_tokens(body, &conversation);
    let response = respond(call, body, model, &conversation, &steering, input);
    let answered = answered(call, &response, "/v1/responses/compact", false);
    call.settle(answered, steering.ending, false);
    let mut ids = call.ids.part(3);
    let compaction = object([
        ("id", ids.long("cmp").into()),
        ("type", "compaction".into()),
        (
            "encrypted_content",
            format!("gAAAAAB{}==", ids.letters(200)).into(),
        ),
    ]);
    let node = object([
        ("id", (&response.id).into()),
        ("object", "response.compaction".into()),
        ("created_at", response.created.into()),
        ("output", list([compaction])),
        ("usage", response.usage_node()),
    ]);
    let reply = call.json(node.pretty(), steering.ending);
    Ok(reply.limited(response.usage.input))
}
