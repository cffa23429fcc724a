//! Answers that a later request can ask to see again: stored responses, chat completions and runs, bounded,
//! the oldest forgotten first. Knows nothing of how they are shown.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::responses::Response;
use crate::threads::Run;

/// Stored answers of each kind; beyond it the oldest is forgotten.
pub(crate) const MOST_STORED: usize = 2_000;

/// Values by id, in the order in which they came.
#[derive(Debug)]
struct Kept<T> {
    order: VecDeque<String>,
    by_id: HashMap<String, Arc<T>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            by_id: HashMap::new(),
        }
    }
}

impl<T> Kept<T> {
    fn put(&mut self, id: &str, value: Arc<T>) {
        if self.by_id.insert(id.to_owned(), value).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > MOST_STORED {
            if let Some(oldest) = self.order.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, id: &str) -> bool {
        self.order.retain(|known| known != id);
        self.by_id.remove(id).is_some()
    }
}

/// A stored chat completion: whose it is, and its body.
#[derive(Debug)]
pub(crate) struct StoredChat {
    pub(crate) organization: String,
    pub(crate) body: String,
}

/// All stored answers.
#[derive(Debug, Default)]
pub(crate) struct Store {
    responses: Mutex<Kept<Response>>,
    /// Told whenever a response changes or goes.
    changed: Notify,
    chats: Mutex<Kept<StoredChat>>,
    runs: Mutex<Kept<Run>>,
}

fn lock<T>(kept: &Mutex<Kept<T>>) -> MutexGuard<'_, Kept<T>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub(crate) fn put_response(&self, response: Response) {
        let id = response.id.clone();
        lock(&self.responses).put(&id, Arc::new(response));
        self.changed.notify_waiters();
    }

    /// The response once it has ended; `None` if it is not stored, or no longer.
    pub(crate) async fn ended(&self, id: &str) -> Option<Arc<Response>> {
        loop {
            let changed = self.changed.notified();
            let response = self.response(id)?;
            if response.status.is_terminal() {
                return Some(response);
            }
            changed.await;
        }
    }

    /// Replaces a response that is still stored, if `update` says with what, and gives what is stored
    /// then. Nobody sees the response between the two.
    pub(crate) fn update_response(
        &self,
        id: &str,
        update: impl FnOnce(&Response) -> Option<Response>,
    ) -> Option<Arc<Response>> {
        let mut kept = lock(&self.responses);
        let old = kept.by_id.get(id)?;
        if let Some(new) = update(old) {
            kept.put(id, Arc::new(new));
            self.changed.notify_waiters();
        }
        kept.by_id.get(id).map(Arc::clone)
    }

    pub(crate) fn response(&self, id: &str) -> Option<Arc<Response>> {
        lock(&self.responses).by_id.get(id).map(Arc::clone)
    }

    pub(crate) fn remove_response(&self, id: &str) -> bool {
        let removed = lock(&self.responses).remove(id);
        self.changed.notify_waiters();
        removed
    }

    pub(crate) fn put_run(&self, run: Run) {
        let id = run.id.clone();
        lock(&self.runs).put(&id, Arc::new(run));
    }

    pub(crate) fn run(&self, id: &str) -> Option<Arc<Run>> {
        lock(&self.runs).by_id.get(id).map(Arc::clone)
    }

    /// Replaces a run that is still stored, if `update` says with what, and gives what is stored then.
    pub(crate) fn update_run(
        &self,
        id: &str,
        update: impl FnOnce(&Run) -> Option<Run>,
    ) -> Option<Arc<Run>> {
        let mut kept = lock(&self.runs);
        let old = kept.by_id.get(id)?;
        if let Some(new) = update(old) {
            kept.put(id, Arc::new(new));
        }
        kept.by_id.get(id).map(Arc::clone)
    }

    /// The runs of one organization's thread, oldest first.
    pub(crate) fn runs(&self, organization: &str, thread: &str) -> Vec<Arc<Run>> {
        let kept = lock(&self.runs);
        let in_order = kept.order.iter().filter_map(|id| kept.by_id.get(id));
        in_order
            .filter(|run| run.organization == organization && run.thread == thread)
            .map(Arc::clone)
            .collect()
    }

    pub(crate) fn put_chat(&self, id: &str, chat: StoredChat) {
        lock(&self.chats).put(id, Arc::new(chat));
    }

    pub(crate) fn chat(&self, id: &str) -> Option<Arc<StoredChat>> {
        lock(&self.chats).by_id.get(id).map(Arc::clone)
    }

    pub(crate) fn remove_chat(&self, id: &str) -> bool {
        lock(&self.chats).remove(id)
    }

    /// The stored chat completions of one organization, oldest first.
    pub(crate) fn chats(&self, organization: &str) -> Vec<Arc<StoredChat>> {
        let kept = lock(&self.chats);
        let in_order = kept.order.iter().filter_map(|id| kept.by_id.get(id));
        in_order
            .filter(|chat| chat.organization == organization)
            .map(Arc::clone)
            .collect()
    }
}
