//! The running totals of every organization, group and day. An `Arc` is cloned out, so no lock is held while a
//! call is settled. Must not know verdicts or rules.

use std::sync::{Arc, OnceLock};

use dashmap::DashMap;

use crate::day::Day;
use crate::in_flight::UnderWay;
use crate::model_group::GroupId;
use crate::organization::Organization;
use crate::running_total::{Moved, RunningTotal};
use crate::slack::{Slack, SlackSource};
use crate::standing::{Forecasts, SlackNow};
use crate::sync::{AtomicI64, AtomicU32, Ordering};

/// What one organization has taken of one group on one day.
pub(crate) struct DayTotals {
    pub(crate) total: RunningTotal,
    pub(crate) slack: Slack,
    pub(crate) under_way: UnderWay,
    /// How often in a row `OpenAI` billed what we held free.
    pub(crate) contradictions: AtomicU32,
    /// Totals that turned out to belong here: their tokens were moved, their slack and calls under way are read
    /// where they are, so that nothing that still arrives there is lost.
    absorbed: OnceLock<Arc<DayTotals>>,
}

impl DayTotals {
    fn new(day_start_is_missing: bool) -> Self {
        let slack = Slack::new();
        if day_start_is_missing {
            slack.add(SlackSource::DayStart, None);
        }
        Self {
            total: RunningTotal::new(),
            slack,
            under_way: UnderWay::new(),
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
        SlackNow::of(self.with_absorbed().map(|totals| &totals.slack))
    }

    pub(crate) fn clear_slack(&self) {
        self.with_absorbed().for_each(|totals| totals.slack.clear());
    }

    pub(crate) fn in_flight(&self) -> Forecasts {
        self.with_absorbed()
            .map(|totals| totals.under_way.now())
            .fold(Forecasts::default(), |all, one| Forecasts {
                tokens: all.tokens + one.tokens,
                bounded: all.bounded + one.bounded,
                unbounded: all.unbounded + one.unbounded,
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
}

impl Totals {
    pub(crate) fn new(counting_since: i64) -> Self {
        Self {
            by_key: DashMap::default(),
            counting_since: AtomicI64::new(counting_since),
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
    ) -> Arc<DayTotals> {
        loop {
            let key = Key {
                organization: organization.number(),
                group,
                day,
            };
            if let Some(found) = self.by_key.get(&key) {
                return Arc::clone(&found);
            }
            let opened = self
                .by_key
                .entry(key)
                .or_insert_with(|| self.open(day))
                .clone();
            // If the organization turned out to be another one meanwhile, the merge may have looked for these
            // totals before they were there.
            if organization.number() == key.organization {
                return opened;
            }
        }
    }

    /// Does something with the running total of that day, wherever a merge may be moving it.
    pub(crate) fn on<T>(
        &self,
        totals: &mut Arc<DayTotals>,
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

    /// Drops the totals of the days before this one. A call that comes late for one of them finds its day opened
    /// anew, without its start.
    pub(crate) fn forget_before(&self, day: Day) {
        self.counting_since.fetch_max(day.start(), Ordering::AcqRel);
        self.by_key.retain(|key, _| key.day >= day);
    }

    fn open(&self, day: Day) -> Arc<DayTotals> {
        Arc::new(DayTotals::new(self.lacks_its_start(day)))
    }

    /// Whether a part of this day passed before counting began.
    pub(crate) fn lacks_its_start(&self, day: Day) -> bool {
        day.start() < self.counting_since.load(Ordering::Acquire)
    }
}
