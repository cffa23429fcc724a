//! The one task that speaks with the store: it takes the spans of waiting calls, together, and each second reports what
//! changed here and reads what others took. No message of a total is sent while another one is waited for, so that what is
//! said of it is always whole. Must not know how the store is reached.

mod beat;
mod exchange;
mod grants;
mod passing;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meter::Meter;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::account::{Account, TotalKey};
use crate::figures::Figures;
use crate::pending_grant::Ask;
use crate::sights::Sights;
use crate::store::{Store, StoreError};
use crate::{Replica, ShareSettings};

/// Pauses between two attempts to connect: from the first to the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];
/// Calls whose spans are taken at once.
const MOST_TOGETHER: usize = 256;
/// What changed here and did not fit into a beat is reported this much later: calls have their turn between.
const TURN: Duration = Duration::from_millis(100);

/// Speaks with the store until it is to leave.
pub(crate) struct Lane {
    settings: ShareSettings,
    replica: Replica,
    meter: Arc<Meter>,
    figures: Arc<Figures>,
    asks: mpsc::Receiver<Ask>,
    statements: Arc<Mutex<Vec<TotalKey>>>,
    sights: Arc<Sights>,
    leaving: Arc<Notify>,
    accounts: HashMap<TotalKey, Account, ahash::RandomState>,
    /// Of the last message.
    version: u64,
    beats: u64,
    /// By then every other replica has had the time to report, after the store was lost.
    whole_at: Instant,
}

/// What ends a conversation.
enum Ended {
    Lost(StoreError),
    Left,
}

/// What the lane is given.
pub(crate) struct Ends {
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) statements: Arc<Mutex<Vec<TotalKey>>>,
    pub(crate) sights: Arc<Sights>,
    pub(crate) leaving: Arc<Notify>,
    pub(crate) figures: Arc<Figures>,
}

impl Lane {
    /// `version` is greater than that of any message this replica ever sent, unless its clock went back; then the
    /// store says so.
    pub(crate) fn new(
        settings: ShareSettings,
        replica: Replica,
        meter: Arc<Meter>,
        ends: Ends,
        version: u64,
    ) -> Self {
        let Ends {
            asks,
            statements,
            sights,
            leaving,
            figures,
        } = ends;
        Self {
            settings,
            replica,
            meter,
            figures,
            asks,
            statements,
            sights,
            leaving,
            accounts: HashMap::default(),
            version,
            beats: 0,
            whole_at: Instant::now(),
        }
    }

    pub(crate) async fn run(mut self) {
        let [first, longest] = PAUSES;
        let mut pause = first;
        let mut is_warned = false;
        loop {
            let ended = match Store::connect(&self.settings, &self.replica.name).await {
                Ok(store) => self.converse(&store, &mut pause, &mut is_warned).await,
                Err(error) => Ended::Lost(error),
            };
            let error = match ended {
                Ended::Lost(error) => error,
                Ended::Left => return,
            };
            self.lose(&error, &mut is_warned);
            if self.pause(pause).await {
                return;
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn lose(&mut self, error: &StoreError, is_warned: &mut bool) {
        self.figures.is_quick.store(false, Ordering::Release);
        self.figures.is_in_step.store(false, Ordering::Release);
        self.meter.set_in_step(false);
        self.whole_at = Instant::now() + self.settings.times.rejoin;
        if self.figures.is_reached.swap(false, Ordering::AcqRel) {
            Figures::add(&self.figures.losses, 1);
        }
        if !std::mem::replace(is_warned, true) {
            tracing::warn!(
                store = self.settings.shown(),
                "the totals that replicas share cannot be asked: {}. calls go on, free verdicts assume \
                 shared-totals. help: see that the store runs and can be reached",
                chain(error)
            );
        }
    }

    /// Says whether it is time to leave. Whoever asks meanwhile is settled by what is known here.
    async fn pause(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = self.leaving.notified() => return true,
                ask = self.asks.recv() => match ask {
                    Some(_settled_here) => Figures::add(&self.figures.alone, 1),
                    None => return true,
                },
                () = tokio::time::sleep_until(until) => return false,
            }
        }
    }

    async fn converse(
        &mut self,
        store: &Store,
        pause: &mut Duration,
        is_warned: &mut bool,
    ) -> Ended {
        let mut beat = interval(self.settings.times.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asks = Vec::with_capacity(MOST_TOGETHER);
        let (leaving, sights) = (Arc::clone(&self.leaving), Arc::clone(&self.sights));
        let mut passing = Box::pin(passing::each(self.settings.times.beat, &sights, store));
        loop {
            tokio::select! {
                biased;
                () = leaving.notified() => break,
                _ = beat.tick() => match self.beat(store, false).await {
                    Ok(is_all_reported) => {
                        if !is_all_reported {
                            beat.reset_after(TURN);
                        }
                        *pause = PAUSES[0];
                        if std::mem::replace(is_warned, false) {
                            tracing::info!(store = self.settings.shown(), "totals are shared again");
                        }
                    }
                    Err(error) => return Ended::Lost(error),
                },
                error = &mut passing => return Ended::Lost(error),
                count = self.asks.recv_many(&mut asks, MOST_TOGETHER) => {
                    if count == 0 {
                        return Ended::Left;
                    }
                    match self.grant(store, &mut asks).await {
                        Ok(()) => {}
                        // Its calls alone pay for that. Whether the store is slow or gone, the next beat finds out, now.
                        Err(StoreError::Late) => beat.reset_immediately(),
                        Err(error) => return Ended::Lost(error),
                    }
                }
            }
        }
        // What others are not told now they would learn only after the next start, or never.
        let _ = self.beat(store, true).await;
        // Whatever is being passed on is cut short, and passed on with the rest.
        drop(passing);
        let _ = passing::once(&sights, store).await;
        Ended::Left
    }
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
