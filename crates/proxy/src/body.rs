//! The body of an answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use net::UpstreamBody;

use crate::metered_body::MeteredBody;

/// An answer's body: our own or a held one, one that passes unread, or one that is read as it passes.
#[derive(Debug)]
pub enum AnswerBody {
    /// All bytes are here.
    Whole {
        /// The bytes not yet given out.
        bytes: Option<Bytes>,
        /// Whether the length is told beforehand; upstream's framing stays upstream's.
        sized: bool,
    },
    /// Passed on unread.
    Passing(UpstreamBody),
    /// Read while it passes.
    Metered(Box<MeteredBody>),
}

impl AnswerBody {
    /// A body whose length is told.
    pub(crate) fn whole(bytes: Bytes) -> AnswerBody {
        AnswerBody::Whole {
            bytes: Some(bytes),
            sized: true,
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
        match self.get_mut() {
            AnswerBody::Whole { bytes, .. } => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            AnswerBody::Passing(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(Broken::Upstream))),
            AnswerBody::Metered(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            // A body of unknown length must be framed as such, even where it is empty.
            AnswerBody::Whole { bytes, sized } => {
                *sized && bytes.as_ref().is_none_or(Bytes::is_empty)
            }
            AnswerBody::Passing(body) => body.is_end_stream(),
            AnswerBody::Metered(body) => body.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole { bytes, sized: true } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            AnswerBody::Whole { sized: false, .. } => SizeHint::default(),
            AnswerBody::Passing(body) => body.size_hint(),
            AnswerBody::Metered(body) => body.size_hint(),
        }
    }
}
