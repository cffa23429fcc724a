//! Calls as they are seen: the list, wide and narrow, and one of them in full.

use std::ffi::OsString;
use std::time::Duration;

use insta::assert_snapshot;
use ledger::{
    Durability, Entry, Kept, Ledger, LedgerSettings, Reader, Row, SettledCall, Slack, Tokens,
};
use meter::Day;

use super::detail::{as_rows, shown};
use super::{MOST_AT_ONCE, Options, lines, newer_in, of_several, table};
use crate::cli::terminal::{Colour, Terminal};
use crate::config::Environment;

/// 23:10:04 UTC on 2026-11-21.
const AT: i64 = 1_795_302_604_000;

fn terminal(is_terminal: bool, width: usize) -> Terminal {
    let locale: [(OsString, OsString); 1] = [("LC_ALL".into(), "C.UTF-8".into())];
    let environment: Environment = locale.into_iter().collect();
    Terminal::from_facts(is_terminal, Some(width), Colour::Never, &environment)
}

fn crossing() -> Row {
    let call = SettledCall {
        call: "c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f".into(),
        response_id: Some("resp_68a1".into()),
        request_id: Some("req_77b2".into()),
        began_at: AT - 1_500,
        settled_at: AT,
        day: Day::at(AT / 1000).number(),
        organization: "acme".into(),
        project: Some("proj_acme".into()),
        endpoint: "responses".into(),
        model_asked: Some("gpt-5.6".into()),
        model: Some("gpt-5.6-sol".into()),
        service_tier: Some("default".into()),
        stream: true,
        status: 200,
        client: Some("OpenAI/Python 2.1.0".into()),
        group: Some("large".into()),
        usage: Some(Tokens {
            input: 29_000,
            cached_input: 1_000,
            cache_write: 0,
            output: 1_000,
            reasoning: 500,
        }),
        span: Some((975_000, 1_005_000)),
        allowance: Some(1_000_000),
        remaining: Some(0),
        verdict: "billed".into(),
        certainty: Some("confirmed".into()),
        reason: "crossing-call".into(),
        ours: "billed".into(),
        payer: Some("developer".into()),
        cost: Some(136_400_000_000),
        saved: Some(0),
        ..SettledCall::default()
    };
    Row {
        number: 1_217,
        call,
        adjusts: None,
        counted_by: None,
        is_awaited: false,
    }
}

fn unknown() -> Row {
    let crossing = crossing();
    let call = SettledCall {
        call: "c_01jd8m6x3k0000000000000000000001".into(),
        response_id: None,
        model: None,
        model_asked: Some("gpt-5.4-mini-2026-03-17".into()),
        usage: None,
        span: None,
        verdict: "unknown".into(),
        certainty: None,
        reason: "client-gone".into(),
        ours: "unknown".into(),
        payer: None,
        cost: None,
        saved: None,
        slack: Some(Slack {
            source: "unknown-calls".into(),
            at_most: Some(12_000),
            any_group: false,
        }),
        settled_at: AT + 60_000,
        ..crossing.call
    };
    Row {
        number: 1_218,
        call,
        adjusts: None,
        counted_by: None,
        is_awaited: false,
    }
}

fn free() -> Row {
    let crossing = crossing();
    let call = SettledCall {
        model: Some("gpt-5.4-mini-2026-03-17".into()),
        model_asked: Some("gpt-5.4-mini-2026-03-17".into()),
        group: Some("small".into()),
        usage: Some(Tokens {
            input: 1_000,
            output: 204,
            ..Tokens::default()
        }),
        span: Some((100, 1_304)),
        allowance: Some(10_000_000),
        fitted: true,
        straddles: true,
        verdict: "free".into(),
        certainty: Some("assumed".into()),
        assumes: "outside-usage,day-start".into(),
        reason: "within-allowance".into(),
        ours: "free".into(),
        payer: None,
        cost: None,
        saved: None,
        began_at: AT - 2 * 86_400_000,
        settled_at: AT - 86_400_000,
        ..crossing.call
    };
    Row {
        number: 1_216,
        call,
        adjusts: None,
        counted_by: None,
        is_awaited: false,
    }
}

/// A small call after the crossing call: free by the other reading of the rule.
fn disputed() -> Row {
    let crossing = crossing();
    let call = SettledCall {
        usage: free().call.usage,
        span: Some((1_005_000, 1_006_204)),
        fitted: true,
        disputed: true,
        certainty: Some("final".into()),
        reason: "allowance-spent".into(),
        payer: None,
        settled_at: AT + 120_000,
        ..crossing.call
    };
    Row {
        number: 1_219,
        call,
        adjusts: None,
        counted_by: None,
        is_awaited: false,
    }
}

