//! What single entries do: to sums, to names, to what a start goes on from.

use rusqlite::params;

use super::{day_of, put, reader_of, sql, table_in};
use crate::samples::{DAY, call, settled, unknown};
use crate::{Adjustment, CallFilter, Entry, SeenKey, SettledCall, Slack, Stated, Tokens};

const NOW: i64 = DAY as i64 * 86_400_000 + 3_600_000;

fn taking(id: &'static str, before: u64, after: u64) -> SettledCall<'static> {
    SettledCall {
        span: Some((before, after)),
        usage: Some(Tokens {
            input: after - before,
            ..Tokens::default()
        }),
        allowance: Some(10_000),
        settled_at: i64::try_from(after).unwrap(),
        ..call(id)
    }
}

fn alias(organization: &'static str, name: &'static str) -> Entry<'static> {
    Entry::Alias {
        organization: organization.into(),
        name: name.into(),
    }
}

fn stated(tokens: u64, change: i64) -> Entry<'static> {
    Entry::Stated(Stated {
        organization: "acme".into(),
        group: "small".into(),
        day: DAY,
        at: NOW,
        tokens,
        change,
    })
}

#[test]
fn the_first_span_that_ends_past_the_allowance_is_the_crossing() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[Entry::Settled(taking("c_1", 0, 10_000))]);
    assert_eq!(day_of(folder.path(), "acme", "small").crossing, None);
    put(
        &mut table,
        &[
            Entry::Settled(taking("c_2", 10_000, 10_400)),
            Entry::Settled(taking("c_3", 10_400, 11_000)),
        ],
    );
    let day = day_of(folder.path(), "acme", "small");
    let crossing = day.crossing.unwrap();
    assert_eq!((&*crossing.call, crossing.at), ("c_2", 10_400));
    assert_eq!((crossing.before, crossing.tokens), (10_000, 400));
    assert_eq!((day.taken, day.last_allowance), (11_000, Some(10_000)));
    // An operator says that it was not: what crosses next is the crossing.
    put(
        &mut table,
        &[
            stated(9_000, -2_000),
            Entry::Settled(taking("c_4", 9_000, 12_000)),
        ],
    );
    let day = day_of(folder.path(), "acme", "small");
    assert_eq!(day.crossing.unwrap().call, "c_4");
    assert_eq!((day.taken, day.fitted), (12_000, 12_000));
}

#[test]
fn two_names_are_one_organization_from_then_on_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let of = |organization: &'static str, id| {
        Entry::Settled(SettledCall {
            organization: organization.into(),
            payer: (organization == "org-1").then(|| "openai".into()),
            ..call(id)
        })
    };
    put(&mut table, &[of("acme", "c_1"), of("org-1", "c_2")]);
    put(&mut table, &[alias("acme", "org-1"), of("org-1", "c_3")]);
    // The joined one turns out to be a third: nothing is left under either name.
    put(
        &mut table,
        &[of("a-c-m-e", "c_4"), alias("a-c-m-e", "acme")],
    );
    put(&mut table, &[alias("org-1", "a-c-m-e"), of("acme", "c_5")]);
    let day = day_of(folder.path(), "a-c-m-e", "small");
    assert_eq!((day.calls, day.taken), (5, 5_000));
    let reader = reader_of(folder.path());
    assert_eq!(reader.organizations().unwrap(), ["a-c-m-e"]);
    for name in ["acme", "org-1", "a-c-m-e"] {
        let days = reader.days(DAY, DAY, Some(name)).unwrap();
        assert_eq!(days.len(), 1, "{name}");
        let filter = CallFilter {
            organization: Some(name.to_owned()),
            at_most: 10,
            ..CallFilter::default()
        };
        assert_eq!(reader.calls(&filter).unwrap().len(), 5, "{name}");
    }
    // Rows keep the name they were settled under.
    let row = reader.find_call("c_3").unwrap().unwrap();
    assert_eq!(row.call.organization, "org-1");
    let restored = table.restored(NOW).unwrap();
    let mut aliases = restored.aliases;
    aliases.sort();
    let pair = |name: &str| ("a-c-m-e".to_owned(), name.to_owned());
    assert_eq!(aliases, [pair("acme"), pair("org-1")]);
    assert_eq!(restored.paid.len(), 1);
    assert_eq!(restored.paid[0].0, "a-c-m-e");
    assert_eq!(restored.totals.len(), 1);
    assert_eq!(restored.totals[0].taken, 5_000);
}

