//! What changed, as it changes: server-sent events, at most two a second, nothing while nothing happens. Must not
//! know what is drawn of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval};

use crate::answers::Answers;

/// Pages that may listen at once.
const MOST_LISTENERS: usize = 32;
/// Between two looks at what changed.
const EVERY: Duration = Duration::from_millis(500);
/// A word that says nothing, so that a connection that broke is noticed.
const STILL_HERE: Duration = Duration::from_secs(15);
/// Events that wait for a slow reader.
const MOST_WAITING: usize = 4;

/// Who may listen.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    places: Arc<Semaphore>,
}

/// The body of an event stream.
pub(crate) struct Stream {
    events: Receiver<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_LISTENERS)),
        }
    }

    /// A new listener; `None`: there are too many.
    pub(crate) fn listen(&self, answers: Answers) -> Option<Stream> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (sender, events) = channel(MOST_WAITING);
        tokio::spawn(tell(answers, sender));
        Some(Stream {
            events,
            _place: place,
        })
    }
}

async fn tell(answers: Answers, sender: Sender<Bytes>) {
    let mut looks = interval(EVERY);
    let mut last = answers.newest().await;
    let mut seen = None;
    let mut spoke = Instant::now();
    // Sent at once, so that the browser knows that it is connected.
    if sender
        .send(Bytes::from_static(b"retry: 1000\n\n"))
        .await
        .is_err()
    {
        return;
    }
    loop {
        looks.tick().await;
        if answers.is_stopping() {
            // Nobody waits for it: the listener drains.
            let _ = sender
                .send(Bytes::from_static(b"event: stop\ndata: {}\n\n"))
                .await;
            return;
        }
        let now = answers.mark();
        let event = if seen.as_ref() == Some(&now) {
            None
        } else {
            let (number, change) = answers.change_since(last).await;
            last = number;
            Some(format!("id: {number}\nevent: change\ndata: {change}\n\n"))
        };
        seen = Some(now);
        let said = match event {
            Some(event) => Bytes::from(event),
            None if spoke.elapsed() >= STILL_HERE => Bytes::from_static(b": still here\n\n"),
            None => {
                if sender.is_closed() {
                    return;
                }
                continue;
            }
        };
        spoke = Instant::now();
        if sender.send(said).await.is_err() {
            return;
        }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.events
            .poll_recv(context)
            .map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
