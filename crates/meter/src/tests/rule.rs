//! The rule itself: the published example, the two readings, the day, and what a settlement carries.

use super::{LARGE, MIDNIGHT, MORNING, SMALL, Scene, TODAY, call, usage};
use crate::{
    AfterCrossing, Assumption, Assumptions, Certainty, Day, Dollars, FinishedCall, Meter, Reason,
    Span, Usage, Verdict,
};

/// `OpenAI`'s own example for the "1M token group": time, tokens, running total after, free.
const PUBLISHED: [(i64, i64, u64, u64, bool); 8] = [
    (9, 15, 120_000, 120_000, true),
    (12, 40, 140_000, 260_000, true),
    (14, 30, 150_000, 410_000, true),
    (16, 0, 150_000, 560_000, true),
    (18, 5, 150_000, 710_000, true),
    (20, 20, 150_000, 860_000, true),
    (22, 15, 115_000, 975_000, true),
    (23, 10, 30_000, 1_005_000, false),
];

#[test]
fn the_published_example_holds_in_both_readings() {
    for after_crossing in [AfterCrossing::Billed, AfterCrossing::FreeIfItFits] {
        let scene = Scene::new(after_crossing);
        let acme = scene.organization("acme");
        for (hour, minute, tokens, total, free) in PUBLISHED {
            let at = MIDNIGHT + hour * 3_600 + minute * 60;
            let settled = scene.settle(&FinishedCall {
                began: at,
                at,
                ..call(&acme, tokens)
            });
            assert_eq!(
                settled.span,
                Some(Span {
                    before: total - tokens,
                    after: total
                })
            );
            assert_eq!(settled.verdict == Verdict::Free, free, "at {hour}:{minute}");
            assert_eq!(settled.certainty, Some(Certainty::Final));
            let reason = if free {
                Reason::WithinAllowance
            } else {
                Reason::CrossingCall
            };
            assert_eq!(settled.reason, reason);
            assert!(!settled.disputed);
        }
    }
}

#[test]
fn after_the_crossing_call_the_readings_part() {
    let billed = Scene::new(AfterCrossing::Billed);
    let fits = Scene::new(AfterCrossing::FreeIfItFits);
    for scene in [&billed, &fits] {
        scene.take(975_000);
        assert_eq!(scene.take(30_000).reason, Reason::CrossingCall);
    }
    let later = billed.take(20_000);
    assert_eq!(
        (later.verdict, later.reason),
        (Verdict::Billed, Reason::AllowanceSpent)
    );
    assert_eq!(
        (later.certainty, later.remaining),
        (Some(Certainty::Final), Some(0))
    );
    assert!(later.disputed);

    let later = fits.take(20_000);
    assert_eq!(
        (later.verdict, later.reason),
        (Verdict::Free, Reason::WithinAllowance)
    );
    assert_eq!(later.remaining, Some(5_000));
    assert!(later.disputed && later.fitted);
    // What does not fit leaves the room to what does, until there is none.
    assert_eq!(fits.take(5_001).reason, Reason::CrossingCall);
    assert_eq!(fits.take(5_000).verdict, Verdict::Free);
    assert_eq!(fits.take(1).reason, Reason::AllowanceSpent);
    assert!(!fits.take(1).disputed);
}

#[test]
fn the_last_token_of_the_allowance_is_free_and_the_next_is_not() {
    let scene = Scene::billed_after_crossing();
    let last = scene.take(1_000_000);
    assert_eq!((last.verdict, last.remaining), (Verdict::Free, Some(0)));
    // Nothing was past the allowance yet: this is the first span that ends there.
    assert_eq!(scene.take(0).verdict, Verdict::Free);
    assert_eq!(scene.take(1).reason, Reason::CrossingCall);
    assert_eq!(scene.take(0).reason, Reason::AllowanceSpent);
}

#[test]
fn a_first_call_can_cross_alone() {
    let scene = Scene::billed_after_crossing();
    let first = scene.take(1_000_001);
    assert_eq!(
        (first.verdict, first.reason),
        (Verdict::Billed, Reason::CrossingCall)
    );
    assert_eq!(scene.taken("acme"), 1_000_001);
    assert_eq!(scene.take(1).reason, Reason::AllowanceSpent);
}

