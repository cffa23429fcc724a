//! The calls of the last minutes in memory, found by any of their ids. Knows nothing of HTTP.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::call_id::CallId;
use crate::keys::KeyHash;
use crate::tags::Tags;

/// Metered calls kept; the oldest goes when a new one comes. About 700 bytes each.
pub(crate) const MOST_METERED: usize = 8_192;
/// Calls kept of which nothing was to be settled: they have a shelf of their own, so that nobody can push metered
/// calls off with them.
pub(crate) const MOST_UNMETERED: usize = 1_024;

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
    /// OpenAI's id of the response, where it was known before the outcome.
    begun_as: Option<Box<str>>,
    /// The endpoint's short label.
    pub(crate) endpoint: Cow<'static, str>,
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
    /// A call that is no longer on the shelf, as it was settled.
    pub(crate) fn kept(names: Names, outcome: Outcome) -> RecentCall {
        names.of(outcome.tags.call, Word::Settled(outcome))
    }

    /// The last tags, final or what the head said, and the outcome if they are final.
    pub(crate) fn word(&self) -> (&Tags, Option<&Outcome>) {
        match &self.word {
            Word::Settled(outcome) => (&outcome.tags, Some(outcome)),
            Word::Open(open) => match open.outcome.get() {
                Some(outcome) => (&outcome.tags, Some(outcome)),
                None => (&open.head, None),
            },
        }
    }

    /// The last tags.
    pub(crate) fn tags(&self) -> &Tags {
        self.word().0
    }

    /// The final word, once there is one.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.word().1
    }

    /// OpenAI's id of the response, once it is known.
    pub(crate) fn response_id(&self) -> Option<&str> {
        let outcome = self.outcome();
        let known = outcome.and_then(|outcome| outcome.response_id.as_deref());
        known.or(self.begun_as.as_deref())
    }

    /// Waits for the final word, at most this long.
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
    pub(crate) endpoint: Cow<'static, str>,
    pub(crate) request_id: Option<Box<str>>,
    /// OpenAI's id of the response, where it is known before the outcome.
    pub(crate) begun_as: Option<Box<str>>,
    pub(crate) key: Option<KeyHash>,
}

impl Names {
    fn of(self, call: CallId, word: Word) -> RecentCall {
        let Names {
            endpoint,
            request_id,
            begun_as,
            key,
        } = self;
        RecentCall {
            call,
            request_id,
            begun_as,
            endpoint,
            key,
            word,
        }
    }
}

/// The recent calls.
#[derive(Debug)]
pub(crate) struct Recent {
    hasher: ahash::RandomState,
    metered: Mutex<Shelf>,
    unmetered: Mutex<Shelf>,
}

/// Hashes of a call's ids: ours, `x-request-id`, response id.
type Entries = [Option<u64>; 3];

#[derive(Debug)]
struct Shelf {
    /// Calls kept at most.
    most: usize,
    /// Oldest first, each with the hashes of its ids.
    calls: VecDeque<(Entries, Arc<RecentCall>)>,
    /// Number of the oldest call in `calls`; numbers only grow.
    first: u64,
    /// Hash of an id to the number of the latest call that has it.
    index: HashMap<u64, u64, ahash::RandomState>,
}

impl Shelf {
    fn of(most: usize) -> Mutex<Shelf> {
        Mutex::new(Shelf {
            most,
            calls: VecDeque::new(),
            first: 0,
            index: HashMap::default(),
        })
    }
}

impl Recent {
    /// Empty shelves.
    #[must_use]
    pub(crate) fn new() -> Recent {
        Recent {
            hasher: ahash::RandomState::new(),
            metered: Shelf::of(MOST_METERED),
            unmetered: Shelf::of(MOST_UNMETERED),
        }
    }

    /// Shelves a call whose head is about to leave before it is settled.
    pub(crate) fn open(&self, names: Names, head: Tags) -> Arc<RecentCall> {
        let open = Open {
            head,
            outcome: OnceLock::new(),
            settled: Notify::new(),
        };
        let call = names.of(open.head.call, Word::Open(Box::new(open)));
        self.shelve(&self.metered, Arc::new(call))
    }

    /// Shelves a call that was settled before its head leaves.
    pub(crate) fn settled(&self, names: Names, outcome: Outcome) -> Arc<RecentCall> {
        let call = names.of(outcome.tags.call, Word::Settled(outcome));
        self.shelve(&self.metered, Arc::new(call))
    }

