//! What is not known is carried as slack: when it makes a verdict assumed, and when it does not.

use super::{LARGE, MORNING, SMALL, Scene, TODAY, call, missing};
use crate::{
    AfterCrossing, Certainty, Evidence, FinishedCall, MissingCall, Reason, SlackSource, Usage,
    Verdict,
};

#[test]
fn an_unknown_call_is_unknown_and_takes_no_span() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let settled = scene
        .meter
        .settle_missing(&scene.rules, &missing(&acme, Some(300)));
    assert_eq!(
        (settled.verdict, settled.ours),
        (Verdict::Unknown, Verdict::Unknown)
    );
    assert_eq!(
        (settled.certainty, settled.reason),
        (None, Reason::UsageMissing)
    );
    assert_eq!(
        (settled.usage, settled.span, settled.slack),
        (None, None, Some(300))
    );
    assert_eq!(
        (settled.cost, settled.saved, settled.remaining),
        (None, None, Some(1_000_000))
    );
    assert_eq!(scene.taken("acme"), 0);
}

#[test]
fn slack_makes_exactly_those_verdicts_assumed_that_it_could_overturn() {
    for after_crossing in [AfterCrossing::Billed, AfterCrossing::FreeIfItFits] {
        let scene = Scene::new(after_crossing);
        let acme = scene.organization("acme");
        scene
            .meter
            .settle_missing(&scene.rules, &missing(&acme, Some(1_000)));
        assert_eq!(scene.take(999_000).certainty, Some(Certainty::Final));
        let last = scene.take(1);
        assert_eq!(
            (last.verdict, last.certainty),
            (Verdict::Free, Some(Certainty::Assumed))
        );
        assert_eq!(last.assumes.to_string(), "unknown-calls");
        let crossing = scene.take(1_000);
        assert_eq!(
            (crossing.verdict, crossing.certainty),
            (Verdict::Billed, Some(Certainty::Final))
        );
    }
}

#[test]
fn every_source_that_is_not_zero_is_named() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    scene
        .meter
        .settle_missing(&scene.rules, &missing(&acme, Some(1)));
    scene
        .meter
        .add_uncounted(&acme, LARGE, TODAY(), SlackSource::UncleanStop, Some(1));
    scene.settle(&FinishedCall {
        service_tier: Some("flex"),
        ..call(&acme, 1)
    });
    scene.settle(&FinishedCall {
        model: Some("gpt-6.1-sol"),
        ..call(&acme, 1)
    });
    assert_eq!(scene.take(999_996).certainty, Some(Certainty::Final));
    assert_eq!(
        scene.take(1).assumes.to_string(),
        "unknown-calls,unclean-stop,model-list,service-tier"
    );
}

#[test]
fn the_bound_of_an_unknown_call_is_its_own_or_its_models_or_none() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let plain = missing(&acme, None);
    let slack = |change: fn(&mut MissingCall<'_>)| {
        let mut call = plain;
        change(&mut call);
        scene.meter.settle_missing(&scene.rules, &call).slack
    };
    assert_eq!(slack(|_| ()), Some(1_050_000));
    assert_eq!(slack(|call| call.choices = 3), Some(3_150_000));
    assert_eq!(slack(|call| call.choices = 0), Some(1_050_000));
    assert_eq!(
        slack(|call| (call.at_most, call.choices) = (Some(5), 3)),
        Some(5)
    );
    assert_eq!(slack(|call| call.model = Some("gpt-4o")), Some(144_384));
    assert_eq!(slack(|call| call.model = Some("o1-preview")), None);
    // With a hosted tool the model takes turns, and each can take as much.
    assert_eq!(slack(|call| call.hosted_tool = true), None);
    assert_eq!(
        slack(|call| (call.at_most, call.hosted_tool) = (Some(5), true)),
        Some(5)
    );
    // What no call can take is no bound.
    assert_eq!(slack(|call| call.choices = u64::MAX), None);
    assert_eq!(
        slack(|call| call.at_most = Some(Usage::MAX)),
        Some(Usage::MAX)
    );
    assert_eq!(slack(|call| call.at_most = Some(Usage::MAX + 1)), None);
}

