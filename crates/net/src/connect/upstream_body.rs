//! The body of an upstream response, with the connection it comes on. It must not know what the bytes mean.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::upstream_connection::UpstreamConnection;
use crate::error::Break;
use crate::http1::body_decoder::BodyDecoder;
use crate::http1::head::Framing;
use crate::http1::incoming;
use crate::http1::message_writer::Rest;
use crate::upgrade::Switched;

/// The body of a response from upstream, frame by frame as it arrives.
///
/// Read to its end, its connection serves another call. Dropped before, its connection is closed at once. Length and
/// end are those that upstream's framing says.
#[must_use = "a body that is dropped unread closes its connection"]
pub struct UpstreamBody {
    decoder: BodyDecoder,
    /// Gone once the body was read to its end, or broke; still there after a switch of protocols.
    connection: Option<Box<UpstreamConnection>>,
    /// What upstream answered before all of it was sent.
    request: Option<Box<Rest>>,
}

impl UpstreamBody {
    /// The body that follows a head; `request` is what was not sent yet.
    pub(crate) fn new(
        connection: Box<UpstreamConnection>,
        framing: Framing,
        request: Option<Rest>,
    ) -> Self {
        let mut body = Self {
            decoder: BodyDecoder::of(framing),
            connection: Some(connection),
            request: request.map(Box::new),
        };
        if framing == Framing::Nothing {
            body.release();
        }
        body
    }

    /// What follows a switch of protocols: no body.
    pub(crate) fn none(connection: Box<UpstreamConnection>) -> Self {
        Self {
            decoder: BodyDecoder::Nothing,
            connection: Some(connection),
            request: None,
        }
    }

    /// The connection after a switch of protocols (101), once; `None` after any other answer.
    pub fn switched(&mut self) -> Option<Switched> {
        self.decoder
            .is_nothing()
            .then(|| self.connection.take())
            .flatten()
            .map(|connection| connection.into_switched())
    }

    /// The body is over: the connection goes on to the next call, unless the request is still on its way.
    fn release(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.request.is_none()
        {
            connection.release();
        }
    }

    /// Sends on what is left of the request.
    fn send_on(&mut self, cx: &mut Context<'_>) {
        if let (Some(connection), Some(request)) = (&mut self.connection, &mut self.request)
            && let Poll::Ready(sent) = request.poll(&mut connection.transport, cx)
        {
            self.request = None;
            if sent.is_err() {
                // The answer may come all the same.
                connection.spoil();
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Break;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
        let this = self.get_mut();
        if this.decoder.is_nothing() {
            return Poll::Ready(None);
        }
        this.send_on(cx);
        let Some(connection) = &mut this.connection else {
            return Poll::Ready(None);
        };
        let frame = ready!(incoming::poll_frame(
            &mut this.decoder,
            &mut **connection,
            cx
        ));
        if let Some(Err(_)) = frame {
            this.connection = None;
        } else if this.decoder.is_nothing() {
            this.release();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_nothing()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpstreamBody").field(&self.decoder).finish()
    }
}
