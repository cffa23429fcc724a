//! A body as it comes, of a request or of an answer. It must not know which of the two it is.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::task::coop;

use super::body_decoder::{BodyDecoder, Step};
use crate::error::Break;

/// Where a body is read from.
pub(crate) trait Source {
    /// What was read, and belongs to nothing yet.
    fn unread(&mut self) -> &mut BytesMut;

    /// Reads what there is behind it; 0 where its sender has ended.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;
}

/// The next frame of what is left of a body, as soon as it is there; none at its end. Behind an error nothing is left.
pub(crate) fn poll_frame(
    decoder: &mut BodyDecoder,
    from: &mut impl Source,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
    // Bytes that were read cost no more of tokio's budget, however many frames they are: others want their turn.
    let turn = ready!(coop::poll_proceed(cx));
    let broke = loop {
        match decoder.step(from.unread()) {
            Ok(Step::Data(data)) => {
                turn.made_progress();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Ok(Step::End(trailers)) => {
                let trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            Ok(Step::More) => {}
            Err(error) => break error.into(),
        }
        match ready!(from.poll_more(cx)) {
            Ok(0) if matches!(decoder, BodyDecoder::UntilClose) => {
                *decoder = BodyDecoder::Nothing;
                return Poll::Ready(None);
            }
            Ok(0) => break Break::Closed,
            Ok(_) => {}
            Err(error) => break error.into(),
        }
    };
    *decoder = BodyDecoder::Nothing;
    Poll::Ready(Some(Err(broke)))
}
