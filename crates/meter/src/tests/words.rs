//! The words of the public contract: each is its own, and each reason and assumption that a settlement or a
//! forecast can give is given by some call.

use std::collections::BTreeSet;

use super::{LARGE, MIDNIGHT, MORNING, Scene, TODAY, call, head, missing, paid_by};
use crate::{
    Assumption, Assumptions, CallAhead, Certainty, FinishedCall, Meter, MissingCall, Payer, Reason,
    Settlement, SlackSource, Verdict,
};

#[test]
fn words_are_the_contracts() {
    let verdicts = [
        Verdict::Free,
        Verdict::Billed,
        Verdict::Pending,
        Verdict::Unknown,
        Verdict::None,
    ];
    assert_eq!(
        verdicts.map(Verdict::as_str),
        ["free", "billed", "pending", "unknown", "none"]
    );
    let certainties = [
        Certainty::Confirmed,
        Certainty::Final,
        Certainty::Assumed,
        Certainty::Expected,
        Certainty::Estimated,
    ];
    let words = ["confirmed", "final", "assumed", "expected", "estimated"];
    assert_eq!(certainties.map(Certainty::as_str), words);
    assert_eq!(
        Reason::ALL.map(Reason::as_str).join(" "),
        "within-allowance crossing-call allowance-spent \
        model-not-listed fine-tuned-model project-not-shared organization-not-enrolled service-tier batch \
        payer-says-free payer-says-billed usage-missing not-asked unreadable-body client-gone upstream-broke \
        replay no-usage error-response"
    );
    assert_eq!(
        [Payer::OpenAi, Payer::Developer].map(Payer::as_str),
        ["openai", "developer"]
    );
}

/// One day of a busy organization, with all that can come out of it.
fn a_days_settlements() -> Vec<Settlement> {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let choosy = scene.organization("choosy");
    let stranger = scene.organization("stranger");
    let nobody = scene.organization("nobody");
    let plain = call(&acme, 100);
    let of_model = |model| FinishedCall {
        model: Some(model),
        ..plain
    };
    let in_tier = |tier| FinishedCall {
        service_tier: Some(tier),
        ..plain
    };
    let mut settled: Vec<Settlement> = [
        plain,
        FinishedCall {
            hosted_tool: true,
            ..plain
        },
        FinishedCall {
            began: MORNING - 86_400,
            ..plain
        },
        of_model("gpt-4o-audio-preview"),
        of_model("ft:gpt-4o"),
        of_model("gpt-6.1-sol"),
        in_tier("flex"),
        in_tier("batch"),
        call(&choosy, 1),
        FinishedCall {
            project: Some("proj_other"),
            ..call(&choosy, 1)
        },
        call(&stranger, 1),
        call(&nobody, 1),
        paid_by(Payer::OpenAi, of_model("gpt-4o-audio-preview")),
        paid_by(Payer::Developer, plain),
    ]
    .iter()
    .map(|call| scene.settle(call))
    .collect();
    for why in [
        Reason::UsageMissing,
        Reason::NotAsked,
        Reason::UnreadableBody,
        Reason::ClientGone,
        Reason::UpstreamBroke,
        Reason::Replay,
        Reason::NoUsage,
        Reason::ErrorResponse,
    ] {
        settled.push(scene.meter.settle_missing(
            &scene.rules,
            &MissingCall {
                why,
                ..missing(&acme, None)
            },
        ));
    }
    scene
        .meter
        .add_uncounted(&acme, LARGE, TODAY(), SlackSource::UncleanStop, None);
    settled.extend([plain, call(&acme, 1_000_000), plain].map(|call| scene.settle(&call)));
    settled.extend(elsewhere());
    settled
}

/// By a meter that began after midnight, and by one that shares its totals and hears nothing.
fn elsewhere() -> [Settlement; 2] {
    let late = Scene {
        meter: Meter::new(MIDNIGHT + 1),
        ..Scene::billed_after_crossing()
    };
    let shared = Scene::billed_after_crossing();
    shared.meter.share();
    [late.take(1), shared.take(1)]
}

#[test]
fn every_reason_and_every_assumption_is_given_by_some_call() {
    let settled = a_days_settlements();
    let reasons: BTreeSet<Reason> = settled.iter().map(|settled| settled.reason).collect();
    assert_eq!(reasons, BTreeSet::from(Reason::ALL));
    let assumed = settled
        .iter()
        .fold(Assumptions::NONE, |all, settled| all.union(settled.assumes));
    assert_eq!(assumed.iter().collect::<Vec<_>>(), Assumption::ALL);
}

#[test]
fn unknown_calls_have_neither_certainty_nor_assumptions() {
    for settled in a_days_settlements() {
        let unknown = settled.verdict == Verdict::Unknown;
        assert_eq!(settled.certainty.is_none(), unknown);
        assert_eq!(settled.usage.is_none(), unknown);
        assert!(!unknown || settled.assumes.is_empty());
        // Assumed if and only if something is.
        let assumed = settled.certainty == Some(Certainty::Assumed);
        assert_eq!(assumed, !settled.assumes.is_empty());
    }
}

#[test]
fn a_forecast_is_expected_or_says_nothing() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    for model in [
        None,
        Some("gpt-6-sol"),
        Some("gpt-5.6"),
        Some("gpt-6.1-sol"),
        Some("tts-1"),
    ] {
        for bound in [None, Some(1), Some(2_000_000)] {
            let head = CallAhead {
                model,
                ..head(&acme, bound)
            };
            let expected = scene.meter.expect(&scene.rules, &head);
            let pending = expected.verdict == Verdict::Pending;
            assert_eq!(
                expected.certainty,
                (!pending).then_some(Certainty::Expected)
            );
            assert_eq!(expected.reason.is_none(), pending);
        }
    }
}
