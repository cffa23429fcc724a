//! Organizations by name: a bounded registry in which two names can turn out to be one organization. Has room for
//! totals at hand, and must not look at them; nor know what is declared.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::totals::AtHand;

/// Longest name of an organization, in bytes.
const LONGEST_NAME: usize = 256;

/// The number of the organization `unknown`; others are counted from 1.
const UNKNOWN_NUMBER: u32 = 0;

/// How long `OpenAI`'s word that it paid counts as evidence of enrolment: 30 days, in seconds.
const ENROLMENT_SHOWN: i64 = 30 * 86_400;

/// When `OpenAI` has never said that it pays.
const NEVER: i64 = i64::MIN;

/// One organization: a cheap handle.
#[derive(Clone)]
pub struct Organization(Arc<Inner>);

struct Inner {
    number: u32,
    names: Names,
    /// The organization this one turned out to be.
    same_as: OnceLock<Organization>,
    /// When `OpenAI` last said that it paid.
    paid_at: AtomicI64,
    at_hand: AtHand,
}

/// A name and those learned after it: grows at its end only, so it is read without a lock.
struct Names {
    name: Box<str>,
    next: OnceLock<Box<Names>>,
}

impl Organization {
    fn new(number: u32, name: &str) -> Self {
        Self(Arc::new(Inner {
            number,
            names: Names {
                name: name.into(),
                next: OnceLock::new(),
            },
            same_as: OnceLock::new(),
            paid_at: AtomicI64::new(NEVER),
            at_hand: AtHand::nothing(),
        }))
    }

    /// The name it was first seen under, or that of the organization it turned out to be.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.current().0.names.name
    }

    /// Whether this stands for all calls whose organization is not known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.number == UNKNOWN_NUMBER
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&self.current().0.names), |names| {
            names.next.get().map(|next| &**next)
        })
        .map(|names| &*names.name)
    }

    /// Its number, or that of the organization it turned out to be.
    pub(crate) fn number(&self) -> u32 {
        self.current().0.number
    }

    /// The number and the first name of this very organization, whatever it turned out to be.
    pub(crate) fn own(&self) -> (u32, &str) {
        (self.0.number, &self.0.names.name)
    }

    /// The totals at hand of this very organization, whatever it turned out to be.
    pub(crate) fn at_hand(&self) -> &AtHand {
        &self.0.at_hand
    }

    /// Remembers that `OpenAI` said at this instant that it paid.
    pub(crate) fn paid(&self, at: i64) {
        self.current().0.paid_at.fetch_max(at, Ordering::AcqRel);
    }

    /// Whether `OpenAI` said within the last 30 days that it paid for this organization, which must then be enrolled.
    pub(crate) fn is_shown_enrolled(&self, at: i64) -> bool {
        let paid_at = self.current().0.paid_at.load(Ordering::Acquire);
        !self.is_unknown() && paid_at != NEVER && at.saturating_sub(paid_at) <= ENROLMENT_SHOWN
    }

    /// The organization this one turned out to be, or itself.
    pub(crate) fn current(&self) -> &Self {
        let mut organization = self;
        while let Some(same) = organization.0.same_as.get() {
            organization = same;
        }
        organization
    }

    fn add_name(&self, name: &str) {
        let mut names = &self.current().0.names;
        // Only called while joining, one at a time, so the end that is found is still the end when it is set.
        loop {
            let next = names.next.get_or_init(|| {
                Box::new(Names {
                    name: name.into(),
                    next: OnceLock::new(),
                })
            });
            if &*next.name == name {
                return;
            }
            names = next;
        }
    }
}

impl PartialEq for Organization {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Organization {}

impl fmt::Debug for Organization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Organization").field(&self.name()).finish()
    }
}

/// Every organization seen, by name.
pub struct Organizations {
    unknown: Organization,
    by_name: DashMap<Box<str>, Organization, ahash::RandomState>,
    /// Names handed out so far.
    count: AtomicU32,
    /// Held while two are made one: two joins at once could make a ring.
    joining: Mutex<()>,
}

impl Organizations {
    /// Shown as the name of calls whose organization is not known.
    pub const UNKNOWN: &str = "unknown";

    /// Most names that are kept; calls under further ones belong to the organization `unknown`.
    pub const MOST: u32 = 10_000;

    pub(crate) fn new() -> Self {
        Self {
            unknown: Organization::new(UNKNOWN_NUMBER, Self::UNKNOWN),
            by_name: DashMap::default(),
            count: AtomicU32::new(0),
            joining: Mutex::new(()),
        }
    }

    /// The organization of this name, known or new. `None` past [`Organizations::MOST`] names, or for a name
    /// that is empty or longer than 256 bytes.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Organization> {
        if let Some(found) = self.find(name) {
            return Some(found);
        }
        if name.is_empty() || name.len() > LONGEST_NAME {
            return None;
        }
        match self.by_name.entry(name.into()) {
            Entry::Occupied(found) => Some(found.get().clone()),
            Entry::Vacant(place) => {
                let number = self.next_number()?;
                Some(place.insert(Organization::new(number, name)).clone())
            }
        }
    }

    /// The organization of this name, if it was seen before.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Organization> {
        self.by_name.get(name).map(|found| found.clone())
    }

    /// Stands for all calls whose organization is not known.
    #[must_use]
    pub fn unknown(&self) -> Organization {
        self.unknown.clone()
    }

    /// Every organization seen, `unknown` left out, each once under the name it has now, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Organization> {
        self.by_name
            .iter()
            .filter(|entry| entry.value().0.same_as.get().is_none())
            .map(|entry| entry.value().clone())
            .collect()
    }

    /// How many names are kept.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    fn next_number(&self) -> Option<u32> {
        let more = |count: u32| (count < Self::MOST).then_some(count + 1);
        self.count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()
            .map(|count| count + 1)
    }

    /// Makes this name one of this organization's. Where it was another organization, that one becomes this one
    /// and `move_totals` is given its former number. Says whether that was new.
    pub(crate) fn join(
        &self,
        organization: &Organization,
        name: &str,
        move_totals: impl FnOnce(u32),
    ) -> bool {
        if organization.is_unknown() || self.find(name).is_some_and(|known| known == *organization)
        {
            return false;
        }
        let _one_at_a_time = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(other) = self.named(name).filter(|other| other != organization) else {
            return false;
        };
        let former = other.number();
        let current = organization.current();
        for name in other.names() {
            current.add_name(name);
        }
        current.paid(other.current().0.paid_at.load(Ordering::Acquire));
        let joined = other.current().0.same_as.set(current.clone()).is_ok();
        if joined {
            move_totals(former);
        }
        joined
    }
}
