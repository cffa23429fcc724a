//! The beat: each second it is said that this replica is here, what changed here is reported, and what others took is
//! read. Must not know calls, except that some may be in line behind it.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use meter::Portion;
use tokio::time::{Instant, timeout_at};

use super::Lane;
use super::exchange::own;
use crate::account::{Account, TotalKey, Update};
use crate::pending_grant::PATIENCE;
use crate::store::{Store, StoreError};

/// A store that answers later than this is not asked by calls, only told.
const QUICK: Duration = Duration::from_millis(100);
/// The longest that an answer is waited for which no call waits for.
const LONG: Duration = Duration::from_secs(5);
/// A beat that calls may be in line behind begins nothing more after this; half of their patience is left to them.
const HALF: Duration = Duration::from_millis(100);
/// Totals of which a beat speaks at once: few enough that it can end in time.
const MOST_AT_ONCE: usize = 64;
/// Totals in which nothing happened here that are read in one beat; the others have their turn in the next.
const MOST_READ: usize = 512;

impl Lane {
    /// Reports what changed and reads what others took, from where the last one ended. Says whether all that changed is
    /// reported.
    pub(super) async fn beat(&mut self, store: &Store, leaves: bool) -> Result<bool, StoreError> {
        let began = Instant::now();
        let is_asked = self.figures.is_quick.load(Ordering::Acquire) && !leaves;
        let until = || Instant::now() + if is_asked { PATIENCE } else { LONG };
        let present = timeout_at(until(), store.present(leaves)).await;
        let (replicas, missing) = present.map_err(|_late| StoreError::Late)??;
        let is_quick = began.elapsed() <= QUICK;
        self.beats += 1;
        // What is stated now is open in the meter already. Looked at the other way round, it might have no account yet.
        let stated = self.take_statements();
        self.open_all();
        self.apply_statements(&stated);
        let (changed, others) = self.due();
        let mut left = changed.len();
        let chunks = changed.chunks(MOST_AT_ONCE);
        for totals in chunks.chain(others.chunks(MOST_AT_ONCE)) {
            let updates: Vec<Update> = totals
                .iter()
                .filter_map(|total| self.compose(total.clone(), Vec::new()))
                .collect();
            self.exchange(store, updates, until()).await?;
            left = left.saturating_sub(totals.len());
            if is_asked && began.elapsed() >= HALF {
                break;
            }
        }
        let is_whole = missing == 0 && Instant::now() >= self.whole_at;
        let figures = &self.figures;
        figures.replicas.store(replicas, Ordering::Relaxed);
        figures.missing.store(missing, Ordering::Relaxed);
        figures.is_reached.store(true, Ordering::Release);
        figures.is_quick.store(is_quick, Ordering::Release);
        figures
            .is_in_step
            .store(is_quick && is_whole, Ordering::Release);
        self.meter.set_in_step(is_quick && is_whole);
        Ok(left == 0)
    }

    /// The totals to speak of: all that changed here, and some of the others. First those that were answered longest ago.
    fn due(&self) -> (Vec<TotalKey>, Vec<TotalKey>) {
        let is_changed = |total: &TotalKey, account: &Account| {
            account.is_stated || account.acknowledged != Some(own(&self.meter, total, account))
        };
        let mut accounts: Vec<_> = self.accounts.iter().collect();
        accounts.sort_by_key(|(_, account)| account.answered_in);
        let (changed, mut others): (Vec<_>, Vec<_>) = accounts
            .into_iter()
            .partition(|(total, account)| is_changed(total, account));
        others.truncate(MOST_READ);
        let totals = |due: Vec<(&TotalKey, &Account)>| {
            due.into_iter().map(|(total, _)| total.clone()).collect()
        };
        (totals(changed), totals(others))
    }

    /// Opens what the meter opened since, and closes what it forgot or gave another name, once the store knows.
    fn open_all(&mut self) {
        let opened: HashMap<TotalKey, _, ahash::RandomState> = self
            .meter
            .opened()
            .into_iter()
            .map(|(organization, group, day)| {
                (TotalKey::of(&organization, group, day), organization)
            })
            .collect();
        self.accounts.retain(|total, account| {
            let is_renamed = *account.organization.name() != *total.organization;
            let is_told = account.acknowledged == Some(Portion::default());
            opened.contains_key(total) || (is_renamed && !is_told)
        });
        for (total, organization) in opened {
            self.open(&total, organization);
        }
    }

    fn take_statements(&self) -> Vec<TotalKey> {
        let mut statements = self
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *statements)
    }

    fn apply_statements(&mut self, stated: &[TotalKey]) {
        for total in stated {
            if let Some(account) = self.accounts.get_mut(total) {
                account.is_stated = true;
            }
        }
    }
}
