//! What changed, as it changes: server-sent events. One task looks, twice a second and only while somebody listens; each
//! listener is told in its own time, and who reads slowly is told less often, not more at once. Must not know what is drawn
//! of them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::answers::{Answers, Mark};
use crate::board::{Board, Event};

/// Pages that may listen at once.
const MOST_LISTENERS: usize = 32;
/// Between two looks at what changed.
const EVERY: Duration = Duration::from_millis(500);
/// A word that says nothing, so that a connection that broke is noticed.
const STILL_HERE: Duration = Duration::from_secs(15);
/// Events that wait for a slow reader: what changes meanwhile is told by the next one.
const MOST_WAITING: usize = 1;

/// Who may listen. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Events {
    places: Arc<Semaphore>,
    /// What all listeners are told of; gone with the last of them.
    feed: Arc<Mutex<Weak<Feed>>>,
}

/// What is looked at for all listeners.
struct Feed {
    answers: Answers,
    board: Mutex<Board>,
    looked: watch::Sender<Looked>,
}

/// How far the looking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// It has not begun.
    Nothing,
    /// Up to this place of the board.
    UpTo(u64),
    /// The program stops.
    Stopping,
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
            feed: Arc::default(),
        }
    }

    /// A new listener; `None`: there are too many. Whoever asks for what is there now once this is answered misses nothing
    /// between the two.
    pub(crate) async fn listen(&self, answers: &Answers) -> Option<Stream> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let feed = self.feed(answers);
        let mut looked = feed.looked.subscribe();
        // The sender is in the feed.
        let _ = looked.wait_for(|now| *now != Looked::Nothing).await;
        let told = match *looked.borrow() {
            Looked::UpTo(at) => at,
            Looked::Nothing | Looked::Stopping => 0,
        };
        let (sender, events) = channel(MOST_WAITING);
        tokio::spawn(tell(feed, looked, told, sender));
        Some(Stream {
            events,
            _place: place,
        })
    }

    fn feed(&self, answers: &Answers) -> Arc<Feed> {
        let mut place = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = place.upgrade() {
            return feed;
        }
        let feed = Arc::new(Feed {
            answers: answers.clone(),
            board: Mutex::default(),
            looked: watch::Sender::new(Looked::Nothing),
        });
        *place = Arc::downgrade(&feed);
        tokio::spawn(look(Weak::clone(&place)));
        feed
    }
}

/// With many organizations much of this takes a while: none of it belongs on a thread on which calls are forwarded.
impl Feed {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is there, unless nothing has changed since that mark, and says up to where.
    fn look(&self, seen: Option<&Mark>) -> (Mark, u64) {
        let mark = self.answers.mark();
        if seen != Some(&mark) {
            let since = self.board().number();
            let look = self.answers.look(since);
            self.board().take(look);
        }
        (mark, self.board().at())
    }

    fn since(&self, told: u64) -> Option<Event> {
        self.board().since(told, &self.answers.now())
    }
}

/// Looks again and again, until nobody listens.
async fn look(feed: Weak<Feed>) {
    let mut looks = interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        looks.tick().await;
        let Some(feed) = feed.upgrade() else {
            return;
        };
        if feed.answers.is_stopping() {
            feed.looked.send_replace(Looked::Stopping);
            return;
        }
        let looking = Arc::clone(&feed);
        let turn = feed.answers.turn(move || looking.look(seen.as_ref()));
        seen = match turn.await {
            Err(_failed) => None,
            Ok((mark, at)) => {
                let now = Looked::UpTo(at);
                let is_new = |looked: &mut Looked| std::mem::replace(looked, now) != now;
                feed.looked.send_if_modified(is_new);
                Some(mark)
            }
        };
    }
}

/// Tells one listener.
async fn tell(
    feed: Arc<Feed>,
    mut looked: watch::Receiver<Looked>,
    mut told: u64,
    sender: Sender<Bytes>,
) {
    // Sent at once, so that the browser knows that it is connected.
    let hello = Bytes::from_static(b"retry: 1000\n\n");
    if sender.send(hello).await.is_err() {
        return;
    }
    let mut spoke = Instant::now();
    loop {
        // First the place, then what to say: what changes until there is one is said in one.
        let Ok(place) = sender.reserve().await else {
            return;
        };
        let bytes = tokio::select! {
            event = next(&feed, &mut looked, told) => {
                let Some(event) = event else {
                    // Nobody waits for it: the listener drains.
                    place.send(Bytes::from_static(b"event: stop\ndata: {}\n\n"));
                    return;
                };
                told = event.at;
                event.bytes
            }
            () = sleep_until(spoke + STILL_HERE) => Bytes::from_static(b": still here\n\n"),
            () = sender.closed() => return,
        };
        spoke = Instant::now();
        place.send(bytes);
    }
}

/// What is to be told next, as soon as there is something; `None`: the program stops.
async fn next(feed: &Arc<Feed>, looked: &mut watch::Receiver<Looked>, told: u64) -> Option<Event> {
    loop {
        let now = *looked.borrow_and_update();
        match now {
            Looked::Stopping => return None,
            Looked::UpTo(at) if at > told => {
                let telling = Arc::clone(feed);
                let turn = feed.answers.turn(move || telling.since(told));
                if let Ok(Some(event)) = turn.await {
                    return Some(event);
                }
            }
            Looked::UpTo(_) | Looked::Nothing => {}
        }
        looked.changed().await.ok()?;
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
