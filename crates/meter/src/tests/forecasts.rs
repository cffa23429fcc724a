//! What the head of a stream may say, with slack and other calls under way.

use super::{LARGE, Scene, TODAY, call, head, missing, paid_by};
use crate::{
    AfterCrossing, CallAhead, Certainty, Expectation, FinishedCall, Meter, Payer, Reason, Usage,
    Verdict,
};

fn expect(scene: &Scene, head: &CallAhead<'_>) -> Expectation {
    scene.meter.expect(&scene.rules, head)
}

#[track_caller]
fn assert_free(expectation: &Expectation, assumes: &str) {
    assert_eq!(
        (expectation.verdict, expectation.certainty),
        (Verdict::Free, Some(Certainty::Expected))
    );
    assert_eq!(
        (expectation.reason, expectation.assumes.to_string()),
        (Some(Reason::WithinAllowance), assumes.into())
    );
}

#[track_caller]
fn assert_billed(expectation: &Expectation, reason: Reason, assumes: &str) {
    assert_eq!(
        (expectation.verdict, expectation.certainty),
        (Verdict::Billed, Some(Certainty::Expected))
    );
    assert_eq!(
        (expectation.reason, expectation.assumes.to_string()),
        (Some(reason), assumes.into())
    );
}

#[track_caller]
fn assert_pending(expectation: &Expectation) {
    assert_eq!(
        (expectation.verdict, expectation.certainty),
        (Verdict::Pending, None)
    );
    assert_eq!(
        (expectation.reason, expectation.assumes.to_string()),
        (None, String::new())
    );
}

#[test]
fn a_bounded_call_that_fits_is_expected_free() {
    for after_crossing in [AfterCrossing::Billed, AfterCrossing::FreeIfItFits] {
        let scene = Scene::new(after_crossing);
        let acme = scene.organization("acme");
        scene.take(900_000);
        let fits = expect(&scene, &head(&acme, Some(100_000)));
        assert_free(&fits, "");
        assert_eq!(
            (fits.group, fits.allowance, fits.remaining),
            (Some(LARGE), Some(1_000_000), Some(100_000))
        );
        let may_not_fit = expect(&scene, &head(&acme, Some(100_001)));
        assert_pending(&may_not_fit);
        assert_eq!(may_not_fit.remaining, Some(100_000));
        assert_pending(&expect(&scene, &head(&acme, None)));
    }
}

#[test]
fn a_spent_allowance_is_expected_billed() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    scene.take(999_999);
    assert_pending(&expect(&scene, &head(&acme, None)));
    scene.take(1);
    // Every call takes at least a token, and the next token is past the allowance.
    assert_billed(
        &expect(&scene, &head(&acme, None)),
        Reason::AllowanceSpent,
        "",
    );
    let fits = Scene::new(AfterCrossing::FreeIfItFits);
    fits.take(999_999);
    fits.take(10);
    assert_free(
        &expect(&fits, &head(&fits.organization("acme"), Some(1))),
        "",
    );
}

#[test]
fn a_call_that_cannot_be_free_is_expected_billed() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let asked = |model, service_tier| CallAhead {
        model,
        service_tier,
        ..head(&acme, Some(1))
    };
    let of = |model, service_tier| expect(&scene, &asked(Some(model), service_tier));
    assert_billed(
        &of("gpt-4o-audio-preview", None),
        Reason::ModelNotListed,
        "",
    );
    assert_billed(&of("ft:gpt-4o:x", None), Reason::FineTunedModel, "");
    assert_billed(
        &of("gpt-6.1-sol", None),
        Reason::ModelNotListed,
        "model-list",
    );
    assert_billed(
        &of("gpt-4o", Some("flex")),
        Reason::ServiceTier,
        "service-tier",
    );
    assert_billed(&of("gpt-4o", Some("batch")), Reason::Batch, "service-tier");
    assert_free(&of("gpt-4o", Some("auto")), "");
    assert_free(&of("gpt-4o-2024-08-06", Some("default")), "");
    assert_pending(&expect(&scene, &asked(None, None)));
    assert!(
        scene
            .meter
            .begin(&scene.rules, &asked(Some("gpt-4o-audio-preview"), None))
            .is_none()
    );
    let stranger = scene.organization("stranger");
    assert_billed(
        &expect(&scene, &head(&stranger, Some(1))),
        Reason::OrganizationNotEnrolled,
        "",
    );
}

