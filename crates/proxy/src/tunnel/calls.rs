//! The calls on one WebSocket: each begins with what the client asks for, or with a response nobody asked for, and is
//! settled by the event that ends it. Knows nothing of sockets.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use http::StatusCode;
use meter::Reason;
use wire::{
    Missing, Reading, Seen, Socket, SocketEvent, SocketReader, SocketRequest, SocketRequests,
};

use crate::asked::Asked;
use crate::attribute::Whose;
use crate::call_id::CallId;
use crate::proxy::Shared;
use crate::settling::call_under_way::{Answered, CallUnderWay, Caller};

/// Responses asked for on one connection and not begun; what is asked beyond is counted once it begins.
const MOST_WAITING: usize = 256;
/// Responses under way on one connection; one beyond is counted once it ends.
const MOST_OPEN: usize = 256;
/// Responses of one connection of which it is remembered that they ended.
const MOST_ENDED: usize = 256;

/// What the opening of the WebSocket told of all its calls.
pub(super) struct Opened {
    pub(super) caller: Caller,
    pub(super) whose: Whose,
    /// OpenAI's `x-request-id`.
    pub(super) request_id: Option<Box<str>>,
}

/// The calls of one connection.
pub(super) struct Calls {
    shared: Arc<Shared>,
    socket: Socket,
    opened: Opened,
    requests: Option<SocketRequests>,
    reader: SocketReader,
    /// Asked for, not begun; oldest first.
    waiting: VecDeque<Waiting>,
    /// Begun, not ended; oldest first.
    open: Vec<Open>,
    /// Responses that ended, oldest first: an end that is said again is no other call.
    ended: VecDeque<Box<str>>,
}

struct Waiting {
    lane: Option<Box<str>>,
    call: Box<CallUnderWay>,
}

struct Open {
    lane: Option<Box<str>>,
    response_id: Box<str>,
    /// Bytes of its messages so far.
    bytes: u64,
    model: Option<Box<str>>,
    call: Box<CallUnderWay>,
}

/// Calls that were settled and are on their way into the ledger.
#[must_use = "the last bytes of these calls wait for them"]
#[expect(clippy::vec_box, reason = "calls come boxed, and stay where they are")]
pub(super) struct Settled(Vec<Box<CallUnderWay>>);

impl Settled {
    /// Ready once all of them can be looked up. They wait beside each other: at the latest after the deadline of the
    /// shared totals, where there are some, and then that of a commit.
    pub(super) async fn committed(mut self) {
        poll_fn(|context| together(&mut self.0, |call| call.poll_committed(context))).await;
    }
}

