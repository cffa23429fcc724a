//! Sharing as the program sees it: begun once, asked by calls, left at the end. Must not know how the store speaks.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meter::{Claim, Day, GroupId, Meter, Organization};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::account::TotalKey;
use crate::figures::{Figures, SharingNow};
use crate::lane::{Ends, Lane};
use crate::pending_grant::{Ask, PendingGrant};
use crate::settings::{Replica, ShareSettings};
use crate::sights::{Sight, Sights};

/// Calls that wait for their spans at once; one more is settled by what is known here.
const MOST_WAITING: usize = 8_192;
/// Statements that the store does not know yet; the oldest goes when one more comes.
const MOST_STATEMENTS: usize = 1_024;

/// Totals that are shared. Cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct Share(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: String,
    asks: mpsc::Sender<Ask>,
    statements: Arc<Mutex<Vec<TotalKey>>>,
    sights: Arc<Sights>,
    heard: Mutex<Option<mpsc::Receiver<String>>>,
    leaving: Arc<Notify>,
    figures: Arc<Figures>,
    lane: Mutex<Option<JoinHandle<()>>>,
}

impl Share {
    /// Begins to share what this meter counts, in a task of its own. What it counted before is reported first. Must be
    /// called within a runtime.
    #[must_use]
    pub fn begin(settings: ShareSettings, replica: Replica, meter: Arc<Meter>) -> Share {
        meter.share();
        let store = settings.shown();
        let (asks, asked) = mpsc::channel(MOST_WAITING);
        let statements = Arc::new(Mutex::new(Vec::new()));
        let (sights, heard) = Sights::new();
        let sights = Arc::new(sights);
        let leaving = Arc::new(Notify::new());
        let figures = Arc::new(Figures::default());
        let ends = Ends {
            asks: asked,
            statements: Arc::clone(&statements),
            sights: Arc::clone(&sights),
            leaving: Arc::clone(&leaving),
            figures: Arc::clone(&figures),
        };
        let lane = Lane::new(settings, replica, meter, ends, first_version());
        let lane = tokio::spawn(lane.run());
        Share(Arc::new(Inner {
            store,
            asks,
            statements,
            sights,
            heard: Mutex::new(Some(heard)),
            leaving,
            figures,
            lane: Mutex::new(Some(lane)),
        }))
    }

    /// Asks for the span of a call. `None`: the store is not in reach, or too many wait; the call is settled by what
    /// is known here.
    #[must_use]
    pub fn ask(&self, claim: Claim) -> Option<PendingGrant> {
        let figures = &self.0.figures;
        if figures.is_quick.load(Ordering::Acquire) {
            let (ask, asked) = Ask::new(claim);
            if self.0.asks.try_send(ask).is_ok() {
                return Some(asked);
            }
        }
        Figures::add(&figures.alone, 1);
        None
    }

    /// An operator stated this total here: the store is to know.
    pub fn stated(&self, organization: &Organization, group: GroupId, day: Day) {
        let mut statements = self
            .0
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if statements.len() == MOST_STATEMENTS {
            statements.remove(0);
        }
        statements.push(TotalKey::of(organization, group, day));
    }

    /// A call of this replica waits for this response to be seen whole.
    pub fn awaits(&self, response_id: &str) {
        self.0.sights.awaits(response_id);
    }

    /// A whole response was seen that no call of this replica waits for: another's may.
    pub fn saw(&self, sight: Sight) {
        self.0.sights.saw(sight);
    }

    /// Receives what other replicas saw of responses that are waited for here; `None` when asked again.
    #[must_use]
    pub fn heard(&self) -> Option<mpsc::Receiver<String>> {
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.take()
    }

    /// How it goes.
    #[must_use]
    pub fn now(&self) -> SharingNow {
        self.0.figures.now(&self.0.store)
    }

    /// Waits until the store was reached, at most `at_most`.
    pub async fn reached(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        while !self.0.figures.is_reached.load(Ordering::Acquire) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends its task in the middle of whatever it does, as a crash would.
    #[cfg(test)]
    pub(crate) fn abort(&self) {
        let mut lane = self.0.lane.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lane.take() {
            lane.abort();
        }
    }

    /// Reports what is left to report and that this replica leaves; takes at most `at_most`.
    pub async fn leave(&self, at_most: Duration) {
        let lane = self
            .0
            .lane
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.0.leaving.notify_one();
        if let Some(lane) = lane {
            // What was not reported is in the ledger, and reported by the next start.
            let _ = tokio::time::timeout(at_most, lane).await;
        }
    }
}

/// Greater than what a process before this one can have come to: a thousand messages a millisecond.
fn first_version() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let milliseconds = since.map_or(0, |since| since.as_millis());
    u64::try_from(milliseconds)
        .unwrap_or(0)
        .saturating_mul(1_000)
}