#[test]
fn each_group_organization_and_day_has_its_own_total() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let part = scene.organization("part");
    scene.take(1_000_001);
    let small = FinishedCall {
        model: Some("gpt-5.6-luna"),
        ..call(&acme, 1)
    };
    assert_eq!(scene.settle(&small).group, Some(SMALL));
    assert_eq!(scene.settle(&small).verdict, Verdict::Free);
    assert_eq!(scene.settle(&call(&part, 1)).verdict, Verdict::Free);
    let last_second = FinishedCall {
        at: MIDNIGHT + 86_399,
        ..call(&acme, 1)
    };
    assert_eq!(scene.settle(&last_second).verdict, Verdict::Billed);
    let next = FinishedCall {
        began: MIDNIGHT + 86_400,
        at: MIDNIGHT + 86_400,
        ..call(&acme, 1)
    };
    let settled = scene.settle(&next);
    assert_eq!(
        (settled.verdict, settled.day),
        (Verdict::Free, Day::at(MIDNIGHT + 86_400))
    );
    assert_eq!(
        settled.span,
        Some(Span {
            before: 0,
            after: 1
        })
    );
}

#[test]
fn a_call_that_began_on_another_day_is_marked_and_only_its_free_verdict_assumes() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let over_midnight = FinishedCall {
        began: MIDNIGHT - 1,
        ..call(&acme, 600_000)
    };
    let settled = scene.settle(&over_midnight);
    assert!(settled.straddles);
    assert_eq!(settled.assumes, Assumptions::from(Assumption::Straddles));
    assert_eq!(
        (settled.verdict, settled.certainty),
        (Verdict::Free, Some(Certainty::Assumed))
    );
    let settled = scene.settle(&over_midnight);
    assert!(settled.straddles);
    assert_eq!(
        (settled.verdict, settled.certainty),
        (Verdict::Billed, Some(Certainty::Final))
    );
}

#[test]
fn a_call_nearer_to_midnight_than_clocks_agree_is_marked_and_no_other() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let ended = |at| {
        let settled = scene.settle(&FinishedCall {
            began: at,
            at,
            ..call(&acme, 1)
        });
        let says = settled.assumes == Assumptions::from(Assumption::Straddles);
        assert_eq!(settled.straddles, says, "{at}");
        settled.straddles
    };
    let tomorrow = MIDNIGHT + 86_400;
    let near = [tomorrow - 3, tomorrow - 1, tomorrow, tomorrow + 2];
    assert!(near.into_iter().all(ended));
    let far = [tomorrow - 4, tomorrow + 3];
    assert!(!far.into_iter().any(ended));
}

#[test]
fn a_hosted_tool_makes_a_free_verdict_assumed() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let settled = scene.settle(&FinishedCall {
        hosted_tool: true,
        ..call(&acme, 10)
    });
    assert_eq!(settled.assumes, Assumptions::from(Assumption::HostedTool));
    assert_eq!(settled.verdict, Verdict::Free);
}

#[test]
fn what_is_not_declared_is_assumed() {
    let scene = Scene::billed_after_crossing();
    let nobody = scene.organization("nobody");
    let settled = scene.settle(&call(&nobody, 250_000));
    assert_eq!(settled.allowance, Some(250_000));
    assert_eq!(settled.assumes.to_string(), "enrolment,outside-usage");
    assert_eq!(
        (settled.verdict, settled.certainty),
        (Verdict::Free, Some(Certainty::Assumed))
    );
    // Billed by the totals is billed whatever is assumed.
    assert_eq!(
        scene.settle(&call(&nobody, 1)).certainty,
        Some(Certainty::Final)
    );

    let part = scene.organization("part");
    assert_eq!(
        scene.settle(&call(&part, 1)).assumes.to_string(),
        "outside-usage"
    );
    let unknown = scene.meter.organizations().unknown();
    assert_eq!(
        scene.settle(&call(&unknown, 1)).assumes.to_string(),
        "enrolment,outside-usage"
    );
}

#[test]
fn openais_word_shows_enrolment_for_thirty_days() {
    let scene = Scene::billed_after_crossing();
    let nobody = scene.organization("nobody");
    let paid = FinishedCall {
        payer: Some(crate::Payer::OpenAi),
        ..call(&nobody, 1)
    };
    assert_eq!(scene.settle(&paid).certainty, Some(Certainty::Confirmed));
    let later = |seconds| FinishedCall {
        began: MORNING + seconds,
        at: MORNING + seconds,
        ..call(&nobody, 1)
    };
    assert_eq!(
        scene.settle(&later(30 * 86_400)).assumes.to_string(),
        "outside-usage"
    );
    assert_eq!(
        scene.settle(&later(30 * 86_400 + 1)).assumes.to_string(),
        "enrolment,outside-usage"
    );
}

