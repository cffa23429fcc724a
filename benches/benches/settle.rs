//! What one settlement costs: uncontended, and with two threads on the same total.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use dashmap::DashMap;
use meter::{
    AfterCrossing, Coverage, Evidence, FinishedCall, Meter, Model, ModelGroup, Offer, OfferParts,
    Rules, Terms, Usage, UsageTier,
};

/// 2026-11-21 12:00 UTC.
const NOON: i64 = 1_795_262_400;

fn rules() -> Rules {
    let group = |name: &str, low, high| ModelGroup {
        name: name.into(),
        allowances: [low, low, high, high, high],
    };
    let model = |id: &str, group: &str| Model {
        id: id.into(),
        group: group.into(),
        aliases: Vec::new(),
        context: Some(400_000),
    };
    let offer = Offer::new(OfferParts {
        list_date: meter::Day::at(NOON),
        price_date: None,
        groups: vec![
            group("large", 250_000, 1_000_000),
            group("small", 2_500_000, 10_000_000),
        ],
        models: vec![
            model("gpt-5-2025-08-07", "large"),
            model("gpt-5-mini-2025-08-07", "small"),
            model("gpt-4o-mini-2024-07-18", "small"),
        ],
        prices: Vec::new(),
    })
    .expect("an offer");
    let terms = Terms {
        usage_tier: UsageTier::new(3),
        enrolled: Some(true),
        shared_projects: None,
        coverage: Some(Coverage::All),
    };
    Rules::new(Arc::new(offer), AfterCrossing::Billed, terms, Vec::new())
}

fn settle(meter: &Meter, rules: &Rules, organization: &meter::Organization) -> meter::Settlement {
    meter.settle(
        rules,
        &FinishedCall {
            organization,
            project: Some("proj_1"),
            model: Some("gpt-5-mini-2025-08-07"),
            service_tier: Some("default"),
            payer: None,
            hosted_tool: false,
            usage: Usage {
                input: 3,
                output: 2,
                ..Usage::default()
            },
            evidence: Evidence::Reported,
            began: NOON,
            at: NOON,
        },
    )
}

fn settlement(criterion: &mut Criterion) {
    let (meter, rules) = (Meter::new(0), rules());
    let organization = meter.organizations().named("acme").expect("room for one");
    criterion.bench_function("settle, uncontended", |bencher| {
        bencher.iter(|| black_box(settle(&meter, &rules, black_box(&organization))));
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
                black_box(settle(&meter, &rules, &organization));
            }
        });
        criterion.bench_function("settle, beside another thread", |bencher| {
            bencher.iter(|| black_box(settle(&meter, &rules, black_box(&organization))));
        });
        stop.store(true, Ordering::Relaxed);
    });
}

criterion_group!(benches, settlement);
criterion_main!(benches);
