//! How the program does: whether calls can be forwarded, whether the ledger is written, whether the clock is right.
//! Must not know a socket.

use ledger::{Health, HealthState};
use proxy::{Proxy, SharingNow};
use serde::Serialize;

use crate::about::About;

/// The answer of `/healthz` and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// `ok`, `degraded` (calls go on, something beside them does not work) or `stopping`.
    #[serde(rename = "status")]
    pub(crate) word: &'static str,
    /// What does not work, one line each, with what to do.
    pub(crate) notices: Vec<String>,
    /// What the ledger waits for.
    pub(crate) ledger: LedgerStatus,
}

/// How the ledger does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LedgerStatus {
    /// `ok`, `degraded` or `off`.
    pub(crate) status: &'static str,
    /// Entries that wait to be written.
    pub(crate) waiting_entries: usize,
    /// Settlements and adjustments that could not be kept.
    pub(crate) dropped_entries: u64,
}

/// How all does now.
pub(crate) fn status(
    proxy: &Proxy,
    ledger: Option<&Health>,
    about: &About,
    stopping: bool,
) -> Status {
    let mut notices = Vec::new();
    let mut degraded = false;
    let ledger = match ledger {
        None => LedgerStatus {
            status: "off",
            waiting_entries: 0,
            dropped_entries: 0,
        },
        Some(health) => {
            if let HealthState::Degraded(why) = &health.state {
                degraded = true;
                notices.push(why.clone());
            }
            LedgerStatus {
                status: if degraded { "degraded" } else { "ok" },
                waiting_entries: health.waiting,
                dropped_entries: health.dropped,
            }
        }
    };
    if let Some(notice) = proxy.sharing().as_ref().and_then(sharing) {
        degraded = true;
        notices.push(notice);
    }
    let correction = proxy.clock_correction_milliseconds();
    notices.extend((correction != 0).then(|| proxy::wrong_clock(correction)));
    notices.extend(proxy.outage());
    notices.extend(proxy.payer_says_billed());
    notices.extend(about.notices.iter().cloned());
    Status {
        word: match (stopping, degraded) {
            (true, _) => "stopping",
            (false, true) => "degraded",
            (false, false) => "ok",
        },
        notices,
        ledger,
    }
}

/// What is said while totals are shared and what other replicas take is not known.
fn sharing(now: &SharingNow) -> Option<String> {
    if now.is_in_step {
        return None;
    }
    Some(if !now.is_reached {
        format!(
            "the store of shared totals ({}) does not answer. calls go on, free verdicts assume shared-totals. help: \
             make sure that it runs and can be reached",
            now.store
        )
    } else if now.missing > 0 {
        format!(
            "replicas that share totals and fell silent: {}. free verdicts assume shared-totals until they are back, or \
             until 00:00 UTC and for an hour at least. help: start them with their data directories",
            now.missing
        )
    } else {
        "the store of shared totals is slow, or was just lost. free verdicts assume shared-totals until all \
         replicas have told it what they took"
            .to_owned()
    })
}
