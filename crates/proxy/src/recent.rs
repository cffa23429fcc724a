//! The calls of the last minutes in memory, found by any of their ids. Knows nothing of HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::call_id::CallId;
use crate::keys::KeyHash;
use crate::tags::Tags;

/// Calls kept; the oldest goes when a new one comes. About 1 KiB each.
pub(crate) const MOST_RECENT: usize = 16_384;

/// What a call came to: its final tags and the names OpenAI gave it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The final tags.
    pub(crate) tags: Tags,
    /// OpenAI's id of the response object (`resp_...`, `chatcmpl-...`).
    pub(crate) response_id: Option<Box<str>>,
    /// The model that answered, else the one asked for.
    pub(crate) model: Option<Box<str>>,
}

/// One call: how it began, and, once it is settled, what it came to.
#[derive(Debug)]
pub(crate) struct RecentCall {
    /// What its head said.
    pub(crate) head: Tags,
    /// OpenAI's `x-request-id`.
    pub(crate) request_id: Option<Box<str>>,
    /// The endpoint's short label.
    pub(crate) endpoint: &'static str,
    /// Whose key made the call; a look-up by OpenAI's ids must show the same.
    pub(crate) key: Option<KeyHash>,
    outcome: OnceLock<Outcome>,
    settled: Notify,
}

impl RecentCall {
    /// The final word, once there is one.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Waits for the final word, at most so long.
    pub(crate) async fn wait(&self, at_most: Duration) {
        let settled = self.settled.notified();
        tokio::pin!(settled);
        settled.as_mut().enable();
        if self.outcome.get().is_none() {
            // Whether it was settled or the time ran out, the caller reads `outcome`.
            let _ = tokio::time::timeout(at_most, settled).await;
        }
    }
}

/// The recent calls.
#[derive(Debug)]
pub(crate) struct Recent {
    hasher: ahash::RandomState,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Oldest first, each with the index entries that point to it.
    calls: VecDeque<Shelved>,
    /// Number of the oldest call in `calls`; numbers only grow.
    first: u64,
    /// Hash of an id to the number of the latest call that has it.
    index: HashMap<u64, u64, ahash::RandomState>,
}

#[derive(Debug)]
struct Shelved {
    call: Arc<RecentCall>,
    entries: Vec<u64>,
}

impl Recent {
    /// An empty shelf.
    #[must_use]
    pub(crate) fn new() -> Recent {
        Recent {
            hasher: ahash::RandomState::new(),
            shelf: Mutex::new(Shelf::default()),
        }
    }

    /// Shelves a call whose head is about to leave: `outcome` where it is already known.
    pub(crate) fn open(
        &self,
        head: Tags,
        endpoint: &'static str,
        request_id: Option<Box<str>>,
        key: Option<KeyHash>,
        outcome: Option<Outcome>,
    ) -> Arc<RecentCall> {
        let mut entries = Vec::with_capacity(3);
        entries.push(self.by_call(&head.call));
        if let Some(id) = &request_id {
            entries.push(self.by_openai_id(key, id));
        }
        if let Some(id) = outcome
            .as_ref()
            .and_then(|outcome| outcome.response_id.as_ref())
        {
            entries.push(self.by_openai_id(key, id));
        }
        let call = Arc::new(RecentCall {
            head,
            request_id,
            endpoint,
            key,
            outcome: outcome.map_or_else(OnceLock::new, OnceLock::from),
            settled: Notify::new(),
        });
        self.shelve(Arc::clone(&call), entries);
        call
    }

    fn shelve(&self, call: Arc<RecentCall>, entries: Vec<u64>) {
        let mut guard = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let Shelf {
            calls,
            first,
            index,
        } = &mut *guard;
        if calls.len() == MOST_RECENT
            && let Some(oldest) = calls.pop_front()
        {
            for entry in oldest.entries {
                if index.get(&entry) == Some(first) {
                    index.remove(&entry);
                }
            }
            *first += 1;
        }
        let number = *first + calls.len() as u64;
        for entry in &entries {
            index.insert(*entry, number);
        }
        calls.push_back(Shelved { call, entries });
    }

