//! Calls that cannot be free, how surely, and whose slack they are.

use super::{LARGE, SMALL, Scene, TODAY, call, paid_by};
use crate::{Assumption, Certainty, FinishedCall, Payer, Reason, Settlement, Verdict};

fn settle(scene: &Scene, model: Option<&str>, service_tier: Option<&str>) -> Settlement {
    let acme = scene.organization("acme");
    scene.settle(&FinishedCall {
        model,
        service_tier,
        ..call(&acme, 100)
    })
}

fn slack(scene: &Scene) -> (u64, u64) {
    let acme = scene.organization("acme");
    let of = |group| {
        scene
            .meter
            .standing(&scene.rules, &acme, group, TODAY())
            .slack
            .tokens
    };
    (of(LARGE), of(SMALL))
}

#[track_caller]
fn assert_billed(settled: &Settlement, reason: Reason, assumes: &str) {
    assert_eq!(
        (settled.verdict, settled.reason, settled.span),
        (Verdict::Billed, reason, None)
    );
    let certainty = if assumes.is_empty() {
        Certainty::Final
    } else {
        Certainty::Assumed
    };
    assert_eq!(
        (settled.assumes.to_string(), settled.certainty),
        (assumes.to_owned(), Some(certainty))
    );
}

#[test]
fn a_model_that_is_not_listed_is_billed_for_sure() {
    let scene = Scene::billed_after_crossing();
    for model in [
        "gpt-4o-audio-preview",
        "gpt-4o-2024-08-07",
        "gpt-6-solar",
        "GPT-6-sol",
        "o1-preview-pro",
    ] {
        let settled = settle(&scene, Some(model), None);
        assert_billed(&settled, Reason::ModelNotListed, "");
        assert_eq!(
            (settled.group, settled.allowance, settled.slack),
            (None, None, Some(0))
        );
    }
    assert_billed(
        &settle(&scene, Some("ft:gpt-4o-2024-08-06:acme::x"), None),
        Reason::FineTunedModel,
        "",
    );
    assert_eq!(slack(&scene), (0, 0));
    assert_eq!(scene.taken("acme"), 0);
}

#[test]
fn a_model_newer_than_the_list_may_have_drawn_on_its_familys_group() {
    let scene = Scene::billed_after_crossing();
    let settled = settle(&scene, Some("gpt-6.1-sol"), None);
    assert_billed(&settled, Reason::ModelNotListed, "model-list");
    assert_eq!((settled.group, settled.slack), (Some(LARGE), Some(100)));
    assert!(settled.cost.is_some());
    assert_billed(
        &settle(&scene, Some("gpt-6.1-luna"), None),
        Reason::ModelNotListed,
        "model-list",
    );
    assert_eq!(slack(&scene), (100, 100));
}

#[test]
fn an_answer_that_names_itself_by_an_alias_is_not_surely_unlisted() {
    let scene = Scene::billed_after_crossing();
    let settled = settle(&scene, Some("gpt-4o-mini"), None);
    assert_billed(&settled, Reason::ModelNotListed, "model-list");
    assert_eq!(slack(&scene), (0, 100));
}

#[test]
fn a_call_without_a_model_may_have_drawn_on_every_group() {
    let scene = Scene::billed_after_crossing();
    assert_billed(
        &settle(&scene, None, None),
        Reason::ModelNotListed,
        "model-list",
    );
    assert_eq!(slack(&scene), (100, 100));
}

#[test]
fn other_service_tiers_are_billed_and_may_have_drawn_on_the_group() {
    let scene = Scene::billed_after_crossing();
    for tier in ["flex", "priority", "scale", "Default", ""] {
        let settled = settle(&scene, Some("gpt-6-sol"), Some(tier));
        assert_billed(&settled, Reason::ServiceTier, "service-tier");
        assert_eq!((settled.group, settled.slack), (Some(LARGE), Some(100)));
    }
    assert_billed(
        &settle(&scene, Some("gpt-6-sol"), Some("batch")),
        Reason::Batch,
        "service-tier",
    );
    assert_eq!(slack(&scene), (600, 0));
    for default in [None, Some("default"), Some("auto")] {
        let settled = settle(&scene, Some("gpt-6-sol"), default);
        assert_eq!(settled.verdict, Verdict::Free, "{default:?}");
    }
    // A sure reason comes before one that is assumed.
    assert_billed(
        &settle(&scene, Some("gpt-4o-audio-preview"), Some("flex")),
        Reason::ModelNotListed,
        "",
    );
}

#[test]
fn openais_word_makes_a_billed_call_sure_and_leaves_no_slack() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let newer = FinishedCall {
        model: Some("gpt-6.1-sol"),
        ..call(&acme, 100)
    };
    let settled = scene.settle(&paid_by(Payer::Developer, newer));
    assert_eq!(
        (settled.verdict, settled.certainty),
        (Verdict::Billed, Some(Certainty::Confirmed))
    );
    assert_eq!(
        (settled.reason, settled.payer_differs),
        (Reason::ModelNotListed, false)
    );
    assert!(settled.assumes.is_empty());
    assert_eq!(slack(&scene), (0, 0));
}

#[test]
fn an_unlisted_model_that_openai_pays_for_is_an_alarm() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    for (count, model) in [(1, Some("brand-new")), (2, Some("gpt-6.1-sol")), (3, None)] {
        let settled = scene.settle(&paid_by(
            Payer::OpenAi,
            FinishedCall {
                model,
                ..call(&acme, 100)
            },
        ));
        assert!(settled.unlisted_but_free && settled.payer_differs);
        assert_eq!(
            (settled.verdict, settled.ours),
            (Verdict::Free, Verdict::Billed)
        );
        assert_eq!(
            (settled.reason, settled.span),
            (Reason::PayerSaysFree, None)
        );
        assert_eq!(settled.certainty, Some(Certainty::Confirmed));
        assert_eq!(slack(&scene), (count * 100, count * 100));
    }
    // The slack can overturn what comes later.
    assert_eq!(scene.take(999_700).certainty, Some(Certainty::Final));
    let last = scene.take(1);
    assert!(last.assumes.contains(Assumption::ModelList));
}

#[test]
fn a_call_that_openai_pays_for_against_the_declarations_is_slack_of_its_group() {
    let scene = Scene::billed_after_crossing();
    for (name, assumption) in [("stranger", "enrolment"), ("choosy", "sharing")] {
        let organization = scene.organization(name);
        let other = FinishedCall {
            project: Some("proj_other"),
            ..call(&organization, 100)
        };
        let settled = scene.settle(&paid_by(Payer::OpenAi, other));
        assert_eq!(
            (settled.verdict, settled.reason),
            (Verdict::Free, Reason::PayerSaysFree)
        );
        assert!(!settled.unlisted_but_free);
        let standing = scene
            .meter
            .standing(&scene.rules, &organization, LARGE, TODAY());
        assert_eq!(
            (standing.slack.tokens, standing.slack.sources.to_string()),
            (100, assumption.to_owned())
        );
    }
}

#[test]
fn the_incentivized_tier_is_openais_word() {
    let scene = Scene::billed_after_crossing();
    let settled = settle(&scene, Some("gpt-6-sol"), Some("incentivized-tier"));
    assert_eq!(
        (settled.verdict, settled.certainty),
        (Verdict::Free, Some(Certainty::Confirmed))
    );
    assert_eq!(
        (settled.payer, settled.span.map(|span| span.after)),
        (Some(Payer::OpenAi), Some(100))
    );
    assert!(settled.saved.is_some());
}