/// Asks each of those that wait, and is ready once none does.
fn together<T>(waiting: &mut Vec<T>, mut poll: impl FnMut(&mut T) -> Poll<()>) -> Poll<()> {
    waiting.retain_mut(|one| poll(one).is_pending());
    if waiting.is_empty() {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}

/// What is read of a request that failed before its response began.
fn failed() -> Reading {
    Reading::Missing(Missing {
        why: Reason::ErrorResponse,
        seen: Seen::default(),
    })
}

impl Calls {
    pub(super) fn new(shared: Arc<Shared>, socket: Socket, target: &str, opened: Opened) -> Calls {
        Calls {
            shared,
            socket,
            opened,
            // A realtime session answers when it likes: its responses are known by their beginning.
            requests: (socket == Socket::Responses).then(SocketRequests::new),
            reader: SocketReader::new(socket, target),
            waiting: VecDeque::new(),
            open: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    /// Nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    /// Looks at bytes of the client's before they go on, and says whether a call begins with them.
    pub(super) fn client_says(&mut self, bytes: &[u8]) -> bool {
        let Some(requests) = &mut self.requests else {
            return false;
        };
        let mut asked = Vec::new();
        requests.push(bytes, |request| asked.push(request));
        let mut begins = false;
        for SocketRequest { lane, facts, bytes } in asked {
            let asked = Asked::on_socket(self.socket.calls(), facts, Some(bytes));
            if self.waiting.len() < MOST_WAITING
                && let Some(call) = self.begin(asked)
            {
                self.waiting.push_back(Waiting { lane, call });
                begins = true;
            }
        }
        begins
    }

    /// Looks at bytes of upstream's before they go on, and settles what ends in them.
    pub(super) fn upstream_says(&mut self, bytes: &[u8]) -> Settled {
        let mut events = Vec::new();
        self.reader.push(bytes, |event| events.push(event));
        let mut settled = Vec::new();
        for event in events {
            match event {
                SocketEvent::Began {
                    lane,
                    response_id,
                    model,
                } => self.response_begins(lane, response_id, model),
                SocketEvent::Said { lane, bytes } => {
                    if let Some(open) = self.open_in(lane.as_deref()) {
                        open.bytes += bytes;
                    }
                }
                SocketEvent::Ended { lane, reading } => {
                    settled.extend(self.response_ends(lane.as_deref(), reading));
                }
                SocketEvent::Refused { lane } => {
                    if let Some(call) = self.asked_in(lane.as_deref()) {
                        call.dismiss();
                    }
                }
                // What began ends with an event of its own.
                SocketEvent::Failed { lane } if self.open_in(lane.as_deref()).is_none() => {
                    settled.extend(self.asked_in(lane.as_deref()).map(|mut call| {
                        call.settle_read(failed());
                        call
                    }));
                }
                SocketEvent::Failed { .. } => {}
                SocketEvent::Transcribed(reading) => {
                    settled.extend(self.begin(self.unasked()).map(|mut call| {
                        call.response_begins(None);
                        call.settle_read(reading);
                        call
                    }));
                }
            }
        }
        Settled(settled)
    }

    fn response_begins(
        &mut self,
        lane: Option<Box<str>>,
        response_id: Box<str>,
        model: Option<Box<str>>,
    ) {
        let is_known = |id: &str| id == &*response_id;
        // A beginning that is said again is no other call.
        if self.open.len() == MOST_OPEN
            || self.open.iter().any(|open| is_known(&open.response_id))
            || self.ended.iter().any(|ended| is_known(ended))
        {
            return;
        }
        let call = self.asked_in(lane.as_deref());
        let call = call.or_else(|| self.begin(self.unasked()));
        if let Some(mut call) = call {
            call.response_begins(Some(response_id.clone()));
            self.open.push(Open {
                lane,
                response_id,
                bytes: 0,
                model,
                call,
            });
        }
    }

    /// The response under way in this lane.
    fn open_in(&mut self, lane: Option<&str>) -> Option<&mut Open> {
        self.open
            .iter_mut()
            .find(|open| open.lane.as_deref() == lane)
    }

    fn response_ends(
        &mut self,
        lane: Option<&str>,
        mut reading: Reading,
    ) -> Option<Box<CallUnderWay>> {
        let seen = reading.seen_mut();
        let id = seen.response_id.as_deref();
        if let Some(id) = id {
            if self.ended.iter().any(|ended| &**ended == id) {
                return None;
            }
            self.ended.push_back(id.into());
            if self.ended.len() > MOST_ENDED {
                self.ended.pop_front();
            }
        }
        let place = id.and_then(|id| self.open.iter().position(|open| &*open.response_id == id));
        let mut call = if let Some(place) = place {
            let open = self.open.remove(place);
            seen.text_bytes = open.bytes;
            open.call
        } else {
            // Its beginning was not seen.
            let mut call = self.asked_in(lane).or_else(|| self.begin(self.unasked()))?;
            call.response_begins(id.map(Into::into));
            call
        };
        call.settle_read(reading);
        Some(call)
    }

    /// The call asked for first in this lane; where upstream names no lane though the client did, the first of all.
    fn asked_in(&mut self, lane: Option<&str>) -> Option<Box<CallUnderWay>> {
        let place = self
            .waiting
            .iter()
            .position(|waiting| waiting.lane.as_deref() == lane)
            .or(lane.is_none().then_some(0))?;
        Some(self.waiting.remove(place)?.call)
    }

    /// What is known of a response nobody was seen to ask for.
    fn unasked(&self) -> Asked {
        Asked::on_socket(self.socket.calls(), None, None)
    }

    /// A call of this connection; none where no id can be made.
    fn begin(&self, asked: Asked) -> Option<Box<CallUnderWay>> {
        let Opened {
            caller,
            whose,
            request_id,
        } = &self.opened;
        let mut call = CallUnderWay::begin(
            Arc::clone(&self.shared),
            CallId::new().ok()?,
            asked,
            caller.clone(),
            whose.clone(),
            // What is asked for goes on at once.
            Arc::new(AtomicBool::new(true)),
        );
        call.answered(Answered {
            whose: whose.clone(),
            status: StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            request_id: request_id.clone(),
            reader: None,
        });
        Some(call)
    }

    /// The connection is over: what is still under way never reported its usage.
    pub(super) fn end(&mut self, why: Reason) -> Settled {
        let why = if self.reader.is_unreadable() {
            Reason::UnreadableBody
        } else {
            why
        };
        let missing = |seen| Reading::Missing(Missing { why, seen });
        let open = self.open.drain(..).map(|open| {
            let seen = Seen {
                response_id: Some(open.response_id),
                model: open.model,
                text_bytes: open.bytes,
                ..Seen::default()
            };
            (open.call, missing(seen))
        });
        let waiting = self.waiting.drain(..);
        let waiting = waiting.map(|waiting| (waiting.call, missing(Seen::default())));
        let settled = open.chain(waiting).map(|(mut call, reading)| {
            call.settle_read(reading);
            call
        });
        Settled(settled.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_does_not_keep_the_others_waiting() {
        // How often each is still to be asked: no more often together than the last of them alone.
        let mut waiting = vec![3, 1, 2];
        let mut rounds = 0;
        let asked = |left: &mut u32| {
            *left -= 1;
            if *left == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        };
        while together(&mut waiting, asked).is_pending() {
            rounds += 1;
        }
        assert_eq!(rounds, 2);
    }
}
