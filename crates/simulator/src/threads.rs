//! Assistants: runs of threads, polled or streamed, waiting for tool outputs where the text says so. A run reads the
//! messages that its own request brings; threads themselves are not kept. Must not know how a call is billed.

mod object;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::body::AnswerBody;
use crate::call::{self, Bought, Call, Playback, Stored};
use crate::errors::ApiError;
use crate::exchange::{Reply, ReplyBody};
use crate::json::{NULL, list, object};
use crate::models::{self, Kind, Served};
use crate::request::{self, Conversation};
use crate::sse;
use crate::steering::{Ending, Steering};
use crate::text;
use crate::world::Answered;

pub(crate) use object::{Run, RunStatus};

const ENDPOINT: &str = "/v1/threads/runs";
/// The model of the assistant, where the run's request names none.
const ASSISTANT_MODEL: &str = "gpt-4o-2024-08-06";

/// `POST /v1/threads`: an id.
pub(crate) fn create_thread(call: &Call) -> Reply {
    let thread = object([
        ("id", thread_id(call).into()),
        ("object", "thread".into()),
        ("created_at", call.world.now().into()),
        ("metadata", object([])),
        ("tool_resources", object([])),
    ]);
    Reply::json(thread.pretty())
}

fn thread_id(call: &Call) -> String {
    format!("thread_{}", call.ids.part(5).letters(24))
}

/// `POST /v1/threads/{thread}/runs`, and without a thread `POST /v1/threads/runs`.
pub(crate) fn create(call: &Call, thread: Option<&str>, body: &Value) -> Result<Reply, ApiError> {
    if body.get("assistant_id").is_none() {
        return Err(ApiError::missing("assistant_id"));
    }
    let named = body.get("model").and_then(Value::as_str);
    let Some(Served {
        kind: Kind::Chat,
        snapshot: model,
    }) = models::served(named.unwrap_or(ASSISTANT_MODEL))
    else {
        return Err(ApiError::unknown_model(named.unwrap_or_default()));
    };
    let brought = body.get("thread").and_then(|thread| thread.get("messages"));
    let messages = brought.or_else(|| body.get("additional_messages"));
    let conversation = Conversation::of(messages.unwrap_or(&Value::Null));
    let steering = Steering::read(&conversation.steering_text());
    if let Some(status) = steering.status {
        return Err(ApiError::of_status(status, &model, ""));
    }
    let input = conversation.tokens(&[body.get("instructions"), body.get("tools")]);
    let spoken = text::answer(&steering, body.get("response_format"));
    let (spoken, ending, usage) = text::limited(spoken, &steering, None, input, 1);
    let id = format!("run_{}", call.ids.part(2).letters(24));
    let answered = call.answered(&Bought {
        endpoint: ENDPOINT,
        model: &model,
        service_tier: &call::service_tier(body, &steering),
        response_id: &id,
        usage,
        stream: request::is_true(body, "stream"),
        asked_usage: false,
    });
    let run = Run {
        id,
        organization: call.identity.organization.clone(),
        thread: thread.map_or_else(|| thread_id(call), str::to_owned),
        created: call.world.now(),
        completed_at: None,
        status: RunStatus::Queued,
        model,
        request: Arc::new(body.clone()),
        usage,
        shown: steering.usage.clone(),
        spoken,
        steering,
        ending,
        answered,
    };
    Ok(go_on(call, run, request::is_true(body, "stream")))
}

/// Lets a run that is queued come to its end, as a stream or behind its answer.
fn go_on(call: &Call, run: Run, stream: bool) -> Reply {
    call.world.store.put_run(run.clone());
    if stream {
        return play(call, &run);
    }
    let reply = Reply::json(run.node().pretty()).limited(run.usage.input);
    let world = Arc::clone(&call.world);
    tokio::spawn(async move {
        if !run.steering.delay.is_zero() {
            tokio::time::sleep(run.steering.delay).await;
        }
        world.store.update_run(&run.id, |kept| {
            // Cancelled in the meantime: nothing was generated, nothing is billed.
            if kept.status != RunStatus::Queued {
                return None;
            }
            if kept.waits_for_tools() {
                return Some(kept.at(RunStatus::RequiresAction));
            }
            world.settle(&kept.answered, false);
            Some(kept.ended(world.now()))
        });
    });
    reply
}

