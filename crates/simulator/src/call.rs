//! One call that an endpoint answers: who asks, its ids, and what all creating endpoints do alike:
//! wait, settle, send whole or broken. Knows nothing of what a single endpoint says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::bill::Payer;
use crate::body::{AnswerBody, PieceSender, Reset};
use crate::errors::ApiError;
use crate::exchange::{Reply, ReplyBody};
use crate::ids::Ids;
use crate::models::{self, Kind, Served};
use crate::responses::Response;
use crate::steering::{Ending, Steering};
use crate::threads::Run;
use crate::tokens::Usage;
use crate::world::{Answered, Identity, World};

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) world: Arc<World>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) reset: Reset,
    pub(crate) ids: Ids,
    pub(crate) number: u64,
    pub(crate) request_id: String,
}

/// What the bill needs beside the call.
#[derive(Debug)]
pub(crate) struct Bought<'a> {
    pub(crate) endpoint: &'static str,
    pub(crate) model: &'a str,
    pub(crate) service_tier: &'a str,
    pub(crate) response_id: &'a str,
    pub(crate) usage: Usage,
    pub(crate) stream: bool,
    pub(crate) asked_usage: bool,
}

impl Call {
    /// Waits as the settings and the text say, and fails if the text says so.
    pub(crate) async fn begin(&self, steering: &Steering, model: &str) -> Result<(), ApiError> {
        pause(self.world.settings.latency + steering.delay).await;
        match steering.status {
            Some(status) => Err(ApiError::of_status(
                status,
                model,
                &self.identity.organization_id,
            )),
            None => Ok(()),
        }
    }

    /// The entry of the log for this call, as if it went to its end.
    pub(crate) fn answered(&self, bought: &Bought<'_>) -> Answered {
        Answered {
            identity: Arc::clone(&self.identity),
            endpoint: bought.endpoint,
            model: bought.model.to_owned(),
            service_tier: bought.service_tier.to_owned(),
            response_id: bought.response_id.to_owned(),
            request_id: self.request_id.clone(),
            usage: bought.usage,
            stream: bought.stream,
            asked_usage: bought.asked_usage,
            hosted_tools: Vec::new(),
            complete: true,
        }
    }

    /// Settles a call that is answered with one JSON object.
    pub(crate) fn settle(&self, mut answered: Answered, ending: Ending, shown: bool) -> Payer {
        answered.complete = !matches!(ending, Ending::Break | Ending::Truncate);
        self.world.settle(&answered, shown)
    }

    /// A JSON answer, whole or cut short as its ending says.
    pub(crate) fn json(&self, body: String, ending: Ending) -> Reply {
        if !matches!(ending, Ending::Break | Ending::Truncate) {
            return Reply::json(body);
        }
        let (sender, pieces) = AnswerBody::pieces();
        let reset = (ending == Ending::Break).then(|| self.reset.clone());
        tokio::spawn(async move {
            let mut half = Bytes::from(body);
            half.truncate(half.len() / 2);
            if sender.send(half).await.is_ok()
                && let Some(reset) = reset
            {
                sender.break_off(&reset).await;
            }
        });
        Reply {
            body: ReplyBody::BrokenJson(pieces),
            limited_tokens: None,
            model: None,
        }
    }

    /// A stream, played as it is read.
    pub(crate) fn stream(&self, playback: Playback) -> Reply {
        let (sender, pieces) = AnswerBody::pieces();
        let (world, reset) = (Arc::clone(&self.world), self.reset.clone());
        let tokens = playback.answered.usage.input;
        tokio::spawn(async move { playback.run(&world, &reset, sender).await });
        let reply = Reply {
            body: ReplyBody::Events(pieces),
            limited_tokens: None,
            model: None,
        };
        reply.limited(tokens)
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

/// The model a request names, if it exists and is of that kind.
pub(crate) fn model(body: &Value, kind: Kind) -> Result<String, ApiError> {
    let requested = body.get("model").and_then(Value::as_str);
    let requested = requested.ok_or_else(ApiError::no_model)?;
    let served = models::served(requested).ok_or_else(|| ApiError::unknown_model(requested))?;
    let Served { kind: is, snapshot } = served;
    match (kind, is) {
        (Kind::Chat, Kind::Completions) => Err(ApiError::not_a_chat_model()),
        (Kind::Completions, Kind::Chat) => Err(ApiError::a_chat_model()),
        (Kind::Chat | Kind::Completions, Kind::Embeddings) => {
            Err(ApiError::not_allowed_to("sample from"))
        }
        (Kind::Embeddings, Kind::Chat | Kind::Completions) => {
            Err(ApiError::not_allowed_to("generate embeddings from"))
        }
        _ => Ok(snapshot),
    }
}

/// The service tier that answers a request for `service_tier`.
pub(crate) fn service_tier(body: &Value, steering: &Steering) -> String {
    if let Some(tier) = &steering.tier {
        return tier.clone();
    }
    let asked = body.get("service_tier").and_then(Value::as_str);
    match asked {
        None | Some("auto") => "default",
        Some("fast") => "priority",
        Some(tier) => tier,
    }
    .to_owned()
}

/// What a stream leaves to be asked for again.
#[derive(Debug)]
pub(crate) enum Stored {
    Response(Box<Response>),
    Run(Box<Run>),
}

/// A stream that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Playback {
    pub(crate) answered: Answered,
    pub(crate) pieces: Vec<Bytes>,
    /// The piece before which the call is billed and logged.
    pub(crate) settle_before: usize,
    pub(crate) ending: Ending,
    /// What is sent instead of the second half if the ending is an error.
    pub(crate) error: Vec<Bytes>,
    /// What can be asked for again once the call is settled.
    pub(crate) stored: Option<Stored>,
    /// A background response goes on without its client.
    pub(crate) background: bool,
}

impl Playback {
    async fn run(mut self, world: &World, reset: &Reset, sender: PieceSender) {
        let all = self.pieces.len();
        let cut = match self.ending {
            Ending::Break | Ending::Truncate | Ending::ErrorMidStream => all / 2,
            Ending::Whole | Ending::Incomplete | Ending::Failed => all,
        };
        for (at, piece) in std::mem::take(&mut self.pieces).into_iter().enumerate() {
            if at == cut {
                break;
            }
            if at > 0 {
                pause(world.settings.chunk_interval).await;
            }
            if at == self.settle_before {
                self.settle(world);
            }
            if sender.send(piece).await.is_err() {
                if at < self.settle_before {
                    self.settle_part(world, at, all);
                }
                return;
            }
        }
        if cut == all {
            return;
        }
        self.settle_part(world, cut, all);
        match self.ending {
            Ending::Break => sender.break_off(reset).await,
            Ending::ErrorMidStream => {
                for piece in self.error {
                    if sender.send(piece).await.is_err() {
                        return;
                    }
                }
            }
            _ => {}
        }
    }

    fn settle(&mut self, world: &World) {
        let payer = world.settle(&self.answered, false);
        match self.stored.take() {
            Some(Stored::Response(mut response)) => {
                response.payer = Some(payer);
                world.store.put_response(*response);
            }
            Some(Stored::Run(run)) => world.store.put_run(*run),
            None => {}
        }
    }

    /// Settles what has been generated when the stream ends early.
    fn settle_part(&mut self, world: &World, sent: usize, all: usize) {
        if self.background {
            self.settle(world);
            return;
        }
        self.answered.usage = self.answered.usage.part(sent, all);
        self.answered.complete = false;
        world.settle(&self.answered, false);
    }
}
