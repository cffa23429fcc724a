//! Corrections, stated totals and what is restored at a start: they change what comes after, never what was.

use super::{LARGE, Scene, TODAY, call, missing};
use crate::{
    AfterCrossing, Assumption, Carried, Certainty, Correction, Evidence, FinishedCall, Meter,
    Reason, RunningTotal, SlackSource, Span, Standing, Verdict,
};

fn standing(scene: &Scene) -> Standing {
    scene
        .meter
        .standing(&scene.rules, &scene.organization("acme"), LARGE, TODAY())
}

fn correct(scene: &Scene, tokens: i64, fitted: bool, slack: Option<u64>) -> i64 {
    let correction = Correction {
        tokens,
        fitted,
        slack,
    };
    scene.meter.correct(
        &scene.rules,
        &scene.organization("acme"),
        LARGE,
        TODAY(),
        &correction,
    )
}

#[test]
fn an_estimate_seen_whole_moves_the_totals_and_frees_its_slack() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let estimate = Evidence::Estimated { at_most: Some(500) };
    let settled = scene.settle(&FinishedCall {
        evidence: estimate,
        ..call(&acme, 100)
    });
    assert_eq!(correct(&scene, 150, settled.fitted, settled.slack), 150);
    let standing = standing(&scene);
    assert_eq!(
        (standing.taken, standing.fitted, standing.slack.tokens),
        (250, 250, 0)
    );
    assert_eq!(scene.take(999_750).certainty, Some(Certainty::Final));
}

#[test]
fn an_unknown_call_seen_later_frees_slack_without_limit() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    for _ in 0..2 {
        let unbounded = crate::MissingCall {
            model: Some("o1-preview"),
            ..missing(&acme, None)
        };
        assert_eq!(
            scene.meter.settle_missing(&scene.rules, &unbounded).slack,
            None
        );
    }
    correct(&scene, 0, false, None);
    assert!(
        standing(&scene)
            .slack
            .without_limit
            .contains(Assumption::UnknownCalls)
    );
    correct(&scene, 0, false, None);
    assert!(standing(&scene).slack.sources.is_empty());
    // One too many takes nothing away.
    correct(&scene, 0, false, None);
    correct(&scene, 0, false, Some(10));
    assert_eq!(standing(&scene).slack.tokens, 0);
}

#[test]
fn a_crossed_day_stays_crossed_unless_the_allowance_rises() {
    let mut scene = Scene::billed_after_crossing();
    scene.take(900_000);
    assert_eq!(scene.take(200_000).reason, Reason::CrossingCall);
    assert_eq!(correct(&scene, -1_000_000, false, Some(0)), -1_000_000);
    let later = scene.take(1);
    assert_eq!(
        (later.verdict, later.reason),
        (Verdict::Billed, Reason::AllowanceSpent)
    );
    assert_eq!(
        later.span,
        Some(Span {
            before: 100_000,
            after: 100_001
        })
    );
    assert_eq!((later.remaining, standing(&scene).remaining), (Some(0), 0));
    assert!(later.disputed);

    let mut parts = super::offer_parts();
    parts.groups[0].allowances = [2_000_000; 5];
    let declared = scene.rules.declared().to_vec();
    let offer = std::sync::Arc::new(crate::Offer::new(parts).unwrap());
    scene.rules = crate::Rules::new(
        offer,
        AfterCrossing::Billed,
        crate::Terms::default(),
        declared,
    );
    assert_eq!(scene.take(1).verdict, Verdict::Free);
}

#[test]
fn a_day_that_was_not_crossed_gets_its_room_back() {
    let scene = Scene::billed_after_crossing();
    let settled = scene.take(1_000_000);
    correct(&scene, -10, settled.fitted, Some(0));
    assert_eq!(scene.take(10).verdict, Verdict::Free);
    assert_eq!(scene.take(1).verdict, Verdict::Billed);
}

#[test]
fn a_correction_never_takes_a_total_below_nothing() {
    let scene = Scene::billed_after_crossing();
    scene.take(10);
    assert_eq!(correct(&scene, -25, true, Some(0)), -10);
    assert_eq!((standing(&scene).taken, standing(&scene).fitted), (0, 0));
    assert_eq!(correct(&scene, i64::MAX, true, Some(0)), 1 << 62);
    assert_eq!(scene.take(1).verdict, Verdict::Billed);
}

