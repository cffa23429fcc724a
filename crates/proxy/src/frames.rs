//! Data frames taken from a body in time, and put together. Knows nothing of what they say.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// How long the frames of one body may take together. Begins when first something has to be waited for: what is
/// there at once costs neither a clock nor a timer.
pub(crate) struct Deadline {
    time: Duration,
    until: Option<Instant>,
}

impl Deadline {
    pub(crate) fn of(time: Duration) -> Deadline {
        Deadline { time, until: None }
    }

    /// The body's next frame. A body that comes with its head, as most requests' do, is handed over only after its
    /// reader has asked once, in the same task: that is waited for without a timer if `comes_with_head`.
    ///
    /// # Errors
    /// [`Elapsed`] when it does not come in time.
    pub(crate) async fn next<B: Body + Unpin>(
        &mut self,
        body: &mut B,
        comes_with_head: bool,
    ) -> Result<Option<Result<Frame<B::Data>, B::Error>>, Elapsed> {
        let mut may_ask_again = comes_with_head && self.until.is_none();
        let at_hand = poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending if std::mem::take(&mut may_ask_again) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(frame) = at_hand.await {
            return Ok(frame);
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.time);
        timeout_at(until, body.frame()).await
    }
}

/// All data in one piece; a single frame is not copied.
pub(crate) fn join(mut frames: VecDeque<Frame<Bytes>>) -> Bytes {
    if frames.len() == 1 {
        let only = frames.pop_front().and_then(|frame| frame.into_data().ok());
        return only.unwrap_or_default();
    }
    let mut bytes = BytesMut::with_capacity(length(&frames));
    for frame in &frames {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], Bytes::as_ref));
    }
    bytes.freeze()
}

/// Bytes of data in these frames.
pub(crate) fn length(frames: &VecDeque<Frame<Bytes>>) -> usize {
    frames
        .iter()
        .filter_map(Frame::data_ref)
        .map(Bytes::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Context;

    use super::*;

    /// A body whose one frame is there after so many looks, and that wakes nobody meanwhile.
    struct Late(u32);

    impl Body for Late {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.checked_sub(1) {
                Some(left) => {
                    self.0 = left;
                    Poll::Pending
                }
                None => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"word"))))),
            }
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn what_is_there_sets_no_deadline() {
        for (looks, comes_with_head) in [(0, false), (0, true), (1, true)] {
            let mut deadline = Deadline::of(LONG);
            let frame = deadline.next(&mut Late(looks), comes_with_head).await;
            assert!(frame.unwrap().is_some(), "{looks}");
            assert!(deadline.until.is_none(), "{looks}");
        }
    }

    #[tokio::test]
    async fn what_does_not_come_is_waited_for_no_longer_than_told() {
        for comes_with_head in [false, true] {
            let mut deadline = Deadline::of(Duration::from_millis(5));
            let mut never = Late(u32::MAX);
            assert!(deadline.next(&mut never, comes_with_head).await.is_err());
            let until = deadline.until.unwrap();
            // The deadline is for all frames together.
            assert!(deadline.next(&mut never, comes_with_head).await.is_err());
            assert_eq!(deadline.until.unwrap(), until);
        }
    }
}
