//! A body that is read while it passes: each frame goes on as soon as it came, the call is settled before the
//! last bytes leave. Knows nothing of verdicts.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use net::UpstreamBody;
use tokio::time::Sleep;
use wire::End;

use super::answer_body::Broken;
use super::comment;
use super::edit::Edit;
use super::finish::Finishing;
use super::frames;
use super::memory::Reservation;
use crate::settling::call_under_way::CallUnderWay;

/// How long the bytes with a stream's own end wait for upstream's end, so that both leave in one flush: an
/// SDK that closes at `[DONE]` would otherwise find its connection unfinished, and not use it again.
const WAIT_FOR_END: Duration = Duration::from_millis(20);

/// What of an answer passes while it is read.
pub(crate) struct Passage {
    /// Upstream's body.
    pub(crate) upstream: UpstreamBody,
    /// Frames taken, and read, while the answer was held; not yet passed on.
    pub(crate) early: VecDeque<Frame<Bytes>>,
    /// The memory they take.
    pub(crate) reserved: Option<Reservation>,
    /// The break found while the answer was held; comes after `early`.
    pub(crate) broke: Option<Broken>,
    /// What is taken out on the way.
    pub(crate) edit: Option<Box<Edit>>,
    /// The final tags are put into the last event, as a comment.
    pub(crate) comment: bool,
}

/// A call and its answer on the way to the client.
pub(crate) struct MeteredBody {
    call: Box<CallUnderWay>,
    passage: Passage,
    stage: Stage,
    /// Bytes that leave before the stage goes on, once the settlement is committed.
    last: Option<Bytes>,
}

enum Stage {
    /// Frames pass.
    Passing,
    /// These bytes hold the stream's own end: they wait for upstream's.
    Ending { last: Bytes, until: Pin<Box<Sleep>> },
    /// This comes next, then nothing.
    Leaving(Option<HeaderMap>),
    /// This break comes next.
    Breaking(Broken),
    /// Everything was given out.
    Over,
}

impl MeteredBody {
    pub(crate) fn new(call: Box<CallUnderWay>, passage: Passage) -> MeteredBody {
        MeteredBody {
            call,
            passage,
            stage: Stage::Passing,
            last: None,
        }
    }

    /// The client left: takes the call and what upstream still says, if it is to be read on.
    pub(crate) fn left(self) -> Option<Finishing> {
        let place = self.call.place_to_finish()?;
        // What waits was read already.
        let goes_on = self.passage.broke.is_none();
        goes_on.then_some(Finishing {
            call: self.call,
            upstream: self.passage.upstream,
            place,
        })
    }

