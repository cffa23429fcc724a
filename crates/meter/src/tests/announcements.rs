//! What is written down of calls under way covers them at every moment, whatever becomes of organizations and days
//! meanwhile. It is kept here as the ledger keeps it: of each place, what has the latest version.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{MORNING, Scene, head};
use crate::{Announcement, CallAhead, Day, GroupId, InFlight};

const DAY: i64 = 86_400;

type Place = (Arc<str>, GroupId, Day);

#[derive(Default)]
struct Book(HashMap<Place, (u32, Option<u64>)>);

impl Book {
    fn hear(&mut self, announcement: Option<Announcement>) {
        let Some(announcement) = announcement else {
            return;
        };
        let Announcement {
            organization,
            group,
            day,
            version,
            at_most,
        } = announcement;
        let known = self.0.entry((organization, group, day));
        let known = known.or_insert((version, at_most));
        if version.wrapping_sub(known.0).cast_signed() > 0 {
            *known = (version, at_most);
        }
    }

    /// What would be slack if the program died now; `None`: without limit.
    fn open(&self) -> Option<u64> {
        self.0.values().map(|(_, at_most)| *at_most).sum()
    }
}

/// Calls of some organizations, and what was written down of them.
struct Calls {
    scene: Scene,
    under_way: Vec<(Option<u64>, InFlight)>,
    book: Book,
}

impl Calls {
    fn new() -> Calls {
        Calls {
            scene: Scene::billed_after_crossing(),
            under_way: Vec::new(),
            book: Book::default(),
        }
    }

    fn begin(&mut self, name: &str, bound: Option<u64>, at: i64) {
        let organization = self.scene.organization(name);
        let head = CallAhead {
            at,
            ..head(&organization, bound)
        };
        let call = self.scene.meter.begin(&self.scene.rules, &head).unwrap();
        self.book.hear(call.announce());
        self.under_way.push((bound, call));
    }

    fn end(&mut self, index: usize) {
        let (_, call) = self.under_way.remove(index);
        self.book.hear(call.end());
    }

    fn join(&self, name: &str, other: &str) {
        let organization = self.scene.organization(name);
        self.scene.meter.learn_alias(&organization, other);
    }

    fn forget_before(&self, at: i64) {
        self.scene.meter.forget_before(Day::at(at));
    }

    #[track_caller]
    fn assert_covered(&self) {
        let under_way: Option<u64> = self.under_way.iter().map(|(bound, _)| *bound).sum();
        match (self.book.open(), under_way) {
            (Some(open), Some(under_way)) => assert!(open >= under_way, "{open} {under_way}"),
            (open, None) => assert_eq!(open, None),
            (None, Some(_)) => {}
        }
        if self.under_way.is_empty() {
            assert_eq!(self.book.open(), Some(0), "{:?}", self.book.0);
        }
    }
}

#[test]
fn calls_of_a_name_that_became_another_organization_hide_none_of_its_calls() {
    let mut calls = Calls::new();
    for _ in 0..20 {
        calls.begin("org-acme", Some(20_000), MORNING);
        calls.end(0);
    }
    calls.begin("org-acme", Some(20_000), MORNING);
    calls.begin("acme", Some(50_000), MORNING);
    calls.join("acme", "org-acme");
    calls.assert_covered();
    calls.end(0);
    calls.assert_covered();
    calls.begin("acme", Some(100_000), MORNING);
    calls.assert_covered();
    calls.end(0);
    calls.end(0);
    calls.assert_covered();
}

#[test]
fn calls_of_a_name_that_became_another_organization_are_taken_back() {
    let mut calls = Calls::new();
    for _ in 0..20 {
        calls.begin("acme", Some(20_000), MORNING);
        calls.end(0);
    }
    calls.begin("org-acme", Some(20_000), MORNING);
    calls.join("acme", "org-acme");
    calls.end(0);
    calls.assert_covered();
}

#[test]
fn a_day_that_is_opened_anew_goes_on_where_it_was() {
    let mut calls = Calls::new();
    for _ in 0..20 {
        calls.begin("acme", Some(20_000), MORNING);
        calls.end(0);
    }
    calls.forget_before(MORNING + DAY);
    calls.begin("acme", Some(20_000), MORNING);
    calls.assert_covered();
}

#[test]
fn a_day_with_calls_under_way_is_not_forgotten() {
    let mut calls = Calls::new();
    calls.begin("acme", Some(20_000), MORNING);
    calls.forget_before(MORNING + DAY);
    calls.begin("acme", Some(30_000), MORNING);
    calls.assert_covered();
    calls.end(0);
    calls.assert_covered();
}

#[derive(Clone, Debug)]
enum Step {
    Begin(&'static str, Option<u64>, i64),
    End(prop::sample::Index),
    Join(&'static str, &'static str),
    Forget(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(vec!["acme", "org-acme", "other", "org-other"]);
    let bound = prop_oneof![9 => (1..200_000_u64).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        6 => (name(), bound, 0..3_i64).prop_map(|(name, bound, day)| Step::Begin(name, bound, day)),
        5 => any::<prop::sample::Index>().prop_map(Step::End),
        1 => (name(), name()).prop_map(|(one, other)| Step::Join(one, other)),
        1 => (0..4_i64).prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn what_is_written_down_covers_what_is_under_way(steps in prop::collection::vec(step(), 1..60)) {
        let mut calls = Calls::new();
        for step in steps {
            match step {
                Step::Begin(name, bound, day) => calls.begin(name, bound, MORNING + day * DAY),
                Step::End(index) if !calls.under_way.is_empty() => {
                    calls.end(index.index(calls.under_way.len()));
                }
                Step::End(_) => {}
                Step::Join(one, other) => calls.join(one, other),
                Step::Forget(day) => calls.forget_before(MORNING + day * DAY),
            }
            calls.assert_covered();
        }
        while !calls.under_way.is_empty() {
            calls.end(0);
            calls.assert_covered();
        }
    }
}
