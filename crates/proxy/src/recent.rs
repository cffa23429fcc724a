//! The calls of the last minutes in memory, found by any of their ids. Knows nothing of HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::call_id::CallId;
use crate::keys::KeyHash;
use crate::tags::Tags;

/// Calls kept; the oldest goes when a new one comes. About 700 bytes each.
pub(crate) const MOST_RECENT: usize = 8_192;

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

/// One call, under the names by which it is looked up.
#[derive(Debug)]
pub(crate) struct RecentCall {
    call: CallId,
    /// OpenAI's `x-request-id`.
    pub(crate) request_id: Option<Box<str>>,
    /// The endpoint's short label.
    pub(crate) endpoint: &'static str,
    /// Whose key made the call; a look-up by OpenAI's ids must show the same.
    key: Option<KeyHash>,
    word: Word,
}

/// What is known of a call.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most calls are settled, and need no box of their own"
)]
enum Word {
    /// It was settled before its head left.
    Settled(Outcome),
    /// Its head left first.
    Open(Box<Open>),
}

#[derive(Debug)]
struct Open {
    head: Tags,
    outcome: OnceLock<Outcome>,
    settled: Notify,
}

impl RecentCall {
    /// The final word, once there is one.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.word {
            Word::Settled(outcome) => Some(outcome),
            Word::Open(open) => open.outcome.get(),
        }
    }

    /// The last tags: final, or what the head said.
    pub(crate) fn tags(&self) -> &Tags {
        match &self.word {
            Word::Settled(outcome) => &outcome.tags,
            Word::Open(open) => open
                .outcome
                .get()
                .map_or(&open.head, |outcome| &outcome.tags),
        }
    }

    /// Waits for the final word, at most so long.
    pub(crate) async fn wait(&self, at_most: Duration) {
        let Word::Open(open) = &self.word else {
            return;
        };
        let settled = open.settled.notified();
        tokio::pin!(settled);
        settled.as_mut().enable();
        if open.outcome.get().is_none() {
            // Whether it was settled or the time ran out, the caller reads `outcome`.
            let _ = tokio::time::timeout(at_most, settled).await;
        }
    }
}

/// The names of a call that is shelved.
pub(crate) struct Names {
    pub(crate) endpoint: &'static str,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) key: Option<KeyHash>,
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
    entries: Entries,
}

/// The index entries of a call: by our id, by `x-request-id`, by response id.
#[derive(Debug)]
struct Entries([Option<u64>; 3]);

impl Entries {
    fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flatten().copied()
    }
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

    /// Shelves a call whose head is about to leave before it is settled.
    pub(crate) fn open(&self, names: Names, head: Tags) -> Arc<RecentCall> {
        let call = head.call;
        let open = Open {
            head,
            outcome: OnceLock::new(),
            settled: Notify::new(),
        };
        self.shelve(names, call, Word::Open(Box::new(open)))
    }

    /// Shelves a call that was settled before its head leaves.
    pub(crate) fn settled(&self, names: Names, outcome: Outcome) -> Arc<RecentCall> {
        self.shelve(names, outcome.tags.call, Word::Settled(outcome))
    }

    fn shelve(&self, names: Names, call: CallId, word: Word) -> Arc<RecentCall> {
        let Names {
            endpoint,
            request_id,
            key,
        } = names;
        let call = Arc::new(RecentCall {
            call,
            request_id,
            endpoint,
            key,
            word,
        });
        let response_id = call
            .outcome()
            .and_then(|outcome| outcome.response_id.as_deref());
        let entries = Entries([
            Some(self.by_call(&call.call)),
            call.request_id
                .as_deref()
                .map(|id| self.by_openai_id(key, id)),
            response_id.map(|id| self.by_openai_id(key, id)),
        ]);
        let mut guard = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let Shelf {
            calls,
            first,
            index,
        } = &mut *guard;
        if calls.len() == MOST_RECENT
            && let Some(oldest) = calls.pop_front()
        {
            for entry in oldest.entries.iter() {
                if index.get(&entry) == Some(first) {
                    index.remove(&entry);
                }
            }
            *first += 1;
        }
        let number = *first + calls.len() as u64;
        for entry in entries.iter() {
            index.insert(entry, number);
        }
        calls.push_back(Shelved {
            call: Arc::clone(&call),
            entries,
        });
        call
    }

    /// Gives a call that was shelved open its final word and wakes those who wait for it. A second word is not
    /// heard.
    pub(crate) fn settle(&self, call: &RecentCall, outcome: Outcome) {
        let Word::Open(open) = &call.word else {
            return;
        };
        let response_id = outcome.response_id.clone();
        if open.outcome.set(outcome).is_err() {
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
            if let Some(&number) = index.get(&self.by_call(&call.call))
                && let Ok(place) = usize::try_from(number - *first)
                && let Some(Shelved {
                    entries: Entries([.., by_response]),
                    ..
                }) = calls.get_mut(place)
            {
                *by_response = Some(entry);
                index.insert(entry, number);
            }
        }
        open.settled.notify_waiters();
    }

    /// The call with this id of ours.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<RecentCall>> {
        let call = self.at(self.hasher.hash_one(("call", id)))?;
        (call.call.as_str() == id).then_some(call)
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

    fn names(request_id: Option<&str>, key: Option<KeyHash>) -> Names {
        Names {
            endpoint: "responses",
            request_id: request_id.map(Into::into),
            key,
        }
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
        let call = recent.open(names(Some("req_1"), Some(mine)), head.clone());
        assert!(recent.find(head.call.as_str()).unwrap().outcome().is_none());
        recent.settle(&call, outcome(&head, "resp_1"));
        for id in ["req_1", "resp_1"] {
            assert_eq!(recent.find_openai_id(mine, id).unwrap().call, head.call);
            assert!(recent.find_openai_id(foreign, id).is_none(), "{id}");
        }
        assert!(recent.find("resp_1").is_none());
    }

    #[test]
    fn the_latest_call_with_a_repeated_id_is_found_and_the_oldest_calls_go() {
        let recent = Recent::new();
        let key = KeyHash::of_bytes([1; 16]);
        let first = tags();
        recent.settled(names(None, Some(key)), outcome(&first, "resp_same"));
        let mut last = first.clone();
        for _ in 0..MOST_RECENT {
            last = tags();
            recent.settled(names(None, Some(key)), outcome(&last, "resp_same"));
        }
        assert!(recent.find(first.call.as_str()).is_none());
        assert_eq!(
            recent.find_openai_id(key, "resp_same").unwrap().call,
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
        let call = recent.open(names(None, None), head.clone());
        let waiting = tokio::spawn({
            let call = Arc::clone(&call);
            async move { call.wait(Duration::from_mins(1)).await }
        });
        recent.settle(&call, outcome(&head, "resp_1"));
        waiting.await.unwrap();
        assert!(call.outcome().is_some());
    }
}
