//! The running totals of every organization, group and day. An organization has those of its last day at hand; no
//! lock is held while a call is settled. Must not know verdicts or rules.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;

use crate::assumptions::Assumption;
use crate::day::Day;
use crate::elsewhere::{Elsewhere, Portion};
use crate::in_flight::UnderWay;
use crate::model_group::GroupId;
use crate::offer_error::MOST_GROUPS;
use crate::organization::Organization;
use crate::running_total::{Moved, RunningTotal};
use crate::sharing::Step;
use crate::slack::{Slack, SlackSource};
use crate::standing::{Forecasts, SlackNow};
use crate::sync::{AtomicI64, AtomicU32, Ordering};

/// What one organization has taken of one group on one day.
pub(crate) struct DayTotals {
    /// `None`: of no day, where an organization has nothing at hand yet.
    day: Option<Day>,
    /// The name of the organization then: what is announced is kept under it.
    pub(crate) opened_as: Arc<str>,
    pub(crate) total: RunningTotal,
    pub(crate) slack: Slack,
    pub(crate) under_way: UnderWay,
    /// What other replicas took beside it.
    pub(crate) elsewhere: Elsewhere,
    /// How often in a row `OpenAI` billed what we held free.
    pub(crate) contradictions: AtomicU32,
    /// Totals that turned out to belong here: their tokens were moved, their slack and calls under way are read
    /// where they are, so that nothing that still arrives there is lost.
    absorbed: OnceLock<Arc<DayTotals>>,
}

impl DayTotals {
    fn new(day: Option<Day>, opened_as: &str, announced_before: u32) -> Self {
        Self {
            day,
            opened_as: opened_as.into(),
            total: RunningTotal::new(),
            slack: Slack::new(),
            under_way: UnderWay::after(announced_before),
            elsewhere: Elsewhere::new(),
            contradictions: AtomicU32::new(0),
            absorbed: OnceLock::new(),
        }
    }

    fn with_absorbed(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |totals| {
            totals.absorbed.get().map(|absorbed| &**absorbed)
        })
    }

    pub(crate) fn slack_now(&self) -> SlackNow {
        SlackNow::of(
            self.with_absorbed()
                .map(|totals| &totals.slack)
                .chain(self.elsewhere.slack()),
        )
    }

    /// Tokens taken by every replica, as far as known.
    pub(crate) fn taken(&self) -> u64 {
        self.total.taken().saturating_add(self.elsewhere.taken())
    }

    /// The same of the other reading.
    pub(crate) fn fitted(&self) -> u64 {
        self.total.fitted().saturating_add(self.elsewhere.fitted())
    }

    /// Whether the total was ever past this allowance before it was lowered, here or at another replica.
    pub(crate) fn was_past(&self, allowance: u64) -> bool {
        self.total.was_past(allowance) || self.elsewhere.was_past(allowance)
    }

    /// What was counted here.
    pub(crate) fn portion(&self) -> Portion {
        let mut portion = Portion::of(&self.total, &self.slack);
        for absorbed in self.with_absorbed().skip(1) {
            let other = Portion::of(&absorbed.total, &absorbed.slack);
            for (mine, theirs) in portion.slack.iter_mut().zip(other.slack) {
                mine.0 = mine.0.saturating_add(theirs.0);
                mine.1 = mine.1.saturating_add(theirs.1);
            }
        }
        portion
    }

    pub(crate) fn clear_slack(&self) {
        self.with_absorbed().for_each(|totals| totals.slack.clear());
        if let Some(slack) = self.elsewhere.slack() {
            slack.clear();
        }
    }

    pub(crate) fn in_flight(&self) -> Forecasts {
        self.with_absorbed()
            .map(|totals| totals.under_way.now())
            .fold(Forecasts::default(), |all, one| Forecasts {
                tokens: all.tokens + one.tokens,
                bounded: all.bounded + one.bounded,
                unbounded: all.unbounded + one.unbounded,
                likely: all.likely + one.likely,
                unforeseen: all.unforeseen + one.unforeseen,
            })
    }

    fn absorb(&self, other: &Arc<Self>) {
        self.total.absorb(&other.total);
        self.contradictions.fetch_max(
            other.contradictions.load(Ordering::Acquire),
            Ordering::AcqRel,
        );
        let mut last = self;
        // One merge at a time: the end that is found is still the end when it is set.
        while let Err(_taken) = last.absorbed.set(Arc::clone(other)) {
            let Some(next) = last.absorbed.get() else {
                return;
            };
            last = next;
        }
    }
}

/// The totals of an organization's last day, a place for each group: found without a lock and without a hash, which
/// would cost a settlement as much as its arithmetic.
pub(crate) struct AtHand([ArcSwap<DayTotals>; MOST_GROUPS]);

impl AtHand {
    pub(crate) fn nothing() -> Self {
        let none = Arc::new(DayTotals::new(None, "", 0));
        Self(std::array::from_fn(|_| ArcSwap::new(Arc::clone(&none))))
    }

    fn of(&self, group: GroupId, day: Day) -> Option<Guard<Arc<DayTotals>>> {
        let totals = self.0.get(group.index())?.load();
        (totals.day == Some(day)).then_some(totals)
    }

