//! `OpenAI`'s own word on who pays: it wins, and contradictions move the standing.

use super::{LARGE, MORNING, SMALL, Scene, TODAY, call, paid_by};
use crate::{Certainty, Evidence, FinishedCall, Payer, Reason, Verdict};

#[test]
fn agreement_keeps_our_reason() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let settled = scene.settle(&paid_by(Payer::OpenAi, call(&acme, 1_000_000)));
    assert_eq!(
        (settled.verdict, settled.reason),
        (Verdict::Free, Reason::WithinAllowance)
    );
    assert_eq!(
        (settled.certainty, settled.payer_differs),
        (Some(Certainty::Confirmed), false)
    );
    let settled = scene.settle(&paid_by(Payer::Developer, call(&acme, 1)));
    assert_eq!(
        (settled.verdict, settled.reason),
        (Verdict::Billed, Reason::CrossingCall)
    );
    assert_eq!(
        (settled.certainty, settled.payer_differs),
        (Some(Certainty::Confirmed), false)
    );
}

#[test]
fn contradiction_keeps_ours_beside_openais() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let settled = scene.settle(&paid_by(Payer::Developer, call(&acme, 1_000_000)));
    assert_eq!(
        (settled.verdict, settled.reason),
        (Verdict::Billed, Reason::PayerSaysBilled)
    );
    assert_eq!((settled.ours, settled.payer_differs), (Verdict::Free, true));
    assert!(settled.cost > settled.saved);
    let settled = scene.settle(&paid_by(Payer::OpenAi, call(&acme, 1)));
    assert_eq!(
        (settled.verdict, settled.reason),
        (Verdict::Free, Reason::PayerSaysFree)
    );
    assert_eq!(
        (settled.ours, settled.payer_differs),
        (Verdict::Billed, true)
    );
    // Both took their span all the same.
    assert_eq!(scene.taken("acme"), 1_000_001);
}

#[test]
fn after_a_contradiction_free_is_assumed_and_after_three_it_is_billed() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let billed_by_openai = paid_by(Payer::Developer, call(&acme, 10));
    for count in 1..=3 {
        assert_eq!(scene.settle(&billed_by_openai).ours, Verdict::Free);
        let settled = scene.take(10);
        assert_eq!(
            (settled.assumes.to_string(), settled.certainty),
            ("payer".into(), Some(Certainty::Assumed))
        );
        let expected = if count < 3 {
            (Verdict::Free, Reason::WithinAllowance)
        } else {
            (Verdict::Billed, Reason::PayerSaysBilled)
        };
        assert_eq!((settled.verdict, settled.reason), expected);
    }
    // Nothing is left to be free, and the totals are not the reason.
    let standing = scene.meter.standing(&scene.rules, &acme, LARGE, TODAY());
    assert_eq!((standing.remaining, standing.taken), (0, 60));
    assert!(standing.payer_says_billed);
    // Ours now agrees with OpenAI's word, which is no further contradiction.
    let settled = scene.settle(&billed_by_openai);
    assert_eq!(settled.remaining, Some(0));
    assert_eq!(
        (settled.ours, settled.payer_differs),
        (Verdict::Billed, false)
    );
    assert_eq!(
        (settled.reason, settled.certainty),
        (Reason::PayerSaysBilled, Some(Certainty::Confirmed))
    );
    // Another group and another day have their own standing.
    let small = FinishedCall {
        model: Some("gpt-5.6-luna"),
        ..call(&acme, 10)
    };
    assert_eq!(scene.settle(&small).group, Some(SMALL));
    assert_eq!(scene.settle(&small).certainty, Some(Certainty::Final));
    let tomorrow = FinishedCall {
        began: MORNING + 86_400,
        at: MORNING + 86_400,
        ..call(&acme, 10)
    };
    assert_eq!(scene.settle(&tomorrow).certainty, Some(Certainty::Final));
}

#[test]
fn openais_word_that_it_pays_ends_the_row() {
    for service_tier in [None, Some("flex")] {
        let scene = Scene::billed_after_crossing();
        let acme = scene.organization("acme");
        for _ in 0..3 {
            scene.settle(&paid_by(Payer::Developer, call(&acme, 10)));
        }
        assert_eq!(scene.take(10).reason, Reason::PayerSaysBilled);
        scene.settle(&paid_by(
            Payer::OpenAi,
            FinishedCall {
                service_tier,
                ..call(&acme, 10)
            },
        ));
        let settled = scene.take(10);
        assert_eq!(settled.certainty, Some(Certainty::Final));
        assert!(settled.remaining > Some(0));
    }
}

#[test]
fn a_call_billed_by_the_totals_is_not_blamed_on_the_payer() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    for _ in 0..3 {
        scene.settle(&paid_by(Payer::Developer, call(&acme, 400_000)));
    }
    // The third crossed: ours was billed, so there were two contradictions only.
    let settled = scene.take(1);
    assert_eq!(
        (settled.reason, settled.certainty),
        (Reason::AllowanceSpent, Some(Certainty::Final))
    );
    let standing = scene.meter.standing(&scene.rules, &acme, LARGE, TODAY());
    assert_eq!(
        (standing.contradictions, standing.payer_says_billed),
        (2, false)
    );
}

#[test]
fn an_estimate_stays_an_estimate_unless_openai_speaks() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let estimate = FinishedCall {
        evidence: Evidence::Estimated { at_most: Some(500) },
        ..call(&acme, 100)
    };
    let settled = scene.settle(&estimate);
    assert_eq!(
        (settled.verdict, settled.certainty),
        (Verdict::Free, Some(Certainty::Estimated))
    );
    assert_eq!(
        (settled.slack, settled.span.map(|span| span.after)),
        (Some(400), Some(100))
    );
    let settled = scene.settle(&paid_by(Payer::OpenAi, estimate));
    assert_eq!(settled.certainty, Some(Certainty::Confirmed));
}
