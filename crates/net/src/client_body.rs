//! The body of a client's request, over either version of HTTP. It must not know what the bytes mean.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::task::coop;

use crate::error::Break;
use crate::left::{Left, Step};
use crate::line::{Line, lock};

/// The body of a request, frame by frame as it arrives. Trailers are left out.
///
/// Over HTTP/1.1 a body that is not read to its end is the last one of its connection.
pub struct ClientBody(Shape);

enum Shape {
    /// It came with its head.
    Whole(Bytes),
    Line {
        /// Nobody keeps a connection open for a body alone.
        line: Weak<Mutex<Line>>,
        left: Left,
    },
    Http2(Incoming),
}

impl ClientBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(Shape::Whole(bytes))
    }

    pub(crate) fn on(line: Weak<Mutex<Line>>, left: Left) -> Self {
        Self(Shape::Line { line, left })
    }

    pub(crate) fn http2(incoming: Incoming) -> Self {
        Self(Shape::Http2(incoming))
    }
}

/// The next piece of a body on a connection.
fn poll_line(
    line: &Weak<Mutex<Line>>,
    left: &mut Left,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
    if left.is_nothing() {
        return Poll::Ready(None);
    }
    let Some(line) = line.upgrade() else {
        *left = Left::Nothing;
        return Poll::Ready(Some(Err(Break::Closed)));
    };
    let mut line = lock(&line);
    // Bytes that were read cost no more of tokio's budget, however many frames they are: others want their turn.
    let turn = ready!(coop::poll_proceed(cx));
    let broke = loop {
        match left.step(&mut line.unread.bytes) {
            Ok(Step::Data(data)) => {
                line.body_is_over = left.is_nothing();
                turn.made_progress();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Ok(Step::End(_)) => {
                line.body_is_over = true;
                return Poll::Ready(None);
            }
            Ok(Step::More) => {}
            Err(error) => break error.into(),
        }
        match ready!(line.poll_body(cx)) {
            Ok(0) => break Break::Closed,
            Ok(_) => {}
            Err(error) => break error.into(),
        }
    };
    // Nothing that follows is to be trusted.
    *left = Left::Nothing;
    Poll::Ready(Some(Err(broke)))
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Break;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
        match &mut self.get_mut().0 {
            Shape::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Shape::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Shape::Line { line, left } => poll_line(line, left, cx),
            Shape::Http2(incoming) => loop {
                match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    Some(Ok(frame)) if !frame.is_data() => {}
                    next => return Poll::Ready(next.map(|frame| Ok(frame?))),
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Shape::Whole(bytes) => bytes.is_empty(),
            Shape::Line { left, .. } => left.is_nothing(),
            Shape::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Shape::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Shape::Line { left, .. } => left.size_hint(),
            Shape::Http2(incoming) => incoming.size_hint(),
        }
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientBody")
            .field(&self.size_hint())
            .finish()
    }
}