#[test]
fn a_stated_total_clears_the_slack_and_knows_the_start_of_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(
        &mut table,
        &[
            settled("c_1"),
            unknown("c_2", None),
            unknown("c_3", Some(70)),
        ],
    );
    let slack = day_of(folder.path(), "acme", "small").slack;
    assert_eq!(slack, [("unknown-calls".to_owned(), None)]);
    let totals = table.restored(NOW).unwrap().totals;
    assert_eq!(
        totals[0].slack,
        [
            ("unknown-calls".to_owned(), Some(70)),
            ("unknown-calls".to_owned(), None)
        ]
    );
    assert!(!totals[0].stated);
    put(&mut table, &[stated(412_000, 411_000)]);
    let totals = table.restored(NOW).unwrap().totals;
    assert_eq!((totals[0].taken, totals[0].fitted), (412_000, 412_000));
    assert!(totals[0].stated && totals[0].slack.is_empty());
    let statement: (String, i64, i64) = sql(folder.path())
        .query_row("SELECT day, tokens, change FROM statements", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(statement, ("2026-11-22".to_owned(), 412_000, 411_000));
}

#[test]
fn a_better_known_call_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[settled("c_1"), unknown("c_2", Some(5_000))]);
    let seen = |id: &'static str, tokens, change| {
        Entry::Adjusted(Adjustment {
            row: SettledCall {
                span: None,
                fitted: false,
                usage: Some(Tokens {
                    input: tokens,
                    ..Tokens::default()
                }),
                ..call(id)
            },
            adjusts: "c_2".into(),
            change,
            fitted_change: change,
            was_past: None,
        })
    };
    put(&mut table, &[seen("c_3", 600, 600)]);
    let day = day_of(folder.path(), "acme", "small");
    assert_eq!((day.calls, day.free_calls, day.unknown_calls), (2, 2, 0));
    assert_eq!(
        (day.free_tokens, day.taken, day.fitted),
        (1_600, 1_600, 1_600)
    );
    assert_eq!(day.slack, []);
    // And better again: the second sight takes the place of the first.
    put(&mut table, &[seen("c_4", 650, 50)]);
    let day = day_of(folder.path(), "acme", "small");
    assert_eq!((day.calls, day.free_tokens, day.taken), (2, 1_650, 1_650));
    let reader = reader_of(folder.path());
    let row = reader.find_call("c_4").unwrap().unwrap();
    assert_eq!(row.adjusts.as_deref(), Some("c_2"));
    assert_eq!(
        reader.find_call("c_2").unwrap().unwrap().call.verdict,
        "unknown"
    );
    // Who lists the rows that count finds the call once, and each former row says what counts in its place.
    let counting = CallFilter {
        counting: true,
        at_most: 10,
        ..CallFilter::default()
    };
    let numbers = |filter: &CallFilter| {
        let rows = reader.calls(filter).unwrap();
        rows.iter()
            .map(|row| (row.number, row.counted_by))
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&counting), [(4, None), (1, None)]);
    let all = CallFilter {
        counting: false,
        ..counting
    };
    assert_eq!(
        numbers(&all),
        [(4, None), (3, Some(4)), (2, Some(4)), (1, None)]
    );
}

#[test]
fn a_call_that_may_yet_be_seen_is_pending_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let now = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap();
    let without_usage = |id: &'static str, began_at, reason: &'static str| {
        Entry::Settled(SettledCall {
            endpoint: "responses".into(),
            usage: None,
            span: None,
            verdict: "unknown".into(),
            reason: reason.into(),
            began_at,
            ..call(id)
        })
    };
    let hour = 3_600_000;
    put(
        &mut table,
        &[
            without_usage("c_1", now - 25 * hour, "usage-missing"),
            without_usage("c_2", now - 23 * hour, "usage-missing"),
            without_usage("c_3", now - hour, "client-gone"),
            without_usage("c_4", now - hour, "usage-missing"),
            Entry::Adjusted(Adjustment {
                row: call("c_4"),
                adjusts: "c_4".into(),
                change: 1_000,
                fitted_change: 1_000,
                was_past: None,
            }),
        ],
    );
    let reader = reader_of(folder.path());
    let of = |verdict: &str| {
        let filter = CallFilter {
            counting: true,
            verdict: Some(verdict.to_owned()),
            at_most: 10,
            ..CallFilter::default()
        };
        let rows = reader.calls(&filter).unwrap();
        assert!(rows.iter().all(|row| row.verdict() == verdict), "{rows:?}");
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    assert_eq!(of("pending"), [2]);
    assert_eq!(of("unknown"), [3, 1]);
    assert_eq!(of("free"), [5]);
}