    /// Gives a shelved call its final word and wakes those who wait for it. A second word is not heard.
    pub(crate) fn settle(&self, call: &RecentCall, outcome: Outcome) {
        let response_id = outcome.response_id.clone();
        if call.outcome.set(outcome).is_err() {
            return;
        }
        if let Some(id) = response_id {
            let entry = self.by_openai_id(call.key, &id);
            let mut guard = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let Shelf {
                calls,
                first,
                index,
            } = &mut *guard;
            // A call that has left the shelf meanwhile stays gone.
            if let Some(&number) = index.get(&self.by_call(&call.head.call))
                && let Ok(place) = usize::try_from(number - *first)
                && let Some(with_entries) = calls.get_mut(place)
            {
                with_entries.entries.push(entry);
                index.insert(entry, number);
            }
        }
        call.settled.notify_waiters();
    }

    /// The call with this id of ours.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<RecentCall>> {
        let call = self.at(self.hasher.hash_one(("call", id)))?;
        (call.head.call.as_str() == id).then_some(call)
    }

    /// The latest call with this id of OpenAI's (response id or `x-request-id`) made with this key.
    pub(crate) fn find_openai_id(&self, key: KeyHash, id: &str) -> Option<Arc<RecentCall>> {
        let call = self.at(self.by_openai_id(Some(key), id))?;
        let response_id = call
            .outcome()
            .and_then(|outcome| outcome.response_id.as_deref());
        let named = call.request_id.as_deref() == Some(id) || response_id == Some(id);
        (named && call.key == Some(key)).then_some(call)
    }

    fn at(&self, entry: u64) -> Option<Arc<RecentCall>> {
        let guard = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let number = guard.index.get(&entry)?;
        let place = usize::try_from(number - guard.first).ok()?;
        guard.calls.get(place).map(|found| Arc::clone(&found.call))
    }

    fn by_call(&self, id: &CallId) -> u64 {
        self.hasher.hash_one(("call", id.as_str()))
    }

    /// The key is part of the entry: a foreign call with the same id neither hides nor shows this one.
    fn by_openai_id(&self, key: Option<KeyHash>, id: &str) -> u64 {
        self.hasher.hash_one(("openai", key, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter::{Reason, Verdict};

    fn tags() -> Tags {
        Tags::bare(CallId::new().unwrap(), Verdict::Pending, Reason::NoUsage)
    }

    fn outcome(tags: &Tags, response_id: &str) -> Outcome {
        Outcome {
            tags: tags.clone(),
            response_id: Some(response_id.into()),
            model: None,
        }
    }

    #[test]
    fn a_call_is_found_by_each_of_its_ids_and_by_openais_only_with_its_key() {
        let recent = Recent::new();
        let (mine, foreign) = (KeyHash::of_bytes([1; 16]), KeyHash::of_bytes([2; 16]));
        let head = tags();
        let call = recent.open(
            head.clone(),
            "responses",
            Some("req_1".into()),
            Some(mine),
            None,
        );
        assert!(recent.find(head.call.as_str()).unwrap().outcome().is_none());
        recent.settle(&call, outcome(&head, "resp_1"));
        for id in ["req_1", "resp_1"] {
            assert_eq!(
                recent.find_openai_id(mine, id).unwrap().head.call,
                head.call
            );
            assert!(recent.find_openai_id(foreign, id).is_none(), "{id}");
        }
        assert!(recent.find("resp_1").is_none());
    }

    #[test]
    fn the_latest_call_with_a_repeated_id_is_found_and_the_oldest_calls_go() {
        let recent = Recent::new();
        let key = KeyHash::of_bytes([1; 16]);
        let first = tags();
        recent.open(
            first.clone(),
            "responses",
            None,
            Some(key),
            Some(outcome(&first, "resp_same")),
        );
        let mut last = first.clone();
        for _ in 0..MOST_RECENT {
            last = tags();
            recent.open(
                last.clone(),
                "responses",
                None,
                Some(key),
                Some(outcome(&last, "resp_same")),
            );
        }
        assert!(recent.find(first.call.as_str()).is_none());
        assert_eq!(
            recent.find_openai_id(key, "resp_same").unwrap().head.call,
            last.call
        );
        let shelf = recent.shelf.lock().unwrap();
        assert_eq!(shelf.calls.len(), MOST_RECENT);
        assert_eq!(
            shelf.index.len(),
            MOST_RECENT + 1,
            "no entry outlives its call"
        );
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_settlement() {
        let recent = Arc::new(Recent::new());
        let head = tags();
        let call = recent.open(head.clone(), "responses", None, None, None);
        let waiting = tokio::spawn({
            let call = Arc::clone(&call);
            async move { call.wait(Duration::from_mins(1)).await }
        });
        recent.settle(&call, outcome(&head, "resp_1"));
        waiting.await.unwrap();
        assert!(call.outcome().is_some());
    }
}
