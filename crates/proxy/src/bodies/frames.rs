//! Frames taken from a body in time, and put together. Knows nothing of what they say.

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

/// Frames of fewer bytes are put together.
const SMALL_FRAME: usize = 1024;

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

    /// The body's next frame.
    ///
    /// # Errors
    /// [`Elapsed`] when it does not come in time.
    pub(crate) async fn next<B: Body + Unpin>(
        &mut self,
        body: &mut B,
    ) -> Result<Option<Result<Frame<B::Data>, B::Error>>, Elapsed> {
        let at_hand = poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(frame) = at_hand.await {
            return Ok(frame);
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.time);
        timeout_at(until, body.frame()).await
    }
}

/// What was taken of a body. A frame takes a hundred bytes beside its own, and whoever sends it decides how small those
/// are: small ones are put together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    frames: VecDeque<Frame<Bytes>>,
    /// Small frames behind those.
    small: BytesMut,
    /// Bytes of data in all of them.
    length: usize,
}

impl Gathered {
    pub(crate) fn push(&mut self, frame: Frame<Bytes>) {
        let Some(data) = frame.data_ref() else {
            self.put_small();
            self.frames.push_back(frame);
            return;
        };
        self.length += data.len();
        // The first one, most often the only one, is not copied.
        if self.length > data.len() && data.len() < SMALL_FRAME {
            self.small.extend_from_slice(data);
        } else {
            self.put_small();
            self.frames.push_back(frame);
        }
    }

    /// Bytes of data so far.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    fn put_small(&mut self) {
        if !self.small.is_empty() {
            let small = std::mem::take(&mut self.small);
            self.frames.push_back(Frame::data(small.freeze()));
        }
    }

    /// As frames again, in their order.
    pub(crate) fn into_frames(mut self) -> VecDeque<Frame<Bytes>> {
        self.put_small();
        self.frames
    }

    /// All data in one piece; a single frame is not copied.
    pub(crate) fn join(self) -> Bytes {
        let length = self.length;
        let mut frames = self.into_frames();
        if frames.len() == 1 {
            let only = frames.pop_front().and_then(|frame| frame.into_data().ok());
            return only.unwrap_or_default();
        }
        let mut bytes = BytesMut::with_capacity(length);
        for frame in &frames {
            bytes.extend_from_slice(frame.data_ref().map_or(&[], Bytes::as_ref));
        }
        bytes.freeze()
    }
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

    use http_body_util::Full;

    use super::*;

    /// A body that never comes.
    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[test]
    fn small_frames_are_put_together_and_keep_their_order() {
        let data = |letter: u8, length| Frame::data(Bytes::from(vec![letter; length]));
        let mut gathered = Gathered::default();
        let mut expected = Vec::new();
        for (letter, length) in [
            (b'a', 1),
            (b'b', 1),
            (b'c', 1),
            (b'd', SMALL_FRAME),
            (b'e', 2),
        ] {
            gathered.push(data(letter, length));
            expected.extend(vec![letter; length]);
        }
        assert_eq!(gathered.length(), expected.len());
        let lengths: Vec<usize> = gathered
            .into_frames()
            .iter()
            .map(|frame| frame.data_ref().map_or(0, Bytes::len))
            .collect();
        assert_eq!(lengths, [1, 2, SMALL_FRAME, 2]);

        let mut many = Gathered::default();
        for _ in 0..100_000 {
            many.push(data(b'x', 1));
        }
        assert_eq!(many.frames.len(), 1, "what is waiting takes no frame each");
        assert_eq!(many.join().len(), 100_000);
    }

    #[test]
    fn a_single_frame_is_not_copied() {
        let only = Bytes::from_static(b"word");
        let mut gathered = Gathered::default();
        gathered.push(Frame::data(only.clone()));
        assert_eq!(gathered.join().as_ptr(), only.as_ptr());
    }

    #[tokio::test]
    async fn what_is_there_sets_no_deadline() {
        let mut deadline = Deadline::of(Duration::from_mins(1));
        let frame = deadline.next(&mut Full::<Bytes>::from("word")).await;
        assert!(frame.unwrap().is_some() && deadline.until.is_none());
    }

    #[tokio::test]
    async fn what_does_not_come_is_waited_for_no_longer_than_told() {
        let mut deadline = Deadline::of(Duration::from_millis(5));
        assert!(deadline.next(&mut Never).await.is_err());
        let until = deadline.until.unwrap();
        // The deadline is for all frames together.
        assert!(deadline.next(&mut Never).await.is_err());
        assert_eq!(deadline.until.unwrap(), until);
    }
}
