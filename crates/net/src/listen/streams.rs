//! A client's calls over HTTP/2, each a stream of its own: hyper reads and writes it, here it is counted as open, and
//! ended where its client sends no more of it, or takes no more. It must not know what a call is.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answers::{Answers, Piece, UnderWay};
use super::client_body::ClientBody;
use super::room::Taken;
use super::watch::{OpenRequest, Watch};
use crate::error::{BoxedError, Break};
use crate::http1::lines::Lines;
use crate::listen::ListenFigures;

/// A request that is not answered to its end yet.
pub(crate) struct Open {
    _request: OpenRequest,
    _place: Option<Taken>,
    /// Nothing of its body came for too long. None where it has no body.
    has_stalled: Option<Arc<AtomicBool>>,
    answers: Arc<Answers>,
}

/// The request as a call has it, and what stays open until it is answered.
pub(crate) fn opened(
    request: Request<Incoming>,
    place: Option<Taken>,
    watch: &Arc<Watch>,
    answers: &Arc<Answers>,
) -> (Request<ClientBody>, Open) {
    let mut open = Open {
        _request: watch.opens(),
        _place: place,
        has_stalled: None,
        answers: Arc::clone(answers),
    };
    let request = request.map(|incoming| {
        if incoming.is_end_stream() {
            return ClientBody::whole(Bytes::new());
        }
        let has_stalled = open.has_stalled.insert(Arc::default());
        ClientBody::http2(Upload {
            incoming,
            patience: watch.read_patience(),
            awaited: None,
            timer: None,
            has_stalled: Arc::clone(has_stalled),
            figures: Arc::clone(answers.figures()),
        })
    });
    (request, open)
}

impl Open {
    fn has_stalled(&self) -> bool {
        let has_stalled = self.has_stalled.as_ref();
        has_stalled.is_some_and(|has_stalled| has_stalled.load(Ordering::Relaxed))
    }

    /// It is answered once the body of its answer is gone. What is ready as lines goes as headers here.
    pub(crate) fn until<B>(
        self,
        answer: Result<Response<B>, Infallible>,
    ) -> Result<Response<Answer<B>>, Infallible> {
        answer.map(|mut answer| {
            if let Some(lines) = answer.extensions_mut().remove::<Lines>() {
                lines.spread(answer.headers_mut());
            }
            answer.map(|body| Answer {
                body,
                under_way: self.answers.begins(),
                request: self,
            })
        })
    }
}

/// The body of a request as it comes.
pub(crate) struct Upload {
    incoming: Incoming,
    /// How long nothing of it may come.
    patience: Duration,
    /// Since when more of it is waited for.
    awaited: Option<Instant>,
    /// Made when first something is waited for, and set anew only once it has fired.
    timer: Option<Pin<Box<Sleep>>>,
    has_stalled: Arc<AtomicBool>,
    figures: Arc<ListenFigures>,
}

impl Upload {
    pub(crate) fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// The next piece of data.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if !frame.is_data() => {}
                Poll::Ready(next) => {
                    self.awaited = None;
                    return Poll::Ready(next.map(|frame| Ok(frame?)));
                }
                Poll::Pending => break,
            }
        }
        ready!(self.poll_late(cx));
        if !self.has_stalled.swap(true, Ordering::Relaxed) {
            self.figures.stalled_reads.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(Some(Err(Break::Stalled)))
    }

    /// Ready once more of it was waited for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = *self.awaited.get_or_insert_with(Instant::now) + self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}

/// The body of an answer, and the request it answers.
pub(crate) struct Answer<B> {
    body: B,
    under_way: UnderWay,
    request: Open,
}

impl<B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin> Body for Answer<B> {
    type Data = Piece;
    type Error = BoxedError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BoxedError>>> {
        let this = self.get_mut();
        this.under_way.asked();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(Some(Ok(frame))) => {
                Poll::Ready(Some(Ok(frame.map_data(|bytes| this.under_way.gave(bytes)))))
            }
            // Whatever upstream answers meanwhile, it will never have the whole request.
            Poll::Pending if this.request.has_stalled() => {
                Poll::Ready(Some(Err(Break::Stalled.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
