//! A row is read back as it was written, whatever text comes from outside; numbers past what a column holds are
//! kept as the greatest.

use std::borrow::Cow;
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{put, reader_of, sql, table_in};
use crate::samples::{DAY, call, settled};
use crate::{CallFilter, Entry, Row, SettledCall, Slack, Tokens};

/// Names as hostile peers choose them.
fn text() -> impl Strategy<Value = Cow<'static, str>> {
    let chosen = prop_oneof![
        any::<String>(),
        Just(String::new()),
        Just("nul\0inside\0".to_owned()),
        Just("'; DROP TABLE settlements; --".to_owned()),
        Just("\u{feff}\u{202e}ü\u{10ffff}%_\"`[x]".to_owned()),
        Just("x".repeat(256)),
    ];
    chosen.prop_map(Cow::Owned)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_000_u64, 0..=i64::MAX.cast_unsigned()]
}

prop_compose! {
    fn who()(
        texts in vec(text(), 4),
        ids in vec(of(text()), 9),
        at in (any::<i64>(), any::<i64>()),
        day in -719_162..2_932_896_i32,
        key_hash in of(any::<[u8; 16]>()),
        stream: bool,
        status: u16,
    ) -> SettledCall<'static> {
        let [call, organization, endpoint, verdict] = texts.try_into().unwrap();
        let [response_id, request_id, project, model_asked, model, service_tier, client, group, certainty] =
            ids.try_into().unwrap();
        SettledCall {
            call, organization, endpoint, verdict, response_id, request_id, project, model_asked, model,
            service_tier, client, group, certainty, day, key_hash, stream, status,
            began_at: at.0,
            settled_at: at.1,
            ..SettledCall::default()
        }
    }
}

