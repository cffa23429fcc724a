//! Organizations by name, and two names that turn out to be one organization.

use super::{LARGE, Scene, TODAY, call, head, missing, paid_by};
use crate::{CallAhead, FinishedCall, Organizations, Payer, Reason, Span, Verdict};

#[test]
fn names_are_kept_within_their_bounds() {
    let scene = Scene::billed_after_crossing();
    let organizations = scene.meter.organizations();
    assert!(organizations.named("").is_none());
    assert!(organizations.named(&"x".repeat(257)).is_none());
    let longest = "x".repeat(256);
    assert_eq!(organizations.named(&longest).unwrap().name(), longest);
    assert!(organizations.find("acme").is_none());
    assert_eq!(organizations.count(), 1);
    assert_eq!(organizations.named("acme"), organizations.find("acme"));
    assert_ne!(organizations.named("acme"), organizations.find(&longest));
    for number in 2..Organizations::MOST {
        assert!(
            organizations
                .named(&format!("organization-{number}"))
                .is_some()
        );
    }
    assert!(organizations.named("one-too-many").is_none());
    assert!(organizations.find("one-too-many").is_none());
    assert!(organizations.named("acme").is_some());
    assert_eq!(organizations.count(), Organizations::MOST);
    // Nor is one learned as an alias.
    scene
        .meter
        .learn_alias(&organizations.named("acme").unwrap(), "org-acme");
    assert!(organizations.find("org-acme").is_none());
}

#[test]
fn unknown_is_not_a_name() {
    let scene = Scene::billed_after_crossing();
    let unknown = scene.meter.organizations().unknown();
    assert!(unknown.is_unknown());
    assert_eq!(unknown.name(), "unknown");
    let named = scene.organization("unknown");
    assert!(!named.is_unknown() && named != unknown);
    scene.meter.learn_alias(&unknown, "acme");
    assert_ne!(scene.organization("acme"), unknown);
}

#[test]
fn two_names_of_one_organization_share_their_totals_and_terms() {
    let scene = Scene::billed_after_crossing();
    let slug = scene.organization("slug-of-acme");
    let id = scene.organization("org-acme");
    let under_id = call(&id, 500_000);
    assert_eq!(scene.settle(&under_id).allowance, Some(1_000_000));
    assert_eq!(scene.settle(&call(&slug, 100_000)).allowance, Some(250_000));
    scene.meter.learn_alias(&slug, "org-acme");
    assert_eq!(slug, id);
    assert_eq!(
        (id.name(), id.names().collect::<Vec<_>>()),
        ("slug-of-acme", vec!["slug-of-acme", "org-acme"])
    );
    // Both handles take from one total now, by the terms that were declared under either name.
    let settled = scene.settle(&under_id);
    assert_eq!(
        settled.span,
        Some(Span {
            before: 600_000,
            after: 1_100_000
        })
    );
    assert_eq!(
        (settled.allowance, settled.reason),
        (Some(1_000_000), Reason::CrossingCall)
    );
    assert_eq!(scene.settle(&call(&slug, 1)).reason, Reason::AllowanceSpent);
    // Learning it again changes nothing.
    scene.meter.learn_alias(&slug, "org-acme");
    scene.meter.learn_alias(&id, "slug-of-acme");
    assert_eq!(scene.taken("org-acme"), 1_100_001);
}

#[test]
fn an_alias_never_seen_before_is_that_organization_from_then_on() {
    let scene = Scene::billed_after_crossing();
    let learned = scene.meter.learn_declared(&scene.rules);
    assert!(learned.contains(&(scene.organization("acme"), "org-acme")));
    assert_eq!(scene.meter.learn_declared(&scene.rules), []);
    scene.take(10);
    let id = scene.organization("org-acme");
    assert_eq!(
        scene.settle(&call(&id, 5)).span,
        Some(Span {
            before: 10,
            after: 15
        })
    );
    assert_eq!(id.name(), "acme");
}

#[test]
fn slack_contradictions_crossing_and_calls_under_way_move_along() {
    let scene = Scene::billed_after_crossing();
    let (slug, id) = (scene.organization("acme"), scene.organization("org-acme"));
    scene
        .meter
        .settle_missing(&scene.rules, &missing(&id, Some(30)));
    scene.settle(&paid_by(Payer::Developer, call(&id, 10)));
    let head = head(&id, Some(40));
    let under_way = scene.meter.begin(&scene.rules, &head).unwrap();
    scene.meter.learn_alias(&slug, "org-acme");
    let standing = || scene.meter.standing(&scene.rules, &slug, LARGE, TODAY());
    let now = standing();
    assert_eq!((now.taken, now.fitted, now.slack.tokens), (10, 10, 30));
    assert_eq!((now.in_flight.tokens, now.contradictions), (40, 1));
    let own = CallAhead {
        own: Some(&under_way),
        ..head
    };
    assert_eq!(
        scene.meter.expect(&scene.rules, &own).verdict,
        Verdict::Free
    );
    drop(under_way);
    assert_eq!(standing().in_flight.tokens, 0);
    scene.meter.state_total(&slug, LARGE, TODAY(), 0);
    assert_eq!(standing().slack.tokens, 0);
}

#[test]
fn chains_of_names_end_in_one_organization() {
    let scene = Scene::billed_after_crossing();
    let names = ["a", "b", "c", "d"];
    for name in names {
        let organization = scene.organization(name);
        scene.settle(&call(&organization, 10));
        scene
            .meter
            .settle_missing(&scene.rules, &missing(&organization, Some(1)));
    }
    let [a, b, c, d] = names.map(|name| scene.organization(name));
    scene.meter.learn_alias(&a, "b");
    scene.meter.learn_alias(&c, "d");
    scene.meter.learn_alias(&d, "b");
    for organization in [&a, &b, &c, &d] {
        assert_eq!(organization, &a.clone());
        let standing = scene
            .meter
            .standing(&scene.rules, organization, LARGE, TODAY());
        assert_eq!((standing.taken, standing.slack.tokens), (40, 4));
        assert_eq!(organization.name(), "c");
        assert_eq!(organization.names().count(), 4);
    }
    let paid = FinishedCall {
        payer: Some(Payer::OpenAi),
        ..call(&b, 10)
    };
    scene.settle(&paid);
    assert!(d.is_shown_enrolled(super::MORNING));
}

#[test]
fn totals_merge_on_every_day_and_in_every_group() {
    let scene = Scene::billed_after_crossing();
    let (slug, id) = (scene.organization("acme"), scene.organization("org-acme"));
    let yesterday = FinishedCall {
        at: super::MORNING - 86_400,
        ..call(&id, 7)
    };
    let small = FinishedCall {
        model: Some("gpt-5.6-luna"),
        ..call(&id, 9)
    };
    scene.settle(&yesterday);
    scene.settle(&small);
    scene.meter.learn_alias(&slug, "org-acme");
    let slug_small = FinishedCall {
        organization: &slug,
        ..small
    };
    assert_eq!(
        scene.settle(&slug_small).span,
        Some(Span {
            before: 9,
            after: 18
        })
    );
    let slug_yesterday = FinishedCall {
        organization: &slug,
        ..yesterday
    };
    assert_eq!(
        scene.settle(&slug_yesterday).span,
        Some(Span {
            before: 7,
            after: 14
        })
    );
}
