//! The state behind all connections: who holds which key, the log and the bill (one lock, so that
//! the order of the log is the order of the bill), stored answers, and the counter behind ids. Knows
//! nothing of HTTP.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::bill::{Bill, BillLine, Payer};
use crate::log::{Log, LogEntry};
use crate::settings::{PayerShown, Settings};
use crate::store::Store;
use crate::tokens::Usage;

/// Who a key belongs to, with what the bill needs to know of them.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) organization: String,
    pub(crate) organization_id: String,
    pub(crate) project: String,
    pub(crate) key_hint: String,
    pub(crate) enrolled: bool,
    pub(crate) shared: bool,
    pub(crate) usage_tier: u8,
}

/// A billable request that has been answered, as far as it was.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) identity: Arc<Identity>,
    pub(crate) endpoint: &'static str,
    pub(crate) model: String,
    pub(crate) service_tier: String,
    pub(crate) response_id: String,
    pub(crate) request_id: String,
    pub(crate) usage: Usage,
    pub(crate) stream: bool,
    pub(crate) asked_usage: bool,
    pub(crate) hosted_tools: Vec<String>,
    pub(crate) complete: bool,
}

#[derive(Debug)]
struct Books {
    log: Log,
    bill: Bill,
}

/// The state behind all connections.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    identities: HashMap<String, Arc<Identity>>,
    books: Mutex<Books>,
    seed: u64,
    requests: AtomicU64,
    pub(crate) connections: AtomicU64,
}

impl World {
    pub(crate) fn new(settings: Settings) -> io::Result<Self> {
        let seed = match settings.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(io::Error::other)?,
        };
        Ok(Self {
            identities: identities(&settings),
            books: Mutex::new(Books {
                log: Log::open(settings.log.as_deref())?,
                bill: Bill::new(settings.after_crossing),
            }),
            store: Store::default(),
            seed,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            settings,
        })
    }

    pub(crate) fn identity(&self, key: &str) -> Option<Arc<Identity>> {
        self.identities.get(key).map(Arc::clone)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.settings.clock.now_ms()
    }

    /// Unix seconds now.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// The number of the next request; it makes the ids of equal requests differ.
    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// The seed of a call's ids.
    pub(crate) fn call_seed(&self, path: &str, body: &[u8], number: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, path, body, number).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the JSON answer of request `number` shows its payer.
    pub(crate) fn shows_payer(&self, number: u64) -> bool {
        match self.settings.show_payer {
            PayerShown::Always => true,
            PayerShown::NineOfTen => number % 10 != 9,
            PayerShown::Never => false,
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bills an answered request and logs it, at this moment, in one step. `shown`: whether the
    /// answer shows who pays.
    pub(crate) fn settle(&self, answered: &Answered, shown: bool) -> Payer {
        let mut books = self.books();
        let mut entry = self.entry(answered);
        let payer = books.bill.add(&entry).payer();
        entry.payer_shown = shown.then(|| payer.as_str().to_owned());
        books.log.push(entry);
        payer
    }

    fn entry(&self, answered: &Answered) -> LogEntry {
        let at = Timestamp::from_millisecond(self.now_ms()).unwrap_or(Timestamp::UNIX_EPOCH);
        let identity = &answered.identity;
        LogEntry {
            at: format!("{at:.3}"),
            organization: identity.organization.clone(),
            project: identity.project.clone(),
            key_hint: identity.key_hint.clone(),
            endpoint: answered.endpoint.to_owned(),
            model: answered.model.clone(),
            service_tier: answered.service_tier.clone(),
            response_id: answered.response_id.clone(),
            request_id: answered.request_id.clone(),
            input_tokens: answered.usage.input,
            output_tokens: answered.usage.output,
            cached_tokens: answered.usage.cached,
            reasoning_tokens: answered.usage.reasoning,
            stream: answered.stream,
            asked_usage: answered.asked_usage,
            hosted_tools: answered.hosted_tools.clone(),
            enrolled: identity.enrolled,
            shared: identity.shared,
            usage_tier: identity.usage_tier,
            complete: answered.complete,
            payer_shown: None,
        }
    }

    pub(crate) fn log(&self) -> Vec<LogEntry> {
        self.books().log.entries()
    }

    pub(crate) fn bill(&self) -> Vec<BillLine> {
        self.books().bill.lines()
    }
}

fn identities(settings: &Settings) -> HashMap<String, Arc<Identity>> {
    let keys = settings.organizations.iter().flat_map(|organization| {
        organization.keys.iter().map(move |key| {
            let tail = key.key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
            let identity = Identity {
                organization: organization.name.clone(),
                organization_id: organization.id.clone(),
                project: key.project.clone(),
                key_hint: key.key.get(tail..).unwrap_or_default().to_owned(),
                enrolled: organization.enrolled,
                shared: organization.shared_projects.includes(&key.project),
                usage_tier: organization.usage_tier,
            };
            (key.key.clone(), Arc::new(identity))
        })
    });
    keys.collect()
}