#[test]
fn other_calls_under_way_are_held_against_a_forecast() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let first = head(&acme, Some(600_000));
    let second = head(&acme, Some(400_001));
    let first_under_way = scene.meter.begin(&scene.rules, &first).unwrap();
    assert_free(
        &expect(
            &scene,
            &CallAhead {
                own: Some(&first_under_way),
                ..first
            },
        ),
        "",
    );
    let second_under_way = scene.meter.begin(&scene.rules, &second).unwrap();
    assert_pending(&expect(
        &scene,
        &CallAhead {
            own: Some(&second_under_way),
            ..second
        },
    ));
    assert_free(
        &expect(
            &scene,
            &CallAhead {
                own: Some(&second_under_way),
                bound: Some(400_000),
                ..second
            },
        ),
        "",
    );
    drop(first_under_way);
    assert_free(
        &expect(
            &scene,
            &CallAhead {
                own: Some(&second_under_way),
                ..second
            },
        ),
        "",
    );
    drop(second_under_way);
    let none = scene
        .meter
        .standing(&scene.rules, &acme, LARGE, TODAY())
        .in_flight;
    assert_eq!((none.tokens, none.unbounded), (0, 0));
}

#[test]
fn an_unbounded_call_under_way_leaves_every_other_pending() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    for bound in [None, Some(Usage::MAX + 1)] {
        let unbounded = scene
            .meter
            .begin(&scene.rules, &head(&acme, bound))
            .unwrap();
        assert_eq!(unbounded.forecast().bound, None);
        assert_pending(&expect(&scene, &head(&acme, Some(1))));
        assert_free(
            &expect(
                &scene,
                &CallAhead {
                    own: Some(&unbounded),
                    ..head(&acme, Some(1))
                },
            ),
            "",
        );
        drop(unbounded);
        assert_free(&expect(&scene, &head(&acme, Some(1))), "");
    }
}

#[test]
fn slack_with_a_bound_takes_room_and_without_one_is_named() {
    let mut scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    scene
        .meter
        .settle_missing(&scene.rules, &missing(&acme, Some(100)));
    assert_free(&expect(&scene, &head(&acme, Some(999_900))), "");
    assert_pending(&expect(&scene, &head(&acme, Some(999_901))));
    scene.meter = Meter::new(super::MORNING);
    let acme = scene.organization("acme");
    assert_free(&expect(&scene, &head(&acme, Some(1_000_000))), "day-start");
    let nobody = scene.organization("nobody");
    assert_free(
        &expect(&scene, &head(&nobody, Some(250_000))),
        "enrolment,outside-usage,day-start",
    );
    let hosted = CallAhead {
        hosted_tool: true,
        ..head(&acme, Some(1))
    };
    assert_free(&expect(&scene, &hosted), "day-start,hosted-tool");
}

#[test]
fn openais_contradictions_reach_the_forecast() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let billed_by_openai: FinishedCall<'_> = paid_by(Payer::Developer, call(&acme, 10));
    scene.settle(&billed_by_openai);
    assert_free(&expect(&scene, &head(&acme, Some(1))), "payer");
    scene.settle(&billed_by_openai);
    scene.settle(&billed_by_openai);
    assert_billed(
        &expect(&scene, &head(&acme, Some(1))),
        Reason::PayerSaysBilled,
        "payer",
    );
    assert_billed(
        &expect(&scene, &head(&acme, None)),
        Reason::PayerSaysBilled,
        "payer",
    );
}

#[test]
fn a_call_without_bound_is_forecast_by_what_such_calls_took() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    scene.take(900_000);
    assert_pending(&expect(&scene, &head(&acme, None)));
    for number in 0..64 {
        scene.meter.took("responses", "gpt-6-sol", 1_000 + number);
    }
    assert_free(&expect(&scene, &head(&acme, None)), "");
    // Of a bound and what is usual the smaller counts.
    assert_free(&expect(&scene, &head(&acme, Some(100_001))), "");
    assert_pending(&expect(
        &scene,
        &CallAhead {
            kind: "chat.completions",
            ..head(&acme, None)
        },
    ));
    let under_way: Vec<_> = (0..94)
        .map(|_| scene.meter.begin(&scene.rules, &head(&acme, None)).unwrap())
        .collect();
    assert_eq!(under_way[0].forecast().likely, Some(1_063));
    // 94 others of 1,063 tokens each leave 78 of 100,000.
    assert_pending(&expect(&scene, &head(&acme, None)));
    assert_free(&expect(&scene, &head(&acme, Some(78))), "");
    let own = CallAhead {
        own: under_way.last(),
        ..head(&acme, None)
    };
    assert_free(&expect(&scene, &own), "");
}
