//! The body of a request on its way upstream: whole where it was read first, else as it comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::frames;
use crate::memory::{Memory, Share};

/// What goes upstream.
#[derive(Debug)]
pub struct RequestBody(Shape);

#[derive(Debug)]
enum Shape {
    /// All of it; `sized` tells its length beforehand, as the client did.
    Whole {
        bytes: Option<Bytes>,
        sized: bool,
        /// The memory it takes, given back when dropped.
        _share: Share,
    },
    /// What was taken before it proved too long to be held, then the rest.
    Streaming(VecDeque<Frame<Bytes>>, Incoming),
}

impl RequestBody {
    /// Passes on unread.
    pub(crate) fn unread(body: Incoming) -> RequestBody {
        RequestBody(Shape::Streaming(VecDeque::new(), body))
    }

    /// Takes the whole body into memory, if it ends within `most` bytes and all bodies held stay within
    /// `most_together`; else it goes on as it comes.
    ///
    /// # Errors
    /// Those of the client's connection, before the body's end.
    pub(crate) async fn gather(
        mut body: Incoming,
        memory: &Arc<Memory>,
        most: usize,
        most_together: usize,
    ) -> Result<RequestBody, hyper::Error> {
        let sized = body.size_hint().exact().is_some();
        let mut share = memory.share();
        let mut early: VecDeque<Frame<Bytes>> = VecDeque::new();
        let mut length = 0;
        if body.size_hint().lower() > most as u64 {
            return Ok(RequestBody(Shape::Streaming(early, body)));
        }
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            length += bytes;
            let fits = length <= most && share.grow(bytes, most_together) && frame.is_data();
            early.push_back(frame);
            if !fits {
                return Ok(RequestBody(Shape::Streaming(early, body)));
            }
        }
        Ok(RequestBody(Shape::Whole {
            bytes: Some(frames::join(early)),
            sized,
            _share: share,
        }))
    }

    /// The bytes, where all of them are here.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Shape::Whole { bytes, .. } => bytes.as_ref(),
            Shape::Streaming(..) => None,
        }
    }

    /// Puts other bytes in place of those held.
    pub(crate) fn replace(&mut self, with: Vec<u8>) {
        if let Shape::Whole { bytes, .. } = &mut self.0 {
            *bytes = Some(Bytes::from(with));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.get_mut().0 {
            Shape::Whole { bytes, .. } => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Shape::Streaming(early, rest) => match early.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(rest).poll_frame(context),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Shape::Whole { bytes, .. } => bytes.as_ref().is_none_or(Bytes::is_empty),
            Shape::Streaming(early, rest) => early.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Shape::Whole { sized: false, .. } => SizeHint::default(),
            Shape::Whole { bytes, .. } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Shape::Streaming(early, rest) => {
                let taken = frames::length(early) as u64;
                match rest.size_hint().exact() {
                    Some(rest) => SizeHint::with_exact(taken + rest),
                    None => SizeHint::default(),
                }
            }
        }
    }
}