#[test]
fn in_the_other_reading_only_a_call_that_fitted_gives_room_back() {
    let scene = Scene::new(AfterCrossing::FreeIfItFits);
    scene.take(999_990);
    let crossing = scene.take(1_000);
    assert!(!crossing.fitted);
    correct(&scene, -500, crossing.fitted, Some(0));
    assert_eq!(standing(&scene).fitted, 999_990);
    assert_eq!(scene.take(11).verdict, Verdict::Billed);
    assert_eq!(scene.take(10).verdict, Verdict::Free);
}

#[test]
fn a_stated_total_replaces_what_was_counted_and_clears_the_slack() {
    for (after_crossing, spent) in [
        (AfterCrossing::Billed, true),
        (AfterCrossing::FreeIfItFits, false),
    ] {
        let mut scene = Scene::new(after_crossing);
        scene.meter = Meter::new(super::MIDNIGHT + 1);
        let acme = scene.organization("acme");
        scene
            .meter
            .settle_missing(&scene.rules, &missing(&acme, Some(9)));
        scene.take(1_000_001);
        assert_eq!(scene.take(1).verdict == Verdict::Billed, spent);
        let counted = standing(&scene).taken.cast_signed();
        let change = scene.meter.state_total(&acme, LARGE, TODAY(), 412_000);
        assert_eq!(change, 412_000 - counted);
        let settled = scene.take(588_000);
        assert_eq!(
            (settled.verdict, settled.certainty),
            (Verdict::Free, Some(Certainty::Final))
        );
        assert_eq!(
            settled.span,
            Some(Span {
                before: 412_000,
                after: 1_000_000
            })
        );
        assert_eq!(scene.take(1).verdict, Verdict::Billed);
    }
}

#[test]
fn a_number_that_no_day_has_leaves_room_for_calls() {
    let total = RunningTotal::new();
    let used = |total: &RunningTotal| (total.take(7).is_ok(), total.fit(7, u64::MAX).is_ok());
    for huge in [u64::MAX, 1 << 63, (1 << 63) - 1] {
        total.state(huge, huge).unwrap();
        assert_eq!([used(&total), used(&total)], [(true, true); 2], "stated");
        total.restore(huge, huge);
        assert_eq!([used(&total), used(&total)], [(true, true); 2], "restored");
        for _ in 0..4 {
            total.correct_taken(i64::MAX, 0).unwrap();
            total.correct_fitted(i64::MAX).unwrap();
        }
        assert_eq!([used(&total), used(&total)], [(true, true); 2], "corrected");
        let other = RunningTotal::new();
        other.state(huge, huge).unwrap();
        total.absorb(&other);
        assert_eq!([used(&total), used(&total)], [(true, true); 2], "merged");
    }
}

#[test]
fn outside_usage_outlives_a_stated_total() {
    let scene = Scene::billed_after_crossing();
    let part = scene.organization("part");
    scene.meter.state_total(&part, LARGE, TODAY(), 5);
    assert_eq!(
        scene.settle(&call(&part, 1)).assumes.to_string(),
        "outside-usage"
    );
}

#[test]
fn a_day_goes_on_where_it_was_after_a_restart() {
    let before = Scene::billed_after_crossing();
    before.take(900_000);
    before.take(200_000);
    correct(&before, -1_000_000, false, Some(0));
    let was = standing(&before);
    let after = Scene::billed_after_crossing();
    let carried = Carried {
        taken: was.taken,
        fitted: was.fitted,
        was_past: Some(1_000_000),
        contradictions: 2,
        slack: vec![
            (SlackSource::UncleanStop, Some(7)),
            (SlackSource::UnknownCalls, None),
        ],
    };
    let acme = after.organization("acme");
    after.meter.restore(&acme, LARGE, TODAY(), &carried);
    let is = standing(&after);
    assert_eq!(
        (is.taken, is.fitted, is.remaining, is.contradictions),
        (was.taken, was.fitted, 0, 2)
    );
    assert_eq!(
        (is.slack.tokens, is.slack.sources.to_string()),
        (7, "unknown-calls,unclean-stop".into())
    );
    assert_eq!(after.take(1).reason, Reason::AllowanceSpent);
    let nobody = after.organization("nobody");
    after.meter.restore_paid(&nobody, super::MORNING);
    assert_eq!(
        after.settle(&call(&nobody, 1)).assumes.to_string(),
        "outside-usage"
    );
}
