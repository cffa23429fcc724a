//! Totals as they are seen, and the number that is stated.

use admin::{GroupStanding, InFlight, OrganizationStanding, SlackStanding};
use insta::assert_snapshot;
use meter::Day;

use super::{as_object, for_people, odd, table, tokens};
use crate::cli::desk::{Source, Standings};
use crate::cli::terminal::{Colour, Terminal};
use crate::config::Environment;

fn group(name: &str, taken: u64, allowance: u64) -> GroupStanding {
    GroupStanding {
        group: name.to_owned(),
        allowance_tokens: allowance,
        taken_tokens: taken,
        remaining_tokens: allowance.saturating_sub(taken),
        payer_says_billed: false,
        largest_free_call_tokens: allowance.saturating_sub(taken),
        at_most: false,
        slack: SlackStanding::default(),
        in_flight: InFlight::default(),
    }
}

fn standings() -> Standings {
    let mut small = group("small", 6_118_420, 10_000_000);
    small.slack = SlackStanding {
        tokens: 9_000,
        without_limit: true,
        sources: vec!["day-start".to_owned(), "unknown-calls".to_owned()],
    };
    Standings {
        source: Source::Running,
        day: Day::of_date(2026, 11, 21).unwrap(),
        now: 0,
        clock_correction: 0,
        base_url: String::new(),
        organizations: vec![OrganizationStanding {
            organization: "acme".to_owned(),
            usage_tier: 3,
            usage_tier_declared: true,
            groups: vec![group("large", 1_005_000, 1_000_000), small],
        }],
        has_kept_terms: false,
        sharing: None,
        ledger_notice: None,
        notices: Vec::new(),
    }
}

fn seen(width: usize) -> String {
    let terminal = Terminal::from_facts(true, Some(width), Colour::Never, &Environment::default());
    let standings = standings();
    for_people(&standings, &table(&standings.organizations), &terminal)
}

#[test]
fn totals_wide_and_narrow() {
    assert_snapshot!(seen(80), @"
    tokens of 2026-11-21 UTC
    ORGANIZATION  GROUP      TOTAL   ALLOWANCE  REMAINING  UNCOUNTED
    acme          large  1,005,000   1,000,000          0          0
    acme          small  6,118,420  10,000,000  3,881,580   no limit
    uncounted: day-start, unknown-calls. What OpenAI's dashboard says: tollfree
    total set --group GROUP TOKENS
    ");
    assert_snapshot!(seen(40), @"
    tokens of 2026-11-21 UTC
    acme large
      total      1,005,000
      allowance  1,000,000
      remaining          0
      uncounted          0
    acme small
      total       6,118,420
      allowance  10,000,000
      remaining   3,881,580
      uncounted    no limit
    uncounted: day-start, unknown-calls.
    What OpenAI's dashboard says: tollfree
    total set --group GROUP TOKENS
    ");
}

#[test]
fn the_object_says_what_the_rows_say() {
    let standings = standings();
    let object = as_object(&standings);
    let rows = table(&standings.organizations).as_rows(true);
    let mut lines = rows.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    for (place, line) in lines.enumerate() {
        let group = &object["organizations"][0]["groups"][place];
        for (name, cell) in names.iter().zip(line.split('\t')).skip(1).take(4) {
            let said = group[name].to_string();
            assert_eq!(said.trim_matches('"'), cell, "{name}");
        }
    }
    assert_eq!(object["day"], "2026-11-21");
    assert_eq!(
        object["organizations"][0]["groups"][1]["slack"]["without_limit"],
        true
    );
}

#[test]
fn a_total_is_read_with_and_without_commas() {
    assert_eq!(tokens("412000"), Ok(412_000));
    assert_eq!(tokens("412,000"), Ok(412_000));
    assert_eq!(tokens("412_000"), Ok(412_000));
    for wrong in ["", "-1", "4.2M", "many", "18446744073709551615"] {
        assert!(tokens(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_may_be_a_slip_is_said() {
    assert!(odd(412_000, 400_000, Some(1_000_000)).is_empty());
    assert!(odd(0, 0, Some(0)).is_empty());
    let fewer = odd(1_000, 500_020, Some(1_000_000));
    assert!(
        fewer[0].starts_with("fewer than were counted here (500,020)"),
        "{fewer:?}"
    );
    let many = odd(900_000_000, 0, Some(1_000_000));
    assert!(
        many[0].starts_with("more than 100 times the allowance (1,000,000)"),
        "{many:?}"
    );
}