    /// Nothing more will come.
    pub(crate) fn is_end(&self) -> bool {
        self.last.is_none() && matches!(self.stage, Stage::Over | Stage::Leaving(None))
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let last = self.last.as_ref().map_or(0, Bytes::len);
        let waiting = (frames::length(&self.passage.early) + last) as u64;
        match (
            &self.passage.edit,
            self.passage.upstream.size_hint().exact(),
        ) {
            // What a broken body has left is not what was to come.
            (None, Some(rest)) if self.passage.broke.is_none() => {
                SizeHint::with_exact(waiting + rest)
            }
            _ => SizeHint::default(),
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            // Whoever has the last bytes can read the verdict.
            ready!(self.call.poll_committed(context));
            if let Some(last) = self.last.take() {
                return Poll::Ready(Some(Ok(Frame::data(last))));
            }
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Over => return Poll::Ready(None),
                Stage::Leaving(trailers) => {
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Stage::Breaking(broken) => return Poll::Ready(Some(Err(broken))),
                Stage::Ending { last, until } => {
                    let last = self.commented(last);
                    return self.poll_end(context, last, until);
                }
                Stage::Passing => {
                    self.stage = Stage::Passing;
                    if !self.edit_goes_on() {
                        let next = ready!(self.poll_upstream(context));
                        self.last = self.take_in(next);
                        continue;
                    }
                    self.last = self.go_on();
                    if self.last.is_none() && self.edit_goes_on() {
                        // Only work so far: others have their turn.
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// The next frame; a fresh one is read.
    fn poll_upstream(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(frame) = self.passage.early.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        self.passage.reserved = None;
        if let Some(broken) = self.passage.broke.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        let next = ready!(Pin::new(&mut self.passage.upstream).poll_frame(context));
        if let Some(Ok(frame)) = &next
            && let Some(data) = frame.data_ref()
        {
            self.call.read(data);
        }
        Poll::Ready(next.map(|frame| frame.map_err(Broken::Upstream)))
    }

    /// Says what of it goes on; sets the stage that follows.
    fn take_in(&mut self, next: Option<Result<Frame<Bytes>, Broken>>) -> Option<Bytes> {
        let frame = match next {
            Some(Ok(frame)) => frame,
            Some(Err(broken)) => return self.fail(broken),
            None => return self.end(None),
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(frame.into_trailers().ok()),
        };
        match &mut self.passage.edit {
            None => self.pass(Some(data)),
            Some(edit) => {
                edit.take(data);
                self.go_on()
            }
        }
    }

    /// Not all is edited yet of what was taken in.
    fn edit_goes_on(&self) -> bool {
        let edit = self.passage.edit.as_ref();
        edit.is_some_and(|edit| edit.goes_on())
    }

    /// The next that the edit lets pass.
    fn go_on(&mut self) -> Option<Bytes> {
        let has_ended = self.call.has_ended();
        let edited = self.passage.edit.as_mut()?.go_on(has_ended);
        match edited {
            Ok(edited) => {
                self.pass(Some(edited.into()).filter(|edited: &Bytes| !edited.is_empty()))
            }
            Err(error) => self.fail(Broken::Coding(error)),
        }
    }

    /// Says what goes on of what the client is to see of a frame; sets the stage that follows.
    fn pass(&mut self, passed: Option<Bytes>) -> Option<Bytes> {
        if self.edit_goes_on() {
            return passed;
        }
        if self.upstream_is_done() {
            // The length is known, so these are the last bytes.
            let rest = self.end(None);
            return join(passed, rest);
        }
        // Only the first end waits: what follows it passes as it comes.
        if self.call.has_ended() && self.call.settle(End::Complete) {
            if let Some(last) = passed {
                let until = Box::pin(tokio::time::sleep(WAIT_FOR_END));
                self.stage = Stage::Ending { last, until };
            }
            return None;
        }
        passed
    }

    fn upstream_is_done(&self) -> bool {
        self.passage.early.is_empty()
            && self.passage.broke.is_none()
            && self.passage.upstream.is_end_stream()
    }

    /// What was held back for a decision that no longer comes.
    fn rest(&mut self) -> Option<Bytes> {
        let rest = self.passage.edit.as_mut()?.rest();
        (!rest.is_empty()).then(|| Bytes::from(rest))
    }

    fn fail(&mut self, broken: Broken) -> Option<Bytes> {
        let rest = self.rest();
        self.call.settle(End::UpstreamFailed);
        self.stage = Stage::Breaking(broken);
        rest
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Option<Bytes> {
        let rest = match self
            .passage
            .edit
            .as_mut()
            .map(|edit| edit.finish())
            .transpose()
        {
            Ok(rest) => rest.filter(|rest| !rest.is_empty()).map(Bytes::from),
            Err(error) => return self.fail(Broken::Coding(error)),
        };
        self.call.settle(End::Complete);
        self.stage = Stage::Leaving(trailers);
        rest
    }

    /// The bytes with the stream's own end, with the final tags where they are wanted; once.
    fn commented(&mut self, last: Bytes) -> Bytes {
        let is_wanted = std::mem::replace(&mut self.passage.comment, false);
        match self.call.last_tags().filter(|_| is_wanted) {
            Some(tags) => comment::glued(last, tags),
            None => last,
        }
    }

    /// Gives out the bytes with the stream's own end once upstream's end is there, or more bytes, or the
    /// waiting time is over.
    fn poll_end(
        &mut self,
        context: &mut Context<'_>,
        last: Bytes,
        mut until: Pin<Box<Sleep>>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.poll_upstream(context) {
            Poll::Pending if until.as_mut().poll(context).is_pending() => {
                self.stage = Stage::Ending { last, until };
                Poll::Pending
            }
            Poll::Pending => {
                self.stage = Stage::Passing;
                Poll::Ready(Some(Ok(Frame::data(last))))
            }
            Poll::Ready(next) => {
                self.stage = Stage::Passing;
                // The call is settled, so this sets no second end: what came leaves with what waited.
                let more = self.take_in(next);
                let data = join(Some(last), more).unwrap_or_default();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
        }
    }
}

fn join(first: Option<Bytes>, second: Option<Bytes>) -> Option<Bytes> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Bytes::from([first, second].concat())),
        (one, None) | (None, one) => one,
    }
}

impl fmt::Debug for MeteredBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredBody").finish_non_exhaustive()
    }
}
