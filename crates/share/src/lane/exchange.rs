//! What is said of totals, and what the store answers. Must not know when it is said, or why.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use meter::{Grant, Meter, Portion};
use tokio::time::{Instant, timeout_at};

use super::Lane;
use crate::account::{Account, TotalKey, Update};
use crate::figures::Figures;
use crate::key::Keys;
use crate::message::Answer;
use crate::pending_grant::Ask;
use crate::store::{Store, StoreError};

impl Lane {
    /// Sends these updates and applies what is answered. `Late`: the calls among them are settled by what is known here.
    pub(super) async fn exchange(
        &mut self,
        store: &Store,
        updates: Vec<Update>,
        until: Instant,
    ) -> Result<(), StoreError> {
        let since = self.meter.counting_since();
        let messages: Vec<_> = updates
            .iter()
            .map(|update| update.message(&self.replica.name, since))
            .collect();
        let waiting: usize = updates.iter().map(|update| update.asks.len()).sum();
        let sent = timeout_at(until, store.send(&messages)).await;
        let answers = sent.unwrap_or(Err(StoreError::Late)).inspect_err(|_| {
            Figures::add(&self.figures.alone, waiting as u64);
        })?;
        drop(messages);
        for (update, answer) in updates.into_iter().zip(answers) {
            self.apply(update, answer);
        }
        Ok(())
    }

    fn apply(&mut self, update: Update, answer: Answer) {
        let Some(account) = self.accounts.get_mut(&update.total) else {
            Figures::add(&self.figures.alone, update.asks.len() as u64);
            return;
        };
        account.answered_in = self.beats;
        let reply = match answer {
            Answer::Now(reply) => reply,
            Answer::Outdated(version) => {
                // The store has a newer message of this replica: the next one says all of it again.
                self.version = self.version.max(version);
                account.acknowledged = None;
                Figures::add(&self.figures.alone, update.asks.len() as u64);
                return;
            }
        };
        let TotalKey { group, day, .. } = update.total;
        let organization = &account.organization;
        let is_stated_elsewhere = account.stated.is_some_and(|before| reply.stated > before);
        if let (true, false, Some(before)) =
            (is_stated_elsewhere, update.is_stated, &account.acknowledged)
        {
            self.meter.forgive(organization, group, day, &before.slack);
        }
        if *organization.name() == *update.total.organization {
            self.meter.hear(organization, group, day, &reply.others);
            self.meter.counted_since(reply.since);
        }
        let is_sure = self.figures.missing.load(Ordering::Relaxed) == 0
            && Instant::now() >= self.whole_at
            && Duration::from_millis(reply.age) >= self.settings.times.rejoin;
        let mut acknowledged = update.own;
        for (ask, (span, fit)) in update.asks.into_iter().zip(reply.spans) {
            let tokens = ask.claim.tokens;
            acknowledged.taken = acknowledged.taken.saturating_add(tokens);
            if fit.fits {
                acknowledged.fitted = acknowledged.fitted.saturating_add(tokens);
            }
            let grant = Grant { span, fit, is_sure };
            let claim = ask.claim;
            // Before anybody can see that it was granted.
            self.meter.take_granted(&claim, &grant);
            if ask.answer.send(grant).is_ok() {
                Figures::add(&self.figures.granted, 1);
            } else {
                // Whoever no longer waits takes its tokens here by itself: the next message says so.
                self.meter.give_back(&claim, &grant);
                Figures::add(&self.figures.alone, 1);
            }
        }
        account.acknowledged = Some(acknowledged);
        account.known = update.version;
        account.stated = Some(reply.stated);
        account.is_stated &= !update.is_stated;
    }

    /// What is to be said of a total, for these calls.
    pub(super) fn compose(&mut self, total: TotalKey, asks: Vec<Ask>) -> Option<Update> {
        let Some(account) = self.accounts.get(&total) else {
            // This replica's offer has no such group.
            Figures::add(&self.figures.alone, asks.len() as u64);
            return None;
        };
        self.version += 1;
        Some(Update {
            keys: Arc::clone(&account.keys),
            version: self.version,
            known: account.known,
            own: own(&self.meter, &total, account),
            is_stated: account.is_stated,
            tokens: asks.iter().map(|ask| ask.claim.tokens).collect(),
            asks,
            total,
        })
    }

    pub(super) fn open(&mut self, total: &TotalKey, organization: meter::Organization) {
        if self.accounts.contains_key(total) {
            return;
        }
        let groups = &self.replica.groups;
        // The names of groups are those of the offer at the start: a group that came later is not shared until the next.
        let Some(group) = groups.get(total.group.index()) else {
            return;
        };
        let keys = Keys::of(&self.settings.prefix, &total.organization, group, total.day);
        let account = Account {
            organization,
            keys: Arc::new(keys),
            known: 0,
            acknowledged: None,
            stated: None,
            is_stated: false,
            answered_in: 0,
        };
        self.accounts.insert(total.clone(), account);
    }
}

/// What was counted here of a total; nothing any more where its organization turned out to be another one.
pub(super) fn own(meter: &Meter, total: &TotalKey, account: &Account) -> Portion {
    if *account.organization.name() == *total.organization {
        meter.portion(&account.organization, total.group, total.day)
    } else {
        Portion::default()
    }
}
