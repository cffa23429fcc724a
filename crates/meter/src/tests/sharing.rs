//! Totals shared by replicas: what a call is handed decides, what was heard of the others is under every span taken
//! here, and what nobody could be asked for is assumed.

use super::*;
use crate::{Assumption, Certainty, Correction, Fit, Grant, Portion, SlackSource, Span, Verdict};

fn call(organization: &Organization, tokens: u64) -> FinishedCall<'_> {
    FinishedCall {
        organization,
        project: Some("proj_1"),
        model: Some("gpt-6-sol"),
        model_is_asked: false,
        service_tier: None,
        payer: None,
        hosted_tool: false,
        usage: Usage {
            input: tokens,
            ..Usage::default()
        },
        evidence: Evidence::Reported,
        began: MORNING,
        at: MORNING,
    }
}

fn rules(after_crossing: AfterCrossing) -> Rules {
    let terms = Terms {
        enrolled: Some(true),
        coverage: Some(Coverage::All),
        ..Terms::default()
    };
    let offer = Arc::new(Offer::new(offer_parts()).unwrap());
    Rules::new(offer, after_crossing, terms, Vec::new())
}

fn shared() -> (Meter, Organization) {
    let meter = Meter::new(MIDNIGHT);
    meter.share();
    let acme = meter.organizations().named("acme").unwrap();
    (meter, acme)
}

fn grant(before: u64, tokens: u64, is_sure: bool) -> Grant {
    Grant {
        span: Span {
            before,
            after: before + tokens,
        },
        fit: Fit {
            fits: true,
            before,
            after: before + tokens,
        },
        is_sure,
    }
}

#[test]
fn a_span_that_was_handed_out_decides_and_is_not_taken_twice() {
    let (meter, acme) = shared();
    let rules = rules(AfterCrossing::Billed);
    let call = call(&acme, 1_000);
    let claim = meter.claim(&rules, &call).unwrap();
    assert_eq!((claim.tokens, claim.allowance), (1_000, 250_000));
    for (before, is_sure, verdict, certainty) in [
        (249_000, true, Verdict::Free, Certainty::Final),
        (200_000, false, Verdict::Free, Certainty::Assumed),
        (249_001, true, Verdict::Billed, Certainty::Final),
        // Others can only have taken more than is known.
        (250_001, false, Verdict::Billed, Certainty::Final),
    ] {
        let grant = grant(before, 1_000, is_sure);
        let settled = meter.settle_with(&rules, &call, Some(grant));
        assert_eq!(settled.verdict, verdict, "{before}");
        assert_eq!(settled.certainty, Some(certainty), "{before}");
        assert_eq!(settled.span, Some(grant.span));
        let assumes = settled.assumes.contains(Assumption::SharedTotals);
        assert_eq!(assumes, certainty == Certainty::Assumed);
    }
    assert_eq!(meter.portion(&acme, LARGE, TODAY()), Portion::default());
    meter.take_granted(&claim, &grant(5, 1_000, true));
    let own = meter.portion(&acme, LARGE, TODAY());
    assert_eq!((own.taken, own.fitted, own.crossed), (1_000, 1_000, 0));
    meter.give_back(&claim, &grant(5, 1_000, true));
    assert_eq!(meter.portion(&acme, LARGE, TODAY()), Portion::default());
}

#[test]
fn without_a_handed_span_the_others_lie_under_it_and_that_is_assumed() {
    for (after_crossing, remaining) in [
        (AfterCrossing::Billed, 0),
        (AfterCrossing::FreeIfItFits, 40_000),
    ] {
        let (meter, acme) = shared();
        let rules = rules(after_crossing);
        let others = Portion {
            taken: 200_000,
            fitted: 200_000,
            ..Portion::default()
        };
        meter.hear(&acme, LARGE, TODAY(), &others);
        let settle = |tokens| meter.settle(&rules, &call(&acme, tokens));
        let first = settle(10_000);
        let span = first.span.unwrap();
        assert_eq!((span.before, span.after), (200_000, 210_000));
        assert_eq!(first.verdict, Verdict::Free);
        assert!(first.assumes.contains(Assumption::SharedTotals));
        let second = settle(41_000);
        assert_eq!(second.verdict, Verdict::Billed);
        assert!(second.assumes.is_empty());
        assert_eq!(second.remaining, Some(remaining));
        let own = meter.portion(&acme, LARGE, TODAY());
        assert_eq!((own.taken, own.fitted), (51_000, 10_000));
        let standing = meter.standing(&rules, &acme, LARGE, TODAY());
        assert_eq!((standing.taken, standing.fitted), (251_000, 210_000));
    }
}

