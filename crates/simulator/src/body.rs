//! The body of an answer: all at once with its length, all at once in chunks, or piece by piece with
//! the pace of a stream. A body can end too early or break. Knows nothing of what the pieces say.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces on their way to a connection that does not read them.
const MOST_PIECES_WAITING: usize = 1;

/// The body broke off, as it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("the answer was asked to break off")]
pub(crate) struct BrokenOff;

/// Set when a connection is to be reset rather than closed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reset(Arc<AtomicBool>);

impl Reset {
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// With a `content-length`.
    Sized(Option<Bytes>),
    /// Without one, as OpenAI sends JSON.
    Chunked(Option<Bytes>),
    /// As the pieces come.
    Pieces(Pieces),
}

/// The end that pieces come out of.
#[derive(Debug)]
pub(crate) struct Pieces {
    receiver: mpsc::Receiver<Result<Bytes, BrokenOff>>,
    /// The next poll says so.
    breaking: Option<BrokenOff>,
}

impl Pieces {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if let Some(broken) = self.breaking.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        match ready!(self.receiver.poll_recv(context)) {
            Some(Err(broken)) => {
                // One turn without a piece: the connection writes out what it has before it breaks.
                self.breaking = Some(broken);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            piece => Poll::Ready(piece),
        }
    }
}

/// The end that pieces are put in at.
#[derive(Debug)]
pub(crate) struct PieceSender(mpsc::Sender<Result<Bytes, BrokenOff>>);

/// The client or its connection is gone.
#[derive(Debug)]
pub(crate) struct ClientGone;

impl PieceSender {
    pub(crate) async fn send(&self, piece: Bytes) -> Result<(), ClientGone> {
        self.0.send(Ok(piece)).await.map_err(|_| ClientGone)
    }

    /// Breaks the body off: the connection is reset once all earlier pieces are on their way.
    pub(crate) async fn break_off(self, reset: &Reset) {
        if let Ok(place) = self.0.reserve().await {
            reset.ask();
            place.send(Err(BrokenOff));
        }
    }
}

impl AnswerBody {
    pub(crate) fn pieces() -> (PieceSender, Self) {
        let (sender, receiver) = mpsc::channel(MOST_PIECES_WAITING);
        let pieces = Pieces {
            receiver,
            breaking: None,
        };
        (PieceSender(sender), Self::Pieces(pieces))
    }

    pub(crate) fn empty() -> Self {
        Self::Sized(None)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Sized(bytes) | Self::Chunked(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Pieces(pieces) => {
                let piece = ready!(pieces.poll(context));
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Sized(None) | Self::Chunked(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Sized(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Chunked(_) | Self::Pieces(_) => SizeHint::default(),
        }
    }
}
