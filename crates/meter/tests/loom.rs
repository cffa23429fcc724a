//! Every order in which three threads can meet at the totals: nothing is lost, nothing is counted twice, no
//! call under way is missed. Must not know verdicts.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target-loom cargo test -p meter --release --test loom`
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use meter::{Forecast, Moved, RunningTotal, Span, UnderWay};

/// Two threads beside the first, each with its own task.
fn race(first: impl FnOnce() + 'static, second: impl FnOnce() + 'static, main: impl FnOnce()) {
    let threads = [thread::spawn(first), thread::spawn(second)];
    main();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn spans_follow_each_other_and_free_calls_fit() {
    loom::model(|| {
        let total = Arc::new(RunningTotal::new());
        let settle = |tokens: u64| {
            let total = Arc::clone(&total);
            move || (total.take(tokens).unwrap(), total.fit(tokens, 10).unwrap())
        };
        let threads = [thread::spawn(settle(4)), thread::spawn(settle(5))];
        let own = settle(6)();
        let mut settled = Vec::from(threads.map(|thread| thread.join().unwrap()));
        settled.push(own);
        settled.sort_by_key(|(span, _)| span.before);
        let ends: Vec<u64> = settled.iter().map(|(span, _)| span.after).collect();
        let starts: Vec<u64> = settled.iter().map(|(span, _)| span.before).collect();
        assert_eq!(starts, [0, ends[0], ends[1]]);
        assert_eq!(ends[2], 15);
        let free: u64 = settled
            .iter()
            .filter(|(span, _)| span.after <= 10)
            .map(size)
            .sum();
        let fitted: u64 = settled.iter().filter(|(_, fit)| fit.fits).map(size).sum();
        assert!(free <= 10 && fitted <= 10);
        assert_eq!((total.taken(), total.fitted()), (15, fitted));
    });
}

fn size((span, _): &(Span, meter::Fit)) -> u64 {
    span.after - span.before
}

#[test]
fn a_merge_loses_no_call_and_counts_none_twice() {
    loom::model(|| {
        let slug = Arc::new(RunningTotal::new());
        let id = Arc::new(RunningTotal::new());
        slug.take(1).unwrap();
        id.take(2).unwrap();
        id.fit(2, 1_000).unwrap();
        let late = {
            let (id, slug) = (Arc::clone(&id), Arc::clone(&slug));
            move || {
                // As the meter does: whoever finds the total moved takes from the one it was merged into.
                id.take(10).or_else(|Moved| slug.take(10)).unwrap();
                id.fit(10, 1_000)
                    .or_else(|Moved| slug.fit(10, 1_000))
                    .unwrap();
            }
        };
        let beside = {
            let slug = Arc::clone(&slug);
            move || {
                slug.take(100).unwrap();
            }
        };
        race(late, beside, || slug.absorb(&id));
        assert_eq!((slug.taken(), slug.fitted()), (113, 12));
        assert_eq!((id.taken(), id.fitted()), (0, 0));
        assert_eq!(id.take(5), Err(Moved));
        assert_eq!(id.fit(5, 1_000), Err(Moved));
        assert_eq!(id.correct_taken(5, 1_000), Err(Moved));
    });
}

#[test]
fn a_correction_that_races_with_calls_and_a_merge_is_made_once() {
    loom::model(|| {
        let slug = Arc::new(RunningTotal::new());
        let id = Arc::new(RunningTotal::new());
        id.take(50).unwrap();
        let (changes, receive) = loom::sync::mpsc::channel();
        let correct = {
            let (slug, id) = (Arc::clone(&slug), Arc::clone(&id));
            move || {
                let change = id
                    .correct_taken(-20, 1_000)
                    .or_else(|Moved| slug.correct_taken(-20, 1_000));
                changes.send(change.unwrap()).unwrap();
            }
        };
        let settle = {
            let (slug, id) = (Arc::clone(&slug), Arc::clone(&id));
            move || {
                if id.take(7) == Err(Moved) {
                    slug.take(7).unwrap();
                }
            }
        };
        race(correct, settle, || slug.absorb(&id));
        // It may meet a total into which the tokens are still being moved; what it could not take there it
        // does not report as taken.
        let change = receive.recv().unwrap();
        assert!((-20..=0).contains(&change));
        assert_eq!(slug.taken().cast_signed(), 57 + change);
    });
}

#[test]
fn a_total_lowered_from_past_the_allowance_is_never_seen_low_and_unmarked() {
    loom::model(|| {
        let total = Arc::new(RunningTotal::new());
        total.take(12).unwrap();
        let correct = {
            let total = Arc::clone(&total);
            move || {
                total.correct_taken(-10, 10).unwrap();
            }
        };
        let settle = |tokens: u64| {
            let total = Arc::clone(&total);
            move || {
                let span = total.take(tokens).unwrap();
                // Within the allowance only after the correction, and then the mark is there.
                assert!(span.after > 10 || total.was_past(10));
            }
        };
        race(correct, settle(1), settle(2));
        assert_eq!(total.taken(), 5);
        assert!(total.was_past(10));
    });
}

#[test]
fn a_call_that_ends_is_seen_under_way_or_in_the_total() {
    loom::model(|| {
        let total = Arc::new(RunningTotal::new());
        let under_way = Arc::new(UnderWay::new());
        let call = |tokens: u64| {
            under_way.begin(Forecast::new(Some(tokens), None));
            let (total, under_way) = (Arc::clone(&total), Arc::clone(&under_way));
            move || {
                total.take(tokens).unwrap();
                under_way.end(Forecast::new(Some(tokens), None));
            }
        };
        let (first, second) = (call(3), call(5));
        race(first, second, || {
            // In this order, as a standing is read.
            let forecasts = under_way.now().likely;
            let taken = total.taken();
            assert!(forecasts + taken >= 8);
        });
        assert_eq!((under_way.now().likely, total.taken()), (0, 8));
    });
}

#[test]
fn of_two_calls_that_begin_at_once_the_later_sees_the_earlier() {
    loom::model(|| {
        let under_way = Arc::new(UnderWay::new());
        let alone = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let call = |index: usize, bound: Option<u64>| {
            let (under_way, alone) = (Arc::clone(&under_way), Arc::clone(&alone));
            move || {
                under_way.begin(Forecast::new(bound, None));
                alone[index].store(under_way.now().likely == 4, Ordering::Release);
            }
        };
        race(call(0, Some(4)), call(1, Some(4)), || {});
        assert!(!(alone[0].load(Ordering::Acquire) && alone[1].load(Ordering::Acquire)));
    });
}