#[test]
fn a_standing_is_sure_only_in_step_and_once_the_others_were_heard() {
    let (meter, acme) = shared();
    let rules = rules(AfterCrossing::Billed);
    let is_sure = || {
        let standing = meter.standing(&rules, &acme, LARGE, TODAY());
        !standing
            .slack
            .without_limit
            .contains(Assumption::SharedTotals)
    };
    assert!(!is_sure());
    meter.set_in_step(true);
    assert!(!is_sure(), "nothing was heard yet");
    meter.hear(&acme, LARGE, TODAY(), &Portion::default());
    assert!(is_sure());
    meter.set_in_step(false);
    assert!(!is_sure());
}

#[test]
fn a_day_crossed_by_all_together_stays_crossed_when_one_gives_back() {
    let (meter, acme) = shared();
    let rules = rules(AfterCrossing::Billed);
    let others = Portion {
        taken: 200_000,
        ..Portion::default()
    };
    meter.hear(&acme, LARGE, TODAY(), &others);
    meter.settle(&rules, &call(&acme, 60_000));
    let correction = Correction {
        tokens: -50_000,
        fitted: false,
        slack: Some(0),
    };
    meter.correct(&rules, &acme, LARGE, TODAY(), &correction);
    let settled = meter.settle(&rules, &call(&acme, 1));
    assert_eq!(settled.verdict, Verdict::Billed);
    assert_eq!(meter.portion(&acme, LARGE, TODAY()).crossed, 250_001);
}

#[test]
fn who_gives_back_what_all_together_had_room_for_gets_it_back() {
    for others in [0, 100_000] {
        let (meter, acme) = shared();
        let rules = rules(AfterCrossing::Billed);
        let heard = Portion {
            taken: others,
            ..Portion::default()
        };
        meter.hear(&acme, LARGE, TODAY(), &heard);
        // Exactly the allowance: nothing has crossed.
        meter.settle(&rules, &call(&acme, 250_000 - others));
        let correction = Correction {
            tokens: -1_000,
            fitted: false,
            slack: Some(0),
        };
        meter.correct(&rules, &acme, LARGE, TODAY(), &correction);
        let settled = meter.settle(&rules, &call(&acme, 1_000));
        assert_eq!(settled.verdict, Verdict::Free, "{others}");
    }
}

#[test]
fn a_stated_total_leaves_here_what_others_did_not_take() {
    let (meter, acme) = shared();
    let rules = rules(AfterCrossing::Billed);
    let mut others = Portion {
        taken: 30_000,
        fitted: 20_000,
        ..Portion::default()
    };
    others.slack[3] = (500, 1);
    meter.hear(&acme, LARGE, TODAY(), &others);
    meter.settle(&rules, &call(&acme, 10_000));
    assert_eq!(meter.state_total(&acme, LARGE, TODAY(), 100_000), 60_000);
    let standing = meter.standing(&rules, &acme, LARGE, TODAY());
    assert_eq!((standing.taken, standing.fitted), (100_000, 100_000));
    assert_eq!(standing.slack.tokens, 0);
    let own = meter.portion(&acme, LARGE, TODAY());
    assert_eq!((own.taken, own.fitted), (70_000, 80_000));
}

#[test]
fn slack_is_told_and_taken_back_part_by_part_but_for_the_days_start() {
    let meter = Meter::new(MIDNIGHT + 60);
    meter.share();
    let acme = meter.organizations().named("acme").unwrap();
    let add = |source, at_most| meter.add_uncounted(&acme, LARGE, TODAY(), source, at_most);
    add(SlackSource::UnknownCalls, Some(70));
    add(SlackSource::UncleanStop, None);
    let told = meter.portion(&acme, LARGE, TODAY()).slack;
    let sum: (u64, u32) = told
        .iter()
        .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    assert_eq!(
        sum,
        (70, 1),
        "what was before this ledger is not the others' matter"
    );
    add(SlackSource::UnknownCalls, Some(5));
    meter.forgive(&acme, LARGE, TODAY(), &told);
    let rules = rules(AfterCrossing::Billed);
    let slack = || meter.standing(&rules, &acme, LARGE, TODAY()).slack;
    assert_eq!(slack().tokens, 5);
    assert!(slack().without_limit.contains(Assumption::DayStart));
    // Another replica counted since midnight.
    meter.counted_since(MIDNIGHT);
    assert!(!slack().without_limit.contains(Assumption::DayStart));
    assert_eq!(meter.counting_since(), MIDNIGHT);
}