fn listed(width: usize) -> String {
    let rows = [crossing(), unknown(), disputed()];
    table(&rows, Day::at(AT / 1000), of_several(&rows)).as_lines(&terminal(true, width), true)
}

#[test]
fn a_wide_list_has_the_ids_too() {
    assert_snapshot!(listed(140), @"
      NO  UTC       MODEL                    TOKENS  VERDICT  CERTAINTY  REASON           CALL
    1217  23:10:04  gpt-5.6-sol              30,000  BILLED   confirmed  crossing-call    c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f
    1218  23:11:04  gpt-5.4-mini-2026-03-17       ?  unknown  -          client-gone      c_01jd8m6x3k0000000000000000000001
    1219  23:12:04  gpt-5.6-sol               1,204  BILLED   final      allowance-spent  c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f
    ");
}

#[test]
fn a_call_that_was_settled_on_another_day_says_which() {
    let rows = [free(), crossing()];
    let seen = table(&rows, Day::at(AT / 1000), false).as_lines(&terminal(true, 140), true);
    assert!(
        seen.contains("\n1216  2026-11-20 23:10:04  gpt-5.4-mini"),
        "{seen}"
    );
    assert!(
        seen.contains("\n1217  23:10:04             gpt-5.6-sol"),
        "{seen}"
    );
}

#[test]
fn narrow_lists_lose_ids_before_certainty_and_the_number_last() {
    assert_snapshot!(listed(80), @"
      NO  UTC       MODEL                TOKENS  VERDICT  CERTAINTY  REASON
    1217  23:10:04  gpt-5.6-sol          30,000  BILLED   confirmed  crossing-call
    1218  23:11:04  gpt-5.4-m…026-03-17       ?  unknown  -          client-gone
    1219  23:12:04  gpt-5.6-sol           1,204  BILLED   final      allowance-spent
    ");
    assert_snapshot!(listed(60), @"
      NO  UTC       MODEL             TOKENS  VERDICT  CERTAINTY
    1217  23:10:04  gpt-5.6-sol       30,000  BILLED   confirmed
    1218  23:11:04  gpt-5.4-…6-03-17       ?  unknown  -
    1219  23:12:04  gpt-5.6-sol        1,204  BILLED   final
    ");
    assert_snapshot!(listed(40), @"
    UTC       MODEL          TOKENS  VERDICT
    23:10:04  gpt-5.6-sol    30,000  BILLED
    23:11:04  gpt-5.…-03-17       ?  unknown
    23:12:04  gpt-5.6-sol     1,204  BILLED
    ");
}

#[test]
fn calls_of_several_organizations_say_whose_each_is() {
    let mut other = unknown();
    other.call.organization = "initech".into();
    let rows = [crossing(), other];
    let seen =
        table(&rows, Day::at(AT / 1000), of_several(&rows)).as_lines(&terminal(true, 80), true);
    assert_snapshot!(seen, @"
      NO  UTC       ORGANIZATION  MODEL                   TOKENS  VERDICT  CERTAINTY
    1217  23:10:04  acme          gpt-5.6-sol             30,000  BILLED   confirmed
    1218  23:11:04  initech       gpt-5.4-min…2026-03-17       ?  unknown  -
    ");
}

#[test]
fn a_pipe_has_every_column_and_plain_values() {
    let rows = table(&[crossing()], Day::at(AT / 1000), false).as_rows(false);
    assert_eq!(
        rows,
        "1217\t2026-11-21T23:10:04.000Z\tgpt-5.6-sol\t30000\tbilled\tconfirmed\tcrossing-call\t\
         c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f\n"
    );
}

#[test]
fn what_comes_later_stands_below_what_came_first() {
    let options = Options::default();
    let terminal = terminal(true, 100);
    let first = lines(&[free()], &options, true, &terminal);
    let second = lines(&[crossing()], &options, false, &terminal);
    let verdict = |text: &str, word: &str| {
        let line = text.lines().last().unwrap();
        line.chars().count() - line.split(word).nth(1).unwrap().chars().count() - word.len()
    };
    assert_eq!(
        verdict(&first, "free"),
        verdict(&second, "BILLED"),
        "{first}{second}"
    );
    assert_eq!(second.lines().count(), 1);
}

#[test]
fn one_call_has_its_sum_spelled_out() {
    assert_snapshot!(shown(&crossing(), &terminal(true, 100)), @r#"
    c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f
      verdict       BILLED, confirmed: crossing-call
      sum           before 975,000 + 30,000 = 1,005,000 > 1,000,000: 25,000 remained, the whole call is
                    billed
      OpenAI        says that the developer pays; so would we
      group         large
      model         gpt-5.6-sol (asked for gpt-5.6)
      tokens        30,000 = 29,000 input (1,000 cached) + 1,000 output (500 reasoning)
      price         cost $0.14, saved $0.00
      organization  acme
      project       proj_acme
      endpoint      responses, stream, status 200
      service tier  default
      day           2026-11-21 UTC
      began         2026-11-21T23:10:02.500Z
      settled       2026-11-21T23:10:04.000Z
      response id   resp_68a1
      request id    req_77b2
      client        OpenAI/Python 2.1.0
      look-up       curl -s "$OPENAI_BASE_URL/_tollfree/calls/c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f"
    "#);
    assert_snapshot!(shown(&unknown(), &terminal(true, 60)), @r#"
    c_01jd8m6x3k0000000000000000000001
      verdict       unknown: client-gone
      group         large
      model         ? (asked for gpt-5.4-mini-2026-03-17)
      uncounted     at most 12,000 tokens (unknown-calls)
      organization  acme
      project       proj_acme
      endpoint      responses, stream, status 200
      service tier  default
      day           2026-11-21 UTC
      began         2026-11-21T23:10:02.500Z
      settled       2026-11-21T23:11:04.000Z
      request id    req_77b2
      client        OpenAI/Python 2.1.0
      look-up       curl -s "$OPENAI_BASE_URL/_tollfree/calls/c_01jd8m6x3k0000000000000000000001"
    "#);
    let both = shown(&disputed(), &terminal(true, 100));
    let both: Vec<&str> = both.lines().skip(1).take(3).collect();
    assert_snapshot!(both.join("\n"), @"
    verdict       BILLED, final: allowance-spent
    sum           before 1,005,000 + 1,204 = 1,006,204 > 1,000,000
    readings      billed if the crossing call counts, free if a smaller call may still fit
    ");
    assert_snapshot!(shown(&free(), &terminal(true, 100)), @r#"
    c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f
      verdict       free, assumed: within-allowance
      sum           before 100 + 1,204 = 1,304 <= 10,000,000
      assumes       outside-usage, day-start
      group         small
      model         gpt-5.4-mini-2026-03-17
      tokens        1,204 = 1,000 input + 204 output
      price         ? (no list price of this model is known)
      organization  acme
      project       proj_acme
      endpoint      responses, stream, status 200
      service tier  default
      day           2026-11-21 UTC (it began on another)
      began         2026-11-19T23:10:04.000Z
      settled       2026-11-20T23:10:04.000Z
      response id   resp_68a1
      request id    req_77b2
      client        OpenAI/Python 2.1.0
      look-up       curl -s "$OPENAI_BASE_URL/_tollfree/calls/c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f"
    "#);
}

#[test]
fn one_call_in_a_pipe_has_a_field_a_line_as_the_object_has() {
    let rows = as_rows(&crossing());
    let object = crate::cli::call_fields::as_line(&crossing());
    assert_eq!(object.lines().count(), 1);
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object["schema"], 1);
    for line in rows.lines() {
        let (name, value) = line.split_once('\t').unwrap();
        let said = match &object[name] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(said, value, "{name}");
    }
    assert_eq!(rows.lines().count() + 1, object.as_object().unwrap().len());
}

#[test]
fn who_watches_sees_every_call_however_many_came_between_two_looks() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LedgerSettings {
        folder: folder.path().to_owned(),
        durability: Durability::Crash,
        keep_days: 0,
    };
    let ledger = Ledger::open(settings, None, AT).ledger;
    let count = 2 * MOST_AT_ONCE + 7;
    for number in 0..count {
        let call = SettledCall {
            call: format!("c_{number}").into(),
            ..crossing().call
        };
        assert!(!matches!(ledger.keep(&[Entry::Settled(call)]), Kept::No));
    }
    ledger.close(Duration::from_mins(1)).unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    let (mut seen, mut last) = (Vec::new(), 0);
    loop {
        let new = newer_in(&reader, &Options::default(), &mut last).unwrap();
        seen.extend(new.iter().map(|row| row.number));
        if new.is_empty() {
            break;
        }
    }
    let all: Vec<i64> = (1..).take(count).collect();
    assert!(seen == all, "{} of {count} calls", seen.len());
}
