//! Random histories of days, compared call by call with the slow reference. `PROPTEST_CASES` sets how many.

use proptest::collection::vec;
use proptest::prelude::*;

use super::side_by_side::{Act, NAMES, SideBySide, Step};
use crate::{AfterCrossing, Correction, Evidence, Payer};

fn act() -> impl Strategy<Value = Act> {
    let payer = || {
        let developer = Just(Some(Payer::Developer));
        prop_oneof![6 => Just(None), 1 => Just(Some(Payer::OpenAi)), 2 => developer]
    };
    let evidence = prop_oneof![
        8 => Just(Evidence::Reported),
        1 => (0_u64..600).prop_map(|at_most| Evidence::Estimated { at_most: Some(at_most) }),
        1 => Just(Evidence::Estimated { at_most: None }),
    ];
    let tokens = || prop_oneof![Just(0), 1_u64..400, 1_u64..1_200];
    let slack = proptest::option::of(0_u64..300);
    prop_oneof![
        12 => (tokens(), evidence, payer(), any::<bool>())
            .prop_map(|(tokens, evidence, payer, straddles)| Act::Settle { tokens, evidence, payer, straddles }),
        1 => (tokens(), payer()).prop_map(|(tokens, payer)| Act::SettleFlex { tokens, payer }),
        1 => (0_u64..500).prop_map(Act::Miss),
        1 => (-600_i64..600, any::<bool>(), slack)
            .prop_map(|(tokens, fitted, slack)| Act::Correct(Correction { tokens, fitted, slack })),
        1 => (0_u64..1_500).prop_map(Act::State),
        1 => Just(Act::NextDay),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let group = prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)];
    (0..NAMES.len(), group, act()).prop_map(|(organization, group, act)| Step {
        organization,
        group,
        act,
    })
}

proptest! {
    #[test]
    fn the_meter_says_what_the_reference_says(
        fits in any::<bool>(),
        first_day_is_whole in any::<bool>(),
        steps in vec(step(), 1..40),
    ) {
        let after_crossing = if fits { AfterCrossing::FreeIfItFits } else { AfterCrossing::Billed };
        let mut run = SideBySide::new(after_crossing, first_day_is_whole);
        for step in &steps {
            run.step(step);
        }
    }
}
