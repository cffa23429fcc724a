//! The body of a client's request, over either version of HTTP. It must not know what the bytes mean.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::client_connection::{ClientConnection, lock};
use super::streams::Upload;
use crate::error::Break;
use crate::http1::body_decoder::BodyDecoder;
use crate::http1::incoming;

/// The body of a request, frame by frame as it arrives. Trailers are left out.
///
/// Over HTTP/1.1 a body that is not read to its end is the last one of its connection.
pub struct ClientBody(Shape);

enum Shape {
    /// It came with its head.
    Whole(Bytes),
    Connection {
        /// Nobody keeps a connection open for a body alone.
        connection: Weak<Mutex<ClientConnection>>,
        decoder: BodyDecoder,
    },
    Http2(Box<Upload>),
}

impl ClientBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(Shape::Whole(bytes))
    }

    pub(crate) fn on(connection: Weak<Mutex<ClientConnection>>, decoder: BodyDecoder) -> Self {
        Self(Shape::Connection {
            connection,
            decoder,
        })
    }

    pub(crate) fn http2(upload: Upload) -> Self {
        Self(Shape::Http2(Box::new(upload)))
    }
}

/// The next piece of a body on a connection.
fn poll_connection(
    connection: &Weak<Mutex<ClientConnection>>,
    decoder: &mut BodyDecoder,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
    if decoder.is_nothing() {
        return Poll::Ready(None);
    }
    let Some(connection) = connection.upgrade() else {
        *decoder = BodyDecoder::Nothing;
        return Poll::Ready(Some(Err(Break::Closed)));
    };
    let mut connection = lock(&connection);
    let Poll::Ready(frame) = incoming::poll_frame(decoder, &mut *connection, cx) else {
        if !connection.stalls() {
            return Poll::Pending;
        }
        *decoder = BodyDecoder::Nothing;
        return Poll::Ready(Some(Err(Break::Stalled)));
    };
    // Behind a body that broke nothing is to be trusted: it is never over.
    let frame = frame.transpose()?;
    connection.body_is_over = decoder.is_nothing();
    Poll::Ready(frame.filter(Frame::is_data).map(Ok))
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
            Shape::Connection {
                connection,
                decoder,
            } => poll_connection(connection, decoder, cx),
            Shape::Http2(upload) => upload.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Shape::Whole(bytes) => bytes.is_empty(),
            Shape::Connection { decoder, .. } => decoder.is_nothing(),
            Shape::Http2(upload) => upload.incoming().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Shape::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Shape::Connection { decoder, .. } => decoder.size_hint(),
            Shape::Http2(upload) => upload.incoming().size_hint(),
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
