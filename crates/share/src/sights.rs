//! Calls that are first seen whole through another replica than the one they began on: whoever waits for a response says
//! so, whoever sees it whole passes on what it saw, once. Must not know what a sight says.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

/// Responses waited for that the store does not know yet, and sights to be passed on; the oldest goes when one more
/// comes.
const MOST_UNSAID: usize = 4_096;
/// Sights passed on to this replica that nobody has looked at yet; one more stays slack.
pub(crate) const MOST_UNREAD: usize = 1_024;

/// A response that was seen whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// OpenAI's id of it.
    pub response_id: Box<str>,
    /// What was seen, as whoever passes it on writes it.
    pub text: String,
}

/// What is to be said of sights, and who hears of them.
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

    /// What is to be said now.
    pub(crate) fn take(&self) -> (Vec<Box<str>>, Vec<Sight>) {
        (
            lock(&self.awaited).drain(..).collect(),
            lock(&self.seen).drain(..).collect(),
        )
    }

    /// It could not be said: it is said later.
    pub(crate) fn put_back(&self, awaited: Vec<Box<str>>, seen: Vec<Sight>) {
        for id in awaited {
            put(&self.awaited, id);
        }
        for sight in seen {
            put(&self.seen, sight);
        }
    }

    /// Another replica saw a response that this one waits for.
    pub(crate) fn hear(&self, text: String) {
        // Nobody reads so slowly unless the program ends: then the call stays what the ledger has.
        let _ = self.heard.try_send(text);
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