fn play(call: &Call, run: &Run) -> Reply {
    if run.waits_for_tools() {
        let waiting = run.at(RunStatus::RequiresAction);
        let events = [run, &run.at(RunStatus::InProgress), &waiting].map(Run::event);
        call.world.store.put_run(waiting.clone());
        return shown(events.into_iter().chain([done()]).collect());
    }
    let ended = run.ended(call.world.now());
    let pieces = ended.events(done());
    call.stream(Playback {
        answered: run.answered.clone(),
        // The step's usage, the run's, and the end.
        settle_before: pieces.len() - 3,
        pieces,
        ending: run.ending,
        error: vec![sse::named(
            "error",
            &object([(
                "error",
                object([("message", "The server had an error".into())]),
            )]),
        )],
        background: false,
        stored: Some(Stored::Run(Box::new(ended))),
    })
}

fn shown(pieces: Vec<Bytes>) -> Reply {
    let (sender, body) = AnswerBody::pieces();
    tokio::spawn(async move {
        for piece in pieces {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    Reply {
        body: ReplyBody::Events(body),
        limited_tokens: None,
        model: None,
    }
}

fn done() -> Bytes {
    Bytes::from_static(b"event: done\ndata: [DONE]\n\n")
}

fn own(call: &Call, thread: &str, id: &str) -> Result<Arc<Run>, ApiError> {
    let run = call
        .world
        .store
        .run(id)
        .filter(|run| run.organization == call.identity.organization && run.thread == thread);
    run.ok_or_else(|| ApiError::no_run(id))
}

/// `GET /v1/threads/{thread}/runs/{run}`.
pub(crate) fn show(call: &Call, thread: &str, id: &str) -> Result<Reply, ApiError> {
    Ok(Reply::json(own(call, thread, id)?.node().pretty()))
}

/// `GET /v1/threads/{thread}/runs`: the newest first.
pub(crate) fn list_all(call: &Call, thread: &str) -> Reply {
    let runs = call.world.store.runs(&call.identity.organization, thread);
    let node = object([
        ("object", "list".into()),
        ("data", list(runs.iter().rev().map(|run| run.node()))),
        ("first_id", NULL),
        ("last_id", NULL),
        ("has_more", false.into()),
    ]);
    Reply::json(node.pretty())
}

/// `POST .../cancel`: one that has ended is shown as it is.
pub(crate) fn cancel(call: &Call, thread: &str, id: &str) -> Result<Reply, ApiError> {
    own(call, thread, id)?;
    let cancelled = call.world.store.update_run(id, |run| {
        (!run.status.is_terminal()).then(|| run.at(RunStatus::Cancelled))
    });
    let cancelled = cancelled.ok_or_else(|| ApiError::no_run(id))?;
    Ok(Reply::json(cancelled.node().pretty()))
}

/// `POST .../submit_tool_outputs`: a run that waited for them comes to its end.
pub(crate) fn submit(
    call: &Call,
    thread: &str,
    id: &str,
    body: Option<&Value>,
) -> Result<Reply, ApiError> {
    let run = own(call, thread, id)?;
    if run.status != RunStatus::RequiresAction {
        return Err(ApiError::missing("tool_outputs"));
    }
    let mut run = run.at(RunStatus::Queued);
    run.steering.call = false;
    let stream = body.is_some_and(|body| request::is_true(body, "stream"));
    run.answered = Answered {
        stream,
        ..run.answered
    };
    Ok(go_on(call, run, stream))
}

impl Run {
    fn waits_for_tools(&self) -> bool {
        self.steering.call
    }

    fn at(&self, status: RunStatus) -> Run {
        Run {
            status,
            ..self.clone()
        }
    }

    fn ended(&self, now: i64) -> Run {
        let status = match self.ending {
            Ending::Incomplete => RunStatus::Incomplete,
            Ending::Failed | Ending::ErrorMidStream => RunStatus::Failed,
            _ => RunStatus::Completed,
        };
        let completed_at = (status == RunStatus::Completed).then_some(now);
        Run {
            completed_at,
            ..self.at(status)
        }
    }
}