#[test]
fn what_openai_says_of_who_pays_is_counted_in_a_row_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let says = |payer: &'static str, at| {
        Entry::Settled(SettledCall {
            payer: Some(payer.into()),
            settled_at: at,
            ..call("c_1")
        })
    };
    let contradictions =
        |table: &mut super::Table| table.restored(NOW).unwrap().totals[0].contradictions;
    put(
        &mut table,
        &[says("developer", NOW), says("developer", NOW)],
    );
    assert_eq!(contradictions(&mut table), 2);
    put(
        &mut table,
        &[says("openai", NOW), says("developer", NOW + 5)],
    );
    assert_eq!(contradictions(&mut table), 1);
    // Of a call that was settled when it was seen whole, too.
    let seen = |payer: &'static str| {
        let row = SettledCall {
            payer: Some(payer.into()),
            span: None,
            settled_at: NOW,
            ..call("c_2")
        };
        Entry::Adjusted(Adjustment {
            row,
            adjusts: "c_2".into(),
            change: 1_000,
            fitted_change: 1_000,
            was_past: None,
        })
    };
    put(&mut table, &[unknown("c_2", None), seen("developer")]);
    assert_eq!(contradictions(&mut table), 2);
    put(&mut table, &[seen("openai")]);
    assert_eq!(contradictions(&mut table), 0);
    let restored = table.restored(NOW + 31 * 86_400_000).unwrap();
    assert_eq!(restored.paid, [("acme".to_owned(), NOW)]);
    let restored = table.restored(NOW + 31 * 86_400_000 + 1).unwrap();
    assert_eq!(restored.paid, []);
}

#[test]
fn a_key_is_known_by_its_last_2xx_answer_that_named_an_organization() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let seen = |organization: &'static str, project: Option<&'static str>, status| {
        Entry::Settled(SettledCall {
            organization: organization.into(),
            project: project.map(Into::into),
            status,
            ..call("c_1")
        })
    };
    put(
        &mut table,
        &[
            seen("acme", Some("proj_1"), 200),
            seen("globex", None, 201),
            seen("unknown", None, 200),
            seen("initech", None, 500),
            Entry::Settled(SettledCall {
                key_hash: None,
                ..call("c_2")
            }),
        ],
    );
    let expected = SeenKey {
        key_hash: [7; 16],
        organization: "globex".to_owned(),
        project: None,
    };
    assert_eq!(table.restored(NOW).unwrap().keys, [expected]);
}

#[test]
fn a_key_that_goes_on_is_written_once_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let at = |at| {
        Entry::Settled(SettledCall {
            settled_at: at,
            ..call("c_1")
        })
    };
    let seen_at = |folder: &std::path::Path| -> i64 {
        sql(folder)
            .query_row("SELECT seen_at FROM keys", [], |row| row.get(0))
            .unwrap()
    };
    put(&mut table, &[at(NOW), at(NOW + 3_599_999)]);
    assert_eq!(seen_at(folder.path()), NOW);
    put(&mut table, &[at(NOW + 3_600_000)]);
    assert_eq!(seen_at(folder.path()), NOW + 3_600_000);
}

#[test]
fn slack_of_any_group_and_lost_calls_stand_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let slack = |any_group, at_most| {
        Entry::Settled(SettledCall {
            slack: Some(Slack {
                source: "model-list".into(),
                at_most,
                any_group,
            }),
            ..call("c_1")
        })
    };
    put(
        &mut table,
        &[
            slack(true, Some(40)),
            slack(true, Some(2)),
            slack(false, Some(0)),
            Entry::Lost {
                organization: "acme".into(),
                group: "small".into(),
                day: DAY,
                calls: 3,
                tokens: Some(9),
            },
        ],
    );
    let any = day_of(folder.path(), "acme", "");
    assert_eq!(any.slack, [("model-list".to_owned(), Some(42))]);
    let small = day_of(folder.path(), "acme", "small");
    assert_eq!(small.slack, [("unclean-stop".to_owned(), Some(9))]);
    assert_eq!((small.calls, small.lost_calls), (3, 3));
}

#[test]
fn totals_of_the_days_around_today_are_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let on = |day| Entry::Settled(SettledCall { day, ..call("c_1") });
    put(&mut table, &(DAY - 4..DAY + 4).map(on).collect::<Vec<_>>());
    let days: Vec<_> = table
        .restored(NOW)
        .unwrap()
        .totals
        .iter()
        .map(|total| total.day)
        .collect();
    assert_eq!(days, [DAY - 2, DAY - 1, DAY, DAY + 1]);
    assert_eq!(reader_of(folder.path()).totals(DAY).unwrap().len(), 1);
    let last: i64 = sql(folder.path())
        .query_row(
            "SELECT last_number FROM totals WHERE day = ?1",
            params!["2026-11-22"],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(last, 5);
}
