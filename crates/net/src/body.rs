//! The body of an upstream response, with the connection it comes on. It must not know what the bytes mean.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::warm::Carrier;

/// The body of a response from upstream, frame by frame as it arrives.
///
/// Read to its end, its connection serves another call. Dropped before, its connection is closed at once. Length and
/// end are those that upstream's framing says.
#[must_use = "a body that is dropped unread closes its connection"]
pub struct UpstreamBody {
    incoming: Incoming,
    /// Gone once the body was read to its end.
    carrier: Option<Box<dyn Carrier>>,
}

impl UpstreamBody {
    pub(crate) fn new(incoming: Incoming, carrier: Option<Box<dyn Carrier>>) -> Self {
        let mut body = Self { incoming, carrier };
        if body.incoming.is_end_stream() {
            body.release();
        }
        body
    }

    /// Takes what the connection has already delivered. Its waker does nothing, because a frame can only appear while
    /// we drive the connection, and then we look.
    fn take(&mut self) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.incoming).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn release(&mut self) {
        if let Some(carrier) = self.carrier.take() {
            carrier.release();
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let mut frame = this.take();
        if frame.is_pending()
            && let Some(carrier) = &mut this.carrier
        {
            carrier.drive(cx);
            frame = this.take();
        }
        match &frame {
            Poll::Ready(None) => this.release(),
            Poll::Ready(Some(Ok(_))) if this.incoming.is_end_stream() => this.release(),
            // Nothing more will come on it.
            Poll::Ready(Some(Err(_))) => this.carrier = None,
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpstreamBody")
            .field(&self.incoming.size_hint())
            .finish()
    }
}
