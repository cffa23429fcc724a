//! Calls that are first seen whole through another replica than the one they began on: whoever waits for a response says
//! so, whoever sees it whole passes on what it saw. It comes at least once: whoever waits for it takes only the first.
//! Must not know what a sight says.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

/// Responses waited for that the store does not know yet, and sights to be passed on; the oldest goes when one more
/// comes.
const MOST_UNSAID: usize = 4_096;
/// Sights passed on to this replica that nobody has looked at yet; the others stay in the store until there is room.
pub(crate) const MOST_UNREAD: usize = 1_024;

/// A response that was seen whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// OpenAI's id of it.
    pub response_id: Box<str>,
    /// What was seen, as whoever passes it on writes it.
    pub text: String,
}

/// What is to be published of sights, and who receives those of others.
#[derive(Debug)]
pub(crate) struct Sights {
    awaited: Mutex<VecDeque<Box<str>>>,
    seen: Mutex<VecDeque<Sight>>,
    heard: mpsc::Sender<String>,
}

impl Sights {
    pub(crate) fn new() -> (Sights, mpsc::Receiver<String>) {
        let (heard, receiver) = mpsc::channel(MOST_UNREAD);
        let sights = Sights {
            awaited: Mutex::default(),
            seen: Mutex::default(),
            heard,
        };
        (sights, receiver)
    }

    /// This replica waits for a response.
    pub(crate) fn awaits(&self, response_id: &str) {
        put(&self.awaited, response_id.into());
    }

    /// This replica saw a response that it does not wait for.
    pub(crate) fn saw(&self, sight: Sight) {
        put(&self.seen, sight);
    }

    /// What is to be published now.
    pub(crate) fn take(&self) -> Unsaid<'_> {
        Unsaid {
            awaited: lock(&self.awaited).drain(..).collect(),
            seen: lock(&self.seen).drain(..).collect(),
            sights: self,
        }
    }

    /// Another replica saw a response that this one waits for. Says whether there was room for it.
    pub(crate) fn receive(&self, text: &str) -> bool {
        match self.heard.try_reserve() {
            Ok(room) => {
                room.send(text.to_owned());
                true
            }
            Err(_no_room) => false,
        }
    }
}

/// What the store is about to be told. Dropped, it is told again later: whoever waits for the store may be cut short.
#[derive(Debug)]
pub(crate) struct Unsaid<'a> {
    pub(crate) awaited: Vec<Box<str>>,
    pub(crate) seen: Vec<Sight>,
    sights: &'a Sights,
}

impl Unsaid<'_> {
    /// The store knows all of it.
    pub(crate) fn forget(mut self) {
        self.awaited.clear();
        self.seen.clear();
    }
}

impl Drop for Unsaid<'_> {
    fn drop(&mut self) {
        for id in self.awaited.drain(..) {
            put(&self.sights.awaited, id);
        }
        for sight in self.seen.drain(..) {
            put(&self.sights.seen, sight);
        }
    }
}

fn put<T>(queue: &Mutex<VecDeque<T>>, one: T) {
    let mut queue = lock(queue);
    if queue.len() == MOST_UNSAID {
        queue.pop_front();
    }
    queue.push_back(one);
}

fn lock<T>(queue: &Mutex<VecDeque<T>>) -> MutexGuard<'_, VecDeque<T>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
