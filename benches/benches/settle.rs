//! What one settlement costs: uncontended, and with two threads on the same total.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use counted::Settling;
use criterion::{Criterion, criterion_group, criterion_main};
use dashmap::DashMap;
fn settlement(criterion: &mut Criterion) {
    let settling = Settling::default();
    criterion.bench_function("settle, uncontended", |bencher| {
        bencher.iter(|| black_box(&settling).settle());
    });
    // What the machine is worth today: one look-up in the kind of map that the totals are kept in.
    let anchor: DashMap<(u32, u8, i32), Arc<u64>, ahash::RandomState> = DashMap::default();
    anchor.insert((1, 1, 20_778), Arc::new(0));
    criterion.bench_function(
        "anchor: a look-up in a DashMap, the Arc cloned",
        |bencher| {
            bencher.iter(|| {
                anchor
                    .get(black_box(&(1, 1, 20_778)))
                    .map(|found| Arc::clone(&found))
            });
        },
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                black_box(settling.settle());
            }
        });
        criterion.bench_function("settle, beside another thread", |bencher| {
            bencher.iter(|| black_box(&settling).settle());
        });
        stop.store(true, Ordering::Relaxed);
    });
}

criterion_group!(benches, settlement);
criterion_main!(benches);