#[test]
fn a_list_of_shared_projects_decides_only_about_known_projects() {
    let scene = Scene::billed_after_crossing();
    let choosy = scene.organization("choosy");
    let of = |project| {
        scene.settle(&FinishedCall {
            project,
            ..call(&choosy, 10)
        })
    };
    assert_eq!(of(Some("proj_shared")).certainty, Some(Certainty::Final));
    assert_eq!(of(None).assumes.to_string(), "sharing");
    let other = of(Some("proj_other"));
    assert_eq!(
        (other.verdict, other.reason),
        (Verdict::Billed, Reason::ProjectNotShared)
    );
    assert_eq!(
        (other.certainty, other.span),
        (Some(Certainty::Final), None)
    );
    assert_eq!(scene.taken("choosy"), 20);
}

#[test]
fn an_organization_that_is_not_enrolled_has_no_allowance() {
    let scene = Scene::billed_after_crossing();
    let stranger = scene.organization("stranger");
    let settled = scene.settle(&call(&stranger, 10));
    assert_eq!(
        (settled.verdict, settled.reason),
        (Verdict::Billed, Reason::OrganizationNotEnrolled)
    );
    assert_eq!(
        (settled.certainty, settled.slack),
        (Some(Certainty::Final), Some(0))
    );
    assert_eq!(
        (settled.allowance, settled.remaining, settled.span),
        (Some(0), Some(0), None)
    );
}

#[test]
fn the_list_price_is_what_was_paid_or_saved() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let tokens = Usage {
        input: 999_000,
        output: 1_000,
        ..Usage::default()
    };
    let free = scene.settle(&FinishedCall {
        usage: tokens,
        ..call(&acme, 0)
    });
    assert_eq!(
        (free.cost, free.saved),
        (Some(Dollars::ZERO), Some(Dollars(2_008_000_000_000)))
    );
    let billed = scene.settle(&FinishedCall {
        usage: tokens,
        ..call(&acme, 0)
    });
    assert_eq!(
        (billed.cost, billed.saved),
        (Some(Dollars(2_008_000_000_000)), Some(Dollars::ZERO))
    );
    let unpriced = FinishedCall {
        model: Some("gpt-4o-2024-08-06"),
        ..call(&acme, 10)
    };
    assert_eq!(
        (scene.settle(&unpriced).cost, scene.settle(&unpriced).saved),
        (None, None)
    );
    // A price carries a date.
    let input = Usage {
        input: 1,
        ..Usage::default()
    };
    let dated = FinishedCall {
        model: Some("gpt-5.6-sol"),
        usage: input,
        ..call(&acme, 0)
    };
    assert_eq!(scene.settle(&dated).cost, Some(Dollars(4_000_000)));
    let october = FinishedCall {
        at: MORNING - 30 * 86_400,
        ..dated
    };
    assert_eq!(scene.settle(&october).saved, Some(Dollars(5_000_000)));
}

#[test]
fn a_day_that_was_not_counted_from_its_start_is_assumed() {
    let mut scene = Scene::billed_after_crossing();
    scene.meter = Meter::new(MIDNIGHT + 1);
    let first = scene.take(10);
    assert_eq!(first.assumes.to_string(), "day-start");
    let acme = scene.organization("acme");
    let tomorrow = FinishedCall {
        began: MORNING + 86_400,
        at: MORNING + 86_400,
        ..call(&acme, 10)
    };
    assert_eq!(scene.settle(&tomorrow).certainty, Some(Certainty::Final));
    let standing = scene.meter.standing(&scene.rules, &acme, SMALL, TODAY());
    assert!(standing.slack.without_limit.contains(Assumption::DayStart));
}

#[test]
fn a_forgotten_day_is_not_taken_for_an_empty_one() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    scene.take(1_000_000);
    let tomorrow = Day::at(MIDNIGHT + 86_400);
    let next = FinishedCall {
        began: MORNING + 86_400,
        at: MORNING + 86_400,
        ..call(&acme, 10)
    };
    scene.settle(&next);
    scene.meter.forget_before(tomorrow);
    assert_eq!(
        scene.settle(&next).span,
        Some(Span {
            before: 10,
            after: 20
        })
    );
    assert_eq!(scene.take(1).assumes.to_string(), "day-start");
    assert_eq!(scene.settle(&next).certainty, Some(Certainty::Final));
}

#[test]
fn absurd_usage_cannot_break_a_total() {
    let scene = Scene::billed_after_crossing();
    let acme = scene.organization("acme");
    let absurd = Usage {
        input: u64::MAX,
        output: u64::MAX,
        ..Usage::default()
    };
    scene.settle(&FinishedCall {
        usage: absurd,
        ..call(&acme, 0)
    });
    assert_eq!(scene.taken("acme"), Usage::MAX);
    let standing = scene.meter.standing(&scene.rules, &acme, LARGE, TODAY());
    assert_eq!((standing.remaining, standing.fitted), (0, 0));
    assert_eq!(usage(7).tokens(), 7);
}
