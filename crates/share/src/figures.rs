//! How sharing goes, in numbers that others read while it goes. Must not know what they are shown as.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How sharing goes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingNow {
    /// The store, without its password.
    pub store: String,
    /// What is heard of the other replicas holds now.
    pub is_in_step: bool,
    /// The store answers.
    pub is_reached: bool,
    /// Replicas that share, this one included; as last heard.
    pub replicas: u64,
    /// Replicas that were here today, went without a word and are not back.
    pub missing: u64,
    /// Calls that were handed their span by the store.
    pub granted: u64,
    /// Calls that were settled by what was known here.
    pub alone: u64,
    /// How often the store was lost.
    pub losses: u64,
}

/// The same while it changes.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// The store answers soon enough for calls to wait for it.
    pub(crate) is_quick: AtomicBool,
    pub(crate) is_reached: AtomicBool,
    pub(crate) is_in_step: AtomicBool,
    pub(crate) replicas: AtomicU64,
    pub(crate) missing: AtomicU64,
    pub(crate) granted: AtomicU64,
    pub(crate) alone: AtomicU64,
    pub(crate) losses: AtomicU64,
}

impl Figures {
    pub(crate) fn now(&self, store: &str) -> SharingNow {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        SharingNow {
            store: store.to_owned(),
            is_in_step: self.is_in_step.load(Ordering::Acquire),
            is_reached: self.is_reached.load(Ordering::Acquire),
            replicas: read(&self.replicas),
            missing: read(&self.missing),
            granted: read(&self.granted),
            alone: read(&self.alone),
            losses: read(&self.losses),
        }
    }

    pub(crate) fn add(figure: &AtomicU64, count: u64) {
        figure.fetch_add(count, Ordering::Relaxed);
    }
}