#[test]
fn an_unknown_call_that_cannot_be_free_leaves_no_slack() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let choosy = scene.organization("choosy");
    let stranger = scene.organization("stranger");
    for call in [
        MissingCall {
            model: Some("gpt-4o-audio-preview"),
            ..missing(&acme, Some(9))
        },
        MissingCall {
            model: Some("ft:gpt-4o"),
            ..missing(&acme, Some(9))
        },
        MissingCall {
            project: Some("proj_other"),
            ..missing(&choosy, Some(9))
        },
        missing(&stranger, Some(9)),
    ] {
        let settled = scene.meter.settle_missing(&scene.rules, &call);
        assert_eq!(
            (settled.verdict, settled.slack),
            (Verdict::Unknown, Some(0))
        );
    }
}

#[test]
fn an_unknown_call_that_may_be_free_leaves_slack_where_it_may_have_drawn() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let slack = |group| {
        scene
            .meter
            .standing(&scene.rules, &acme, group, TODAY())
            .slack
    };
    for call in [
        MissingCall {
            service_tier: Some("auto"),
            ..missing(&acme, Some(1))
        },
        MissingCall {
            service_tier: Some("flex"),
            ..missing(&acme, Some(10))
        },
        MissingCall {
            model: Some("gpt-6.1-sol"),
            ..missing(&acme, Some(100))
        },
        MissingCall {
            model: Some("gpt-4o-mini"),
            ..missing(&acme, Some(1_000))
        },
        MissingCall {
            model: None,
            ..missing(&acme, Some(10_000))
        },
    ] {
        scene.meter.settle_missing(&scene.rules, &call);
    }
    assert_eq!((slack(LARGE).tokens, slack(SMALL).tokens), (10_111, 11_000));
    assert_eq!(slack(LARGE).sources.to_string(), "unknown-calls");
    scene.meter.settle_missing(
        &scene.rules,
        &MissingCall {
            model: None,
            ..missing(&acme, None)
        },
    );
    assert_eq!(slack(SMALL).without_limit.to_string(), "unknown-calls");
    assert_eq!(scene.take(1).assumes.to_string(), "unknown-calls");
}

#[test]
fn an_estimate_leaves_the_rest_of_its_bound() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let estimate = |at_most| FinishedCall {
        evidence: Evidence::Estimated { at_most },
        ..call(&acme, 100)
    };
    assert_eq!(scene.settle(&estimate(Some(150))).slack, Some(50));
    assert_eq!(scene.settle(&estimate(Some(10))).slack, Some(0));
    assert_eq!(scene.take(999_750).certainty, Some(Certainty::Final));
    assert_eq!(scene.take(1).assumes.to_string(), "unknown-calls");
    assert_eq!(scene.settle(&estimate(None)).slack, None);
    // A call that is billed, and may have drawn, leaves all of its bound.
    let flex = FinishedCall {
        service_tier: Some("flex"),
        ..estimate(Some(150))
    };
    let settled = scene.settle(&flex);
    assert_eq!(
        (settled.slack, settled.certainty),
        (Some(150), Some(Certainty::Estimated))
    );
}

#[test]
fn an_estimate_is_not_held_against_itself() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let estimate = FinishedCall {
        evidence: Evidence::Estimated { at_most: None },
        ..call(&acme, 100)
    };
    assert!(scene.settle(&estimate).assumes.is_empty());
    assert_eq!(scene.settle(&estimate).assumes.to_string(), "unknown-calls");
}

#[test]
fn slack_is_of_its_day() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let yesterday = MissingCall {
        at: MORNING - 86_400,
        ..missing(&acme, None)
    };
    let settled = scene.meter.settle_missing(&scene.rules, &yesterday);
    assert!(settled.straddles);
    assert_eq!(scene.take(1).certainty, Some(Certainty::Final));
}
