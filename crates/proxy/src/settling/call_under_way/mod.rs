//! A metered call from the moment it goes upstream until it is settled: exactly once, at the latest when it
//! is dropped. Knows readings and settlements; nothing of sockets.

mod asking;
mod ending;
mod estimate;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderMap;
use http::header::USER_AGENT;
use meter::{CallAhead, Expectation, InFlight, Rules};
use net::Peer;
use tokio::sync::OwnedSemaphorePermit;
use wire::{End, Form, Metered, ResponseReader};

use crate::asked::Asked;
use crate::attribute::Whose;
use crate::call_id::CallId;
use crate::keys::KeyHash;
use crate::look_up::recent::RecentCall;
use crate::proxy::Shared;
use crate::settings::ClientGone;
use crate::settling::outbox;
use crate::tags::{Allowance, Tags};
use asking::Asking;
use ending::Settled;
pub(crate) use ending::settled_tags;

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) key: Option<KeyHash>,
    /// `user-agent`, its first 256 bytes: a copy, since the header would hold the client's whole read buffer.
    pub(crate) client: Option<Box<str>>,
    /// Its connection, which counts as open while the call is.
    pub(crate) peer: Peer,
}

/// Bytes of a client's name that are kept.
const MOST_CLIENT_BYTES: usize = 256;

impl Caller {
    /// What a request's head tells of who calls.
    pub(crate) fn of(headers: &HeaderMap, key: Option<KeyHash>, peer: &Peer) -> Caller {
        let name = headers.get(USER_AGENT).and_then(|name| name.to_str().ok());
        Caller {
            key,
            client: name
                .and_then(|name| Some(name.get(..name.len().min(MOST_CLIENT_BYTES))?.into())),
            peer: peer.clone(),
        }
    }
}

/// OpenAI's answer, as far as its head goes.
pub(crate) struct Answered {
    pub(crate) whose: Whose,
    pub(crate) status: u16,
    /// OpenAI's `x-request-id`.
    pub(crate) request_id: Option<Box<str>>,
    /// Reads what follows; a WebSocket's calls are read by the reader of them all.
    pub(crate) reader: Option<ResponseReader>,
}

/// One metered call.
pub(crate) struct CallUnderWay {
    shared: Arc<Shared>,
    id: CallId,
    /// Corrected Unix milliseconds of the call's arrival.
    began_at: i64,
    asked: Asked,
    /// How long its request was in our hands.
    ours: Duration,
    caller: Caller,
    whose: Whose,
    /// 0: no answer came.
    status: u16,
    request_id: Option<Box<str>>,
    /// Accounts for the call's forecast while its span is not taken.
    in_flight: Option<InFlight>,
    reader: Option<ResponseReader>,
    recent: Option<Arc<RecentCall>>,
    /// OpenAI's id of the response, where it is known before its end.
    begun_as: Option<Box<str>>,
    /// Bytes of the request's body have been asked for.
    leaving: Arc<AtomicBool>,
    settled: bool,
    /// Ended, and waiting for its span.
    asking: Option<Box<Asking>>,
    /// Settled, and on the way into the ledger.
    committing: Option<Settled>,
}

impl CallUnderWay {
    /// The call is about to be sent; `whose` is what its key tells.
    pub(crate) fn begin(
        shared: Arc<Shared>,
        id: CallId,
        asked: Asked,
        caller: Caller,
        whose: Whose,
        leaving: Arc<AtomicBool>,
    ) -> Box<CallUnderWay> {
        let began_at = shared.clock.now_milliseconds();
        shared.figures.begun();
        // Boxed: each future that holds a call would carry a copy of it.
        let mut call = Box::new(CallUnderWay {
            shared,
            id,
            began_at,
            asked,
            ours: Duration::ZERO,
            caller,
            whose,
            status: 0,
            request_id: None,
            in_flight: None,
            reader: None,
            recent: None,
            begun_as: None,
            leaving,
            settled: false,
            asking: None,
            committing: None,
        });
        call.enter_flight(call.began());
        call
    }

    /// The request goes out of our hands.
    pub(crate) fn leaves(&mut self) {
        self.ours = self.asked.in_hand.elapsed();
    }

    /// How long the request was in our hands.
    pub(crate) fn ours(&self) -> Duration {
        self.ours
    }

    pub(crate) fn endpoint(&self) -> Metered {
        self.asked.endpoint
    }

    /// How the answer's body is framed, by its content type. Where that says nothing, it is what was asked for; texts and
    /// sounds are only where there can be some, and no stream was asked for.
    pub(crate) fn form(&self, content_type: Option<&str>) -> Form {
        let asked_for_stream = (self.asked.facts.as_ref()).is_some_and(|facts| facts.stream);
        let usual = if asked_for_stream {
            Form::EventStream
        } else {
            Form::Json
        };
        match content_type.map(|named| Form::of(Some(named))) {
            None => usual,
            Some(Form::Other) if asked_for_stream || !self.endpoint().gives_media() => usual,
            Some(form) => form,
        }
    }

    /// The traces of our asking for usage are to be taken out of the answer.
    pub(crate) fn is_asked_by_us(&self) -> bool {
        self.asked.usage_asked_by_us
    }

    /// Unix seconds of the call's arrival.
    fn began(&self) -> i64 {
        self.began_at.div_euclid(1000)
    }

