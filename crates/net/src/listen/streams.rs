//! A client's calls over HTTP/2, each a stream of its own: hyper reads and writes it, here it is counted as open. It must
//! not know what a call is.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::client_body::ClientBody;
use super::watch::{OpenRequest, Watch};
use crate::http1::lines::Lines;

/// A request that is not answered to its end yet.
pub(crate) struct Open(OpenRequest);

/// The request as a call has it, and what stays open until it is answered.
pub(crate) fn opened(
    request: Request<Incoming>,
    watch: &Arc<Watch>,
) -> (Request<ClientBody>, Open) {
    (request.map(ClientBody::http2), Open(watch.opens()))
}

impl Open {
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
                _request: self.0,
            })
        })
    }
}

/// The body of an answer, and the request it answers.
pub(crate) struct Answer<B> {
    body: B,
    _request: OpenRequest,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