    fn put(&self, group: GroupId, totals: &Arc<DayTotals>) {
        if let Some(place) = self.0.get(group.index()) {
            place.store(Arc::clone(totals));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    organization: u32,
    group: GroupId,
    day: Day,
}

/// All totals. Bounded by 10,000 organizations times 8 groups times the days not yet forgotten.
pub(crate) struct Totals {
    by_key: DashMap<Key, Arc<DayTotals>, ahash::RandomState>,
    /// Days that began before this instant were not counted from their start, or were forgotten.
    counting_since: AtomicI64,
    /// Days that began before this instant were forgotten.
    kept_since: AtomicI64,
    /// The greatest version of an announcement of a forgotten day: one that is opened anew goes on after it.
    forgotten_announcements: AtomicU32,
    /// Whether replicas share them.
    pub(crate) step: Step,
}

impl Totals {
    pub(crate) fn new(counting_since: i64) -> Self {
        Self {
            by_key: DashMap::default(),
            counting_since: AtomicI64::new(counting_since),
            kept_since: AtomicI64::new(i64::MIN),
            forgotten_announcements: AtomicU32::new(0),
            step: Step::alone(),
        }
    }

    /// The totals of that day, if anything was ever recorded there.
    pub(crate) fn find(
        &self,
        organization: &Organization,
        group: GroupId,
        day: Day,
    ) -> Option<Arc<DayTotals>> {
        let key = Key {
            organization: organization.number(),
            group,
            day,
        };
        self.by_key.get(&key).map(|found| Arc::clone(&found))
    }

    /// The totals of that day; the first to ask opens the day.
    pub(crate) fn of(
        &self,
        organization: &Organization,
        group: GroupId,
        day: Day,
    ) -> Guard<Arc<DayTotals>> {
        loop {
            let current = organization.current();
            if day.start() >= self.kept_since.load(Ordering::Acquire)
                && let Some(totals) = current.at_hand().of(group, day)
            {
                return totals;
            }
            let (number, name) = current.own();
            let key = Key {
                organization: number,
                group,
                day,
            };
            let found = self.by_key.get(&key).map(|found| Arc::clone(&found));
            let totals = found.unwrap_or_else(|| {
                let opened = || self.open(day, name);
                self.by_key.entry(key).or_insert_with(opened).clone()
            });
            // If the organization turned out to be another one meanwhile, the merge may have looked for these
            // totals before they were there.
            if organization.number() == key.organization {
                current.at_hand().put(group, &totals);
                return Guard::from_inner(totals);
            }
        }
    }

    /// Does something with the running total of that day, wherever a merge may be moving it.
    pub(crate) fn on<T>(
        &self,
        totals: &mut Guard<Arc<DayTotals>>,
        (organization, group, day): (&Organization, GroupId, Day),
        act: impl Fn(&RunningTotal) -> Result<T, Moved>,
    ) -> T {
        loop {
            match act(&totals.total) {
                Ok(done) => return done,
                Err(Moved) => *totals = self.of(organization, group, day),
            }
        }
    }

    /// The totals of an organization that turned out to be another one are added to that one's.
    pub(crate) fn merge(&self, former: u32, organization: &Organization) {
        let keys: Vec<Key> = self
            .by_key
            .iter()
            .map(|entry| *entry.key())
            .filter(|key| key.organization == former)
            .collect();
        for key in keys {
            let Some(other) = self.by_key.get(&key).map(|found| Arc::clone(&found)) else {
                continue;
            };
            self.of(organization, key.group, key.day).absorb(&other);
        }
    }

    /// Drops the totals of the days before this one on which nothing is under way. A call that comes late for one of
    /// them finds its day opened anew, without its start.
    pub(crate) fn forget_before(&self, day: Day) {
        self.counting_since.fetch_max(day.start(), Ordering::AcqRel);
        self.kept_since.fetch_max(day.start(), Ordering::AcqRel);
        self.by_key.retain(|key, totals| {
            let stays = key.day >= day || totals.in_flight().is_any();
            if !stays {
                self.forgotten_announcements
                    .fetch_max(totals.under_way.version(), Ordering::AcqRel);
            }
            stays
        });
    }

    /// The slack for a call that is settled without a span from the store: while the other replicas' totals are not
    /// known, `shared-totals` is part of it.
    pub(crate) fn slack_unheard(&self, totals: &DayTotals) -> SlackNow {
        let slack = totals.slack_now();
        if self.step.is_lost() || (self.step.is_shared() && !totals.elsewhere.is_heard()) {
            return slack.with_without_limit(Assumption::SharedTotals);
        }
        slack
    }

    /// Days that began at this instant or later were counted from their start, somewhere.
    pub(crate) fn counted_since(&self, at: i64) {
        if self.counting_since.fetch_min(at, Ordering::AcqRel) <= at {
            return;
        }
        for entry in &self.by_key {
            if entry.key().day.start() >= at {
                entry.value().slack.clear_source(SlackSource::DayStart);
            }
        }
    }

    pub(crate) fn counting_since(&self) -> i64 {
        self.counting_since.load(Ordering::Acquire)
    }

    /// The totals that are open, of those of these organizations.
    pub(crate) fn opened(
        &self,
        organizations: &[Organization],
    ) -> Vec<(Organization, GroupId, Day)> {
        let by_number: HashMap<u32, &Organization, ahash::RandomState> = organizations
            .iter()
            .map(|organization| (organization.number(), organization))
            .collect();
        self.by_key
            .iter()
            .filter_map(|entry| {
                let Key {
                    organization,
                    group,
                    day,
                } = *entry.key();
                Some(((*by_number.get(&organization)?).clone(), group, day))
            })
            .collect()
    }

    fn open(&self, day: Day, name: &str) -> Arc<DayTotals> {
        let announced = self.forgotten_announcements.load(Ordering::Acquire);
        let totals = DayTotals::new(Some(day), name, announced);
        if self.lacks_its_start(day) {
            totals.slack.add(SlackSource::DayStart, None);
        }
        Arc::new(totals)
    }

    /// Whether a part of this day passed before counting began.
    pub(crate) fn lacks_its_start(&self, day: Day) -> bool {
        day.start() < self.counting_since.load(Ordering::Acquire)
    }
}