prop_compose! {
    fn settlements()(
        who in who(),
        texts in vec(text(), 4),
        payer in of(text()),
        usage in of(vec(number(), 5)),
        span in of((number(), number())),
        numbers in vec(of(number()), 4),
        slack in of((of(number()), any::<bool>())),
        flags in any::<[bool; 4]>(),
    ) -> SettledCall<'static> {
        let [assumes, reason, ours, source] = texts.try_into().unwrap();
        let [allowance, remaining, cost, saved] = numbers.try_into().unwrap();
        let [fitted, disputed, straddles, standing_shown] = flags;
        SettledCall {
            assumes, reason, ours, payer, span, allowance, remaining, cost, saved,
            fitted, disputed, straddles, standing_shown,
            usage: usage.map(|tokens| Tokens {
                input: tokens[0],
                cached_input: tokens[1],
                cache_write: tokens[2],
                output: tokens[3],
                reasoning: tokens[4],
            }),
            slack: slack.map(|(at_most, any_group)| Slack { source, at_most, any_group }),
            ..who
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_row_is_read_back_as_it_was_written(calls in vec(settlements(), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let mut table = table_in(folder.path());
        let entries: Vec<_> = calls.iter().cloned().map(Entry::Settled).collect();
        put(&mut table, &entries);
        let reader = reader_of(folder.path());

        let newest = CallFilter { at_most: 10, ..CallFilter::default() };
        let read: Vec<_> = reader.calls(&newest).unwrap().into_iter().rev().map(|row| row.call).collect();
        prop_assert_eq!(&read, &calls);
        let mut streamed = Vec::new();
        reader
            .each_call(i32::MIN, i32::MAX, None, |row| {
                streamed.push(row.call);
                ControlFlow::Continue(())
            })
            .unwrap();
        prop_assert_eq!(&streamed, &calls);

        for call in &calls {
            let namesakes = calls.iter().rev().find(|other| other.call == call.call);
            let found = reader.find_call(&call.call).unwrap().map(|row| row.call);
            prop_assert_eq!(found.as_ref(), namesakes);
            let of_organization = CallFilter {
                organization: Some(call.organization.to_string()),
                model: call.model.as_ref().or(call.model_asked.as_ref()).map(ToString::to_string),
                verdict: Some(call.verdict.to_string()),
                group: Some(call.group.as_deref().unwrap_or_default().to_owned()),
                days: Some((call.day, call.day)),
                at_most: 10,
                ..CallFilter::default()
            };
            prop_assert!(reader.calls(&of_organization).unwrap().iter().any(|row| row.call == *call));
        }
        // The views can be read whatever the rows hold.
        let seen: i64 = sql(folder.path())
            .query_row("SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM days) * 0", [], |row| row.get(0))
            .unwrap();
        prop_assert_eq!(usize::try_from(seen).unwrap(), calls.len());
    }
}

fn only_row(entry: Entry<'_>) -> Row {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[entry]);
    let filter = CallFilter {
        at_most: 1,
        ..CallFilter::default()
    };
    reader_of(folder.path()).calls(&filter).unwrap().remove(0)
}

#[test]
fn numbers_past_what_a_column_holds_are_kept_as_the_greatest() {
    let most = i64::MAX.cast_unsigned();
    let row = only_row(Entry::Settled(SettledCall {
        usage: Some(Tokens {
            input: u64::MAX,
            output: u64::MAX,
            ..Tokens::default()
        }),
        cost: Some(u64::MAX),
        saved: Some(most + 1),
        span: Some((u64::MAX, u64::MAX)),
        day: i32::MAX,
        ..call("c_1")
    }));
    assert_eq!(row.call.cost, Some(most));
    assert_eq!(row.call.saved, Some(most));
    assert_eq!(row.call.usage.unwrap().output, most);
    assert_eq!(row.call.span, Some((most, most)));
    assert_eq!(row.call.day, 2_932_896);
}

#[test]
fn sums_of_the_greatest_numbers_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let greatest = |id| {
        Entry::Settled(SettledCall {
            cost: Some(u64::MAX),
            usage: Some(Tokens {
                input: u64::MAX,
                output: 1,
                ..Tokens::default()
            }),
            span: Some((0, u64::MAX)),
            ..call(id)
        })
    };
    put(&mut table, &[greatest("c_1"), greatest("c_2")]);
    drop(table);
    let mut table = table_in(folder.path());
    put(&mut table, &[greatest("c_3")]);
    let most = i64::MAX.cast_unsigned();
    let day = &reader_of(folder.path()).days(DAY, DAY, None).unwrap()[0];
    assert_eq!(
        (day.cost_pico, day.free_tokens, day.taken),
        (most, most, most)
    );
    let (tokens, dollars): (i64, f64) = sql(folder.path())
        .query_row("SELECT free_tokens, cost_usd FROM days", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(tokens, i64::MAX);
    assert!(dollars > 9e6);
}

#[test]
fn every_filter_narrows() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let other = Entry::Settled(SettledCall {
        day: DAY + 1,
        organization: "globex".into(),
        model: None,
        model_asked: Some("gpt-9".into()),
        group: None,
        verdict: "billed".into(),
        certainty: Some("assumed".into()),
        reason: "model-not-listed".into(),
        span: None,
        ..call("c_2")
    });
    put(&mut table, &[settled("c_1"), other, settled("c_3")]);
    let reader = reader_of(folder.path());
    let calls = |narrow: &dyn Fn(&mut CallFilter)| {
        let mut filter = CallFilter {
            at_most: 10,
            ..CallFilter::default()
        };
        narrow(&mut filter);
        let rows = reader.calls(&filter).unwrap();
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(calls(&|_| {}), [3, 2, 1]);
    assert_eq!(calls(&|filter| filter.at_most = 2), [3, 2]);
    assert_eq!(calls(&|filter| filter.days = Some((DAY + 1, DAY + 9))), [2]);
    assert_eq!(calls(&|filter| filter.days = Some((DAY - 9, DAY))), [3, 1]);
    assert_eq!(
        calls(&|filter| filter.days = Some((DAY + 2, DAY + 9))),
        [0; 0]
    );
    assert_eq!(calls(&|filter| filter.verdict = some("billed")), [2]);
    assert_eq!(calls(&|filter| filter.certainty = some("final")), [3, 1]);
    assert_eq!(calls(&|filter| filter.organization = some("globex")), [2]);
    assert_eq!(calls(&|filter| filter.model = some("gpt-9")), [2]);
    assert_eq!(
        calls(&|filter| filter.reason = some("within-allowance")),
        [3, 1]
    );
    assert_eq!(calls(&|filter| filter.group = some("small")), [3, 1]);
    assert_eq!(calls(&|filter| filter.group = some("")), [2]);
    assert_eq!(calls(&|filter| filter.below = Some(3)), [2, 1]);
    assert_eq!(calls(&|filter| filter.above = Some(1)), [3, 2]);
    let mut first = None;
    reader
        .each_call(DAY, DAY, Some("acme"), |row| {
            first = Some(row.number);
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(first, Some(1));
}
