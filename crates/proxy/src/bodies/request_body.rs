//! The body of a request on its way upstream: whole where it was read first, else as it comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use net::{Break, ClientBody};

use super::frames::{self, Deadline, Gathered};
use super::memory::{Memory, Reservation};
use super::whole_body::WholeBody;

/// What goes upstream.
#[derive(Debug)]
pub(crate) struct RequestBody {
    shape: Shape,
    /// Set when bytes of it are first asked for: from then on the call may have been carried out.
    leaving: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Shape {
    Whole(WholeBody),
    /// What was taken before it proved too long or too slow to be held, with the memory that takes; then the rest.
    Streaming {
        early: VecDeque<Frame<Bytes>>,
        reserved: Option<Reservation>,
        rest: ClientBody,
    },
}

/// How long and how large a request body may be to be held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes of this body.
    pub(crate) most: usize,
    /// Bytes of one known to be longer that are taken all the same, before it goes on as it comes: no more than `most`.
    pub(crate) beginning: usize,
    /// Bytes of all bodies held together.
    pub(crate) most_together: usize,
    /// Time from the request's head to the body's end.
    pub(crate) time: Duration,
}

impl RequestBody {
    fn of(shape: Shape) -> RequestBody {
        RequestBody {
            shape,
            leaving: Arc::default(),
        }
    }

    /// Passes on unread.
    pub(crate) fn unread(body: ClientBody) -> RequestBody {
        RequestBody::of(Shape::Streaming {
            early: VecDeque::new(),
            reserved: None,
            rest: body,
        })
    }

    /// Takes the whole body into memory, if it ends within the bounds; else it goes on as it comes.
    ///
    /// # Errors
    /// Those of the client's connection, before the body's end.
    pub(crate) async fn gather(
        mut body: ClientBody,
        memory: &Arc<Memory>,
        bounds: Bounds,
    ) -> Result<RequestBody, Break> {
        let most = match body.size_hint().lower() > bounds.most as u64 {
            true if bounds.beginning == 0 => return Ok(RequestBody::unread(body)),
            true => bounds.beginning,
            false => bounds.most,
        };
        let sized = body.size_hint().exact().is_some();
        let mut reserved = memory.reserve();
        let mut early = Gathered::default();
        let mut deadline = Deadline::of(bounds.time);
        while !body.is_end_stream() {
            let too_slow = match deadline.next(&mut body).await {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    let frame = frame?;
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    let fits = early.length() + bytes <= most
                        && reserved.grow(bytes, bounds.most_together)
                        && frame.is_data();
                    early.push(frame);
                    !fits
                }
                Err(_too_slow) => true,
            };
            if too_slow {
                return Ok(RequestBody::of(Shape::Streaming {
                    early: early.into_frames(),
                    reserved: Some(reserved),
                    rest: body,
                }));
            }
        }
        let whole = WholeBody::new(early.join(), sized, Some(reserved));
        Ok(RequestBody::of(Shape::Whole(whole)))
    }

    /// Whether bytes of it have been asked for.
    pub(crate) fn leaving(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.leaving)
    }

    /// The bytes, where all of them are here.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match &self.shape {
            Shape::Whole(body) => body.bytes(),
            Shape::Streaming { .. } => None,
        }
    }

    /// The first bytes, as far as they are here, and no more than `most`.
    pub(crate) fn beginning(&self, most: usize) -> Vec<u8> {
        let mut beginning = Vec::new();
        if let Shape::Streaming { early, .. } = &self.shape {
            for data in early.iter().filter_map(Frame::data_ref) {
                let room = most - beginning.len();
                beginning.extend_from_slice(data.get(..room).unwrap_or(data));
            }
        }
        beginning
    }

    /// Takes more memory beside the held bytes, for a copy of them, unless all bodies together would pass `most`.
    pub(crate) fn grow(&mut self, bytes: usize, most: usize) -> bool {
        match &mut self.shape {
            Shape::Whole(body) => body.grow(bytes, most),
            Shape::Streaming { .. } => false,
        }
    }

    /// Puts other bytes in place of those held.
    pub(crate) fn replace(&mut self, with: Vec<u8>) {
        if let Shape::Whole(body) = &mut self.shape {
            body.replace(Bytes::from(with));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Break;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
        let body = self.get_mut();
        body.leaving.store(true, Ordering::Relaxed);
        match &mut body.shape {
            Shape::Whole(body) => Poll::Ready(body.take().map(Ok)),
            Shape::Streaming {
                early,
                reserved,
                rest,
            } => {
                if let Some(frame) = early.pop_front() {
                    return Poll::Ready(Some(Ok(frame)));
                }
                *reserved = None;
                Pin::new(rest).poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.shape {
            Shape::Whole(body) => body.is_empty(),
            Shape::Streaming { early, rest, .. } => early.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.shape {
            Shape::Whole(body) => body.size_hint(),
            Shape::Streaming { early, rest, .. } => {
                let taken = frames::length(early) as u64;
                match rest.size_hint().exact() {
                    Some(rest) => SizeHint::with_exact(taken + rest),
                    None => SizeHint::default(),
                }
            }
        }
    }
}
