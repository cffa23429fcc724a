//! The body of an answer that shows earlier calls again, read while it passes: if it is the first to show the usage of
//! one, its last bytes wait until that call is settled. Knows nothing of settlements.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use net::UpstreamBody;
use wire::{Coding, End, Form, ListReader, Reading, ResponseReader, Shows};

use super::answer_body::Broken;
use crate::proxy::Shared;
use crate::settling::awaited::ShownTo;
use crate::settling::first_sight;

/// Who looks on.
pub(crate) struct Sight {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shown_to: ShownTo,
    pub(crate) reader: SightReader,
}

/// Reads the calls that are shown.
pub(crate) enum SightReader {
    One(ResponseReader),
    List(Box<ListReader>),
}

impl SightReader {
    /// A reader for an answer of this form, in these codings; none where no call is shown whole.
    pub(crate) fn new(shown: Shows, form: Form, codings: &[Coding]) -> Option<SightReader> {
        match shown {
            Shows::One(endpoint) => Some(SightReader::One(ResponseReader::new(
                endpoint, form, codings,
            ))),
            Shows::List(endpoint) => Some(SightReader::List(Box::new(ListReader::new(
                endpoint, codings,
            )))),
            Shows::Others => None,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            SightReader::One(reader) => reader.push(bytes),
            SightReader::List(reader) => reader.push(bytes),
        }
    }

    fn ended(&self) -> bool {
        match self {
            SightReader::One(reader) => reader.ended(),
            SightReader::List(reader) => reader.ended(),
        }
    }

    fn finish(self) -> Vec<Reading> {
        match self {
            SightReader::One(reader) => vec![reader.finish(End::Complete)],
            SightReader::List(reader) => reader.finish(),
        }
    }
}

/// An answer and who looks on.
pub(crate) struct SightedBody {
    upstream: UpstreamBody,
    sight: Option<Sight>,
    /// What comes next waits for this.
    settling: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    next: Option<Result<Frame<Bytes>, Broken>>,
    /// Upstream has ended.
    is_over: bool,
}

impl SightedBody {
    pub(crate) fn new(upstream: UpstreamBody, sight: Sight) -> SightedBody {
        SightedBody {
            upstream,
            sight: Some(sight),
            settling: None,
            next: None,
            is_over: false,
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.next.is_none() && self.upstream.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.next.is_some() {
            return SizeHint::default();
        }
        self.upstream.size_hint()
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(settling) = &mut self.settling {
                ready!(settling.as_mut().poll(context));
                self.settling = None;
            }
            if self.next.is_some() || self.is_over {
                return Poll::Ready(self.next.take());
            }
            let next = ready!(Pin::new(&mut self.upstream).poll_frame(context));
            self.look_at(next.as_ref());
            self.is_over = next.is_none();
            self.next = next.map(|frame| frame.map_err(Broken::Upstream));
        }
    }

    fn look_at<E>(&mut self, next: Option<&Result<Frame<Bytes>, E>>) {
        let Some(sight) = &mut self.sight else {
            return;
        };
        match next {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    sight.reader.push(data);
                }
                if !sight.reader.ended() {
                    return;
                }
            }
            // What broke off is no whole sight.
            Some(Err(_)) => {
                self.sight = None;
                return;
            }
            None => {}
        }
        let Some(sight) = self.sight.take() else {
            return;
        };
        let Sight {
            shared,
            shown_to,
            reader,
        } = sight;
        let mut whole = Vec::new();
        for reading in reader.finish() {
            match reading {
                Reading::Reported(reported) => whole.push(reported),
                Reading::Missing(missing) => first_sight::ended(&shared, &shown_to, &missing),
            }
        }
        if !whole.is_empty() {
            self.settling = Some(Box::pin(first_sight::seen(shared, shown_to, whole)));
        }
    }
}

impl fmt::Debug for SightedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SightedBody").finish_non_exhaustive()
    }
}