    /// Counts the call's forecast with its group, where organization and model tell which that is, and has it
    /// written down if what is written does not cover it.
    fn enter_flight(&mut self, now: i64) {
        let shared = Arc::clone(&self.shared);
        let rules = shared.rules.load();
        self.in_flight = shared.meter.begin(&rules, &self.stream_head(now));
        if let Some(in_flight) = &self.in_flight
            && let Some(more) = in_flight.announce()
        {
            shared.outbox.open(outbox::open_calls(&more, &rules));
        }
    }

    fn stream_head(&self, at: i64) -> CallAhead<'_> {
        CallAhead {
            organization: &self.whose.organization,
            project: self.whose.project.as_deref(),
            model: self.asked.model(),
            service_tier: self.asked.service_tier(),
            hosted_tool: self.asked.hosted_tool(),
            kind: self.asked.endpoint.as_str(),
            bound: self.asked.bound(),
            own: self.in_flight.as_ref(),
            at,
        }
    }

    /// Upstream's 2xx head is here: it says whose call it is, and its reader reads what follows.
    pub(crate) fn answered(&mut self, answered: Answered) {
        let moved = answered.whose.organization != self.whose.organization;
        if moved {
            self.leave_flight();
        }
        self.whose = answered.whose;
        self.status = answered.status;
        self.request_id = answered.request_id;
        self.reader = answered.reader.map(|reader| {
            if self.asked.is_unasked() {
                reader.not_asked()
            } else {
                reader
            }
        });
        if moved {
            self.enter_flight(self.shared.clock.now());
        }
    }

    /// The answer settles nothing: an error, or nothing was sent.
    pub(crate) fn dismiss(mut self: Box<Self>) {
        self.settled = true;
        self.leave_flight();
    }

    /// The forecast goes without a settlement.
    fn leave_flight(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            let rules = self.shared.rules.load();
            if let Some(less) = in_flight.end() {
                self.shared.outbox.open(outbox::open_calls(&less, &rules));
            }
        }
    }

    /// Looks at bytes of the answer as they pass.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.push(bytes);
        }
    }

    /// Bytes of the answer that were read, without their coding.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        self.reader
            .as_ref()
            .map_or(0, |reader| reader.seen().text_bytes)
    }

    /// What the answer's first byte showed it to be, whatever its head says; none before it.
    pub(crate) fn form_seen(&self) -> Option<Form> {
        self.reader.as_ref().and_then(ResponseReader::form)
    }

    /// The stream's own end was seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.settled || self.reader.as_ref().is_some_and(ResponseReader::ended)
    }

    /// A place among the streams that are read on without their client, if this one is to be.
    pub(crate) fn place_to_finish(&self) -> Option<OwnedSemaphorePermit> {
        if self.settled || self.shared.settings.load().client_gone == ClientGone::Cancel {
            return None;
        }
        Arc::clone(&self.shared.finishing).try_acquire_owned().ok()
    }

    /// The client's connection.
    pub(crate) fn peer(&self) -> Peer {
        self.caller.peer.clone()
    }

    /// The client left before its answer was whole.
    pub(crate) fn client_left(&self) {
        self.shared.figures.clients_gone.one();
    }

    /// A response on a WebSocket begins: it can be looked up from now on.
    pub(crate) fn response_begins(&mut self, response_id: Option<Box<str>>) {
        self.begun_as = response_id;
        self.head();
    }

    /// What may be said before the usage is known.
    fn expected_tags(&self) -> Tags {
        let rules = self.shared.rules.load_full();
        let now = self.shared.clock.now();
        let expected = self.shared.meter.expect(&rules, &self.stream_head(now));
        self.head_tags(&rules, &expected, now)
    }

    /// What the head may say before the usage is known; the call can be looked up from now on.
    pub(crate) fn head(&mut self) -> Arc<RecentCall> {
        let recent = self.shared.recent.open(self.names(), self.expected_tags());
        self.recent = Some(Arc::clone(&recent));
        recent
    }

    fn head_tags(&self, rules: &Rules, expected: &Expectation, now: i64) -> Tags {
        let standing = expected
            .group
            .zip(expected.allowance)
            .zip(expected.remaining);
        Tags {
            call: self.id,
            verdict: expected.verdict,
            certainty: expected.certainty,
            assumes: expected.assumes,
            reason: expected.reason,
            usage: None,
            allowance: allowance(&self.whose, rules, standing, meter::Day::at(now), now),
            cost: None,
            saved: None,
            disputed: false,
            recorded: true,
        }
    }
}

impl Drop for CallUnderWay {
    /// Whoever drops a call before its end was left by the client. A request of which nothing has left cannot have
    /// been carried out.
    fn drop(&mut self) {
        let has_left = self.reader.is_some() || self.leaving.load(Ordering::Relaxed);
        if has_left && self.settle(End::ClientGone) {
            self.shared.figures.clients_gone.one();
        }
        self.stop_asking();
        self.leave_flight();
        self.shelve_once_committed();
        self.shared.figures.ended();
    }
}

/// The standing as the tags show it, to those who may know.
fn allowance(
    whose: &Whose,
    rules: &Rules,
    standing: Option<((meter::GroupId, u64), u64)>,
    day: meter::Day,
    now: i64,
) -> Option<Allowance> {
    let ((group, tokens), remaining) = standing.filter(|_| whose.may_know)?;
    Some(Allowance {
        group: rules.offer().group(group).name.clone(),
        tokens,
        remaining,
        reset: day.end(),
        now,
    })
}
