//! Calls that race, on real threads: totals stay exact, and the two readings may see two calls in different
//! order. (`tests/loom.rs` tries every order of a few.)

use std::sync::Barrier;
use std::thread;

use super::{LARGE, Scene, TODAY, call, head, missing};
use crate::{AfterCrossing, CallAhead, RunningTotal, Span, Verdict};

const THREADS: u64 = 4;
const CALLS: u64 = 5_000;

/// Sizes that differ from call to call, so that lost or doubled ones show.
fn size(thread: u64, call: u64) -> u64 {
    1 + (thread * 7 + call * 13) % 97
}

#[test]
fn spans_of_racing_calls_follow_each_other_without_gap_and_free_ones_fit() {
    for after_crossing in [AfterCrossing::Billed, AfterCrossing::FreeIfItFits] {
        let scene = Scene::new(after_crossing);
        let acme = scene.organization("acme");
        scene.take(200_000);
        let settled: Vec<_> = thread::scope(|scope| {
            let race = |thread| {
                let (scene, acme) = (&scene, &acme);
                move || {
                    (0..CALLS)
                        .map(|n| scene.settle(&call(acme, size(thread, n))))
                        .collect::<Vec<_>>()
                }
            };
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| scope.spawn(race(thread)))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut spans: Vec<Span> = settled.iter().filter_map(|settled| settled.span).collect();
        spans.sort_by_key(|span| span.before);
        assert_eq!(spans.len() as u64, THREADS * CALLS);
        let mut end = 200_000;
        for span in spans {
            assert_eq!(span.before, end);
            end = span.after;
        }
        let standing = scene.meter.standing(&scene.rules, &acme, LARGE, TODAY());
        assert_eq!(standing.taken, end);
        let free: u64 = settled
            .iter()
            .filter(|settled| settled.verdict == Verdict::Free)
            .map(|settled| settled.usage.unwrap().tokens())
            .sum();
        assert!(200_000 + free <= 1_000_000 && 200_000 + free > 1_000_000 - 97);
        if after_crossing == AfterCrossing::FreeIfItFits {
            assert_eq!(standing.fitted, 200_000 + free);
        }
    }
}

#[test]
fn racing_calls_may_stand_in_different_order_in_the_two_readings() {
    // Two calls of 10 into an allowance of 10: the first to take its span is not the first to fit.
    let total = RunningTotal::new();
    let first = total.take(10).unwrap();
    let second = total.take(10).unwrap();
    let second_fit = total.fit(10, 10).unwrap();
    let first_fit = total.fit(10, 10).unwrap();
    assert_eq!((first.before, second.before), (0, 10));
    assert!(first.after <= 10 && !first_fit.fits);
    assert!(second.after > 10 && second_fit.fits);
    // Each reading is exact by itself.
    assert_eq!((total.taken(), total.fitted()), (20, 10));
}

#[test]
fn no_settlement_is_lost_while_two_names_become_one_organization() {
    for _ in 0..20 {
        let scene = Scene::billed_after_crossing();
        let (slug, id) = (scene.organization("acme"), scene.organization("org-acme"));
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for (thread, organization) in [(0, &slug), (1, &id), (2, &id)] {
                let (scene, start) = (&scene, &start);
                scope.spawn(move || {
                    start.wait();
                    for n in 0..1_000 {
                        let head = head(organization, Some(5));
                        let under_way = scene.meter.begin(&scene.rules, &head);
                        let own = CallAhead {
                            own: under_way.as_ref(),
                            ..head
                        };
                        let _ = scene.meter.expect(&scene.rules, &own);
                        scene.settle(&call(organization, size(thread, n)));
                        scene
                            .meter
                            .settle_missing(&scene.rules, &missing(organization, Some(1)));
                        drop(under_way);
                    }
                });
            }
            start.wait();
            scene.meter.learn_alias(&slug, "org-acme");
        });
        let expected: u64 = (0..3)
            .flat_map(|thread| (0..1_000).map(move |n| size(thread, n)))
            .sum();
        let standing = scene.meter.standing(&scene.rules, &slug, LARGE, TODAY());
        assert_eq!((standing.taken, standing.fitted), (expected, expected));
        assert_eq!(standing.slack.tokens, 3_000);
        assert_eq!(
            (standing.in_flight.tokens, standing.in_flight.unbounded),
            (0, 0)
        );
    }
}

#[test]
fn names_joined_from_both_sides_at_once_do_not_make_a_ring() {
    for _ in 0..50 {
        let scene = Scene::billed_after_crossing();
        let names = ["a", "b", "c"];
        let start = Barrier::new(names.len());
        thread::scope(|scope| {
            for (index, name) in names.into_iter().enumerate() {
                let (scene, start) = (&scene, &start);
                scope.spawn(move || {
                    let organization = scene.organization(name);
                    scene.settle(&call(&organization, 10));
                    start.wait();
                    scene
                        .meter
                        .learn_alias(&organization, names[(index + 1) % names.len()]);
                });
            }
        });
        assert_eq!(scene.organization("a"), scene.organization("b"));
        assert_eq!(scene.organization("a"), scene.organization("c"));
        assert_eq!(scene.taken("b"), 30);
    }
}