    /// Shelves a call of which nothing is to be settled.
    pub(crate) fn unmetered(&self, names: Names, tags: Tags) -> Arc<RecentCall> {
        let outcome = Outcome {
            tags,
            response_id: None,
            model: None,
        };
        let call = names.of(outcome.tags.call, Word::Settled(outcome));
        self.shelve(&self.unmetered, Arc::new(call))
    }

    /// Gives a call that was shelved open its final word and wakes those who wait for it. However long it ran, it
    /// is now as recent as any: it is shelved anew. Later outcomes are ignored.
    pub(crate) fn settle(&self, call: &Arc<RecentCall>, outcome: Outcome) {
        let Word::Open(open) = &call.word else {
            return;
        };
        if open.outcome.set(outcome).is_ok() {
            self.shelve(&self.metered, Arc::clone(call));
            open.settled.notify_waiters();
        }
    }

    fn shelve(&self, on: &Mutex<Shelf>, call: Arc<RecentCall>) -> Arc<RecentCall> {
        let names = self.entries(&call);
        let mut guard = on.lock().unwrap_or_else(PoisonError::into_inner);
        let Shelf {
            most,
            calls,
            first,
            index,
        } = &mut *guard;
        let oldest = if calls.len() == *most {
            calls.pop_front()
        } else {
            None
        };
        if let Some((names, _)) = &oldest {
            for gone in names.iter().flatten() {
                if index.get(gone) == Some(first) {
                    index.remove(gone);
                }
            }
            *first += 1;
        }
        let number = *first + calls.len() as u64;
        for name in names.into_iter().flatten() {
            index.insert(name, number);
        }
        calls.push_back((names, Arc::clone(&call)));
        // What goes is torn down while nobody waits for it.
        drop(guard);
        drop(oldest);
        call
    }

    /// The call with this id of ours.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<RecentCall>> {
        let entry = self.by_call(id);
        let call = at(&self.metered, entry).or_else(|| at(&self.unmetered, entry))?;
        (call.call.as_str() == id).then_some(call)
    }

    /// The latest call with this id of OpenAI's (response id or `x-request-id`) made with this key.
    pub(crate) fn find_openai_id(&self, key: KeyHash, id: &str) -> Option<Arc<RecentCall>> {
        let entry = self.by_openai_id(Some(key), id);
        let call = at(&self.metered, entry).or_else(|| at(&self.unmetered, entry))?;
        let named = call.request_id.as_deref() == Some(id) || call.response_id() == Some(id);
        (named && call.key == Some(key)).then_some(call)
    }

    fn entries(&self, call: &RecentCall) -> Entries {
        let by_openai_id = |id| self.by_openai_id(call.key, id);
        [
            Some(self.by_call(call.call.as_str())),
            call.request_id.as_deref().map(by_openai_id),
            call.response_id().map(by_openai_id),
        ]
    }

    fn by_call(&self, id: &str) -> u64 {
        self.hasher.hash_one(("call", id))
    }

    /// The key is part of the entry: a foreign call with the same id neither hides nor shows this one.
    fn by_openai_id(&self, key: Option<KeyHash>, id: &str) -> u64 {
        self.hasher.hash_one(("openai", key, id))
    }
}

fn at(shelf: &Mutex<Shelf>, entry: u64) -> Option<Arc<RecentCall>> {
    let guard = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    let number = guard.index.get(&entry)?;
    let place = usize::try_from(number - guard.first).ok()?;
    let (_, call) = guard.calls.get(place)?;
    Some(Arc::clone(call))
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
            endpoint: "responses".into(),
            request_id: request_id.map(Into::into),
            begun_as: None,
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
        for _ in 0..MOST_METERED {
            last = tags();
            recent.settled(names(None, Some(key)), outcome(&last, "resp_same"));
        }
        assert!(recent.find(first.call.as_str()).is_none());
        assert_eq!(
            recent.find_openai_id(key, "resp_same").unwrap().call,
            last.call
        );
        let shelf = recent.metered.lock().unwrap();
        assert_eq!(shelf.calls.len(), MOST_METERED);
        assert_eq!(
            shelf.index.len(),
            MOST_METERED + 1,
            "no entry outlives its call"
        );
    }

    #[test]
    fn a_call_that_ran_long_is_found_once_it_is_settled_whatever_came_meanwhile() {
        let recent = Recent::new();
        let head = tags();
        let call = recent.open(names(None, None), head.clone());
        for _ in 0..MOST_METERED {
            let other = tags();
            recent.settled(names(None, None), outcome(&other, "resp_other"));
            recent.unmetered(names(None, None), tags());
        }
        assert!(recent.find(head.call.as_str()).is_none());
        recent.settle(&call, outcome(&head, "resp_1"));
        assert!(recent.find(head.call.as_str()).unwrap().outcome().is_some());
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
