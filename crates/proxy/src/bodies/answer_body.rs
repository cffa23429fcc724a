//! The body of an answer on its way to the client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use net::UpstreamBody;
use tokio::time::Sleep;

use super::memory::Reservation;
use super::metered_body::MeteredBody;
use super::sighted_body::{Sight, SightedBody};
use super::whole_body::WholeBody;
use crate::heads::hop_by_hop;
use crate::tags;

/// How long a break is kept from the client's connection: what came before it must have left by then, and HTTP/2 drops
/// what it has not written yet when it is told of a break.
const LET_LEAVE: Duration = Duration::from_millis(20);

/// An answer's body.
#[derive(Debug)]
pub struct AnswerBody {
    shape: Shape,
    /// The break that comes next, once the bytes before it have left.
    breaking: Option<(Broken, Pin<Box<Sleep>>)>,
}

#[derive(Debug)]
enum Shape {
    Whole(WholeBody),
    /// Passed on unread.
    Passing(UpstreamBody),
    /// Read while it passes.
    Metered(Box<MeteredBody>),
    /// Shows an earlier call again, and is read while it passes.
    Sighted(Box<SightedBody>),
}

impl AnswerBody {
    fn of(shape: Shape) -> AnswerBody {
        AnswerBody {
            shape,
            breaking: None,
        }
    }

    /// Bytes that are all here, and the memory they take; `sized` tells their length beforehand.
    pub(crate) fn whole(bytes: Bytes, sized: bool, reserved: Option<Reservation>) -> AnswerBody {
        AnswerBody::of(Shape::Whole(WholeBody::new(bytes, sized, reserved)))
    }

    /// Upstream's body, unread.
    pub(crate) fn passing(body: UpstreamBody) -> AnswerBody {
        AnswerBody::of(Shape::Passing(body))
    }

    /// The same, looked at on its way where it comes from upstream as it is.
    pub(crate) fn sighted(mut self, sight: Sight) -> AnswerBody {
        self.shape = match std::mem::replace(&mut self.shape, Shape::nothing()) {
            Shape::Passing(body) => Shape::Sighted(Box::new(SightedBody::new(body, sight))),
            shape => shape,
        };
        self
    }

    /// A body that is read while it passes.
    pub(crate) fn metered(body: MeteredBody) -> AnswerBody {
        AnswerBody::of(Shape::Metered(Box::new(body)))
    }
}

impl Drop for AnswerBody {
    /// A client that leaves drops its answer.
    fn drop(&mut self) {
        if let Shape::Metered(_) = &self.shape
            && let Shape::Metered(body) = std::mem::replace(&mut self.shape, Shape::nothing())
            && let Some(finishing) = body.left()
        {
            finishing.begin();
        }
    }
}

/// The body ended before its end: the client's connection must end the same way.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Upstream's connection broke.
    #[error("upstream's answer broke off")]
    Upstream(#[source] <UpstreamBody as Body>::Error),
    /// A stream that had to be decoded could not be.
    #[error("upstream's answer cannot be decoded")]
    Coding(#[source] wire::DecodeError),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let body = self.get_mut();
        if body.breaking.is_none() {
            match ready!(body.shape.poll_frame(context)) {
                Some(Err(broken)) => {
                    body.breaking = Some((broken, Box::pin(tokio::time::sleep(LET_LEAVE))));
                }
                next => return Poll::Ready(next.map(|frame| frame.map(cleared))),
            }
        }
        if let Some((_, until)) = &mut body.breaking {
            ready!(until.as_mut().poll(context));
        }
        Poll::Ready(body.breaking.take().map(|(broken, _)| Err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        // A break that waits for what came before it is no end.
        if self.breaking.is_some() {
            return false;
        }
        match &self.shape {
            // A body of unknown length must be framed as such, even where it is empty.
            Shape::Whole(body) => body.is_sized() && body.is_empty(),
            Shape::Passing(body) => body.is_end_stream(),
            Shape::Metered(body) => body.is_end(),
            Shape::Sighted(body) => body.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.shape {
            Shape::Whole(body) => body.size_hint(),
            Shape::Passing(body) => body.size_hint(),
            Shape::Metered(body) => body.size_hint(),
            Shape::Sighted(body) => body.size_hint(),
        }
    }
}

/// Trailers are heads as well: what ends at a hop, and our own names, pass in none.
fn cleared(frame: Frame<Bytes>) -> Frame<Bytes> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return data,
    };
    if hop_by_hop::strip(&mut trailers, |name| name.starts_with(tags::PREFIX)).is_err() {
        trailers.clear();
    }
    Frame::trailers(trailers)
}

impl Shape {
    /// What is left of a body that was taken.
    fn nothing() -> Shape {
        Shape::Whole(WholeBody::new(Bytes::new(), true, None))
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self {
            Shape::Whole(body) => Poll::Ready(body.take().map(Ok)),
            Shape::Passing(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(Broken::Upstream))),
            Shape::Metered(body) => body.poll_frame(context),
            Shape::Sighted(body) => body.poll_frame(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn trailers_carry_no_word_of_ours_and_nothing_that_ends_at_a_hop() {
        let mut trailers = HeaderMap::new();
        for (name, value) in [
            ("x-tollfree-verdict", "free"),
            ("transfer-encoding", "chunked"),
            ("x-checksum", "1"),
        ] {
            trailers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let passed = cleared(Frame::trailers(trailers.clone()))
            .into_trailers()
            .unwrap();
        assert_eq!(passed.keys().collect::<Vec<_>>(), ["x-checksum"]);
        // Where it names what no hop may remove, nobody knows what is meant: none of it passes.
        trailers.insert("connection", HeaderValue::from_static("authorization"));
        assert!(
            cleared(Frame::trailers(trailers))
                .into_trailers()
                .unwrap()
                .is_empty()
        );
        let data = cleared(Frame::data(Bytes::from_static(b"x")))
            .into_data()
            .unwrap();
        assert_eq!(data, "x");
    }
}
