//! A status as it is seen, wide and narrow, with and without colour and glyphs, and by programs.

mod no_calls;
mod notices;
mod payer;
mod sharing;

use std::ffi::OsString;

use admin::{GroupStanding, InFlight, OrganizationStanding, SlackStanding};
use insta::assert_snapshot;
use jiff::tz::TimeZone;
use ledger::{Crossing, DayRow};
use meter::Day;

use super::programs::{as_object, as_rows};
use super::show::for_people;
use super::{OrganizationNow, Status};
use crate::cli::desk::Source;
use crate::cli::terminal::{Colour, Terminal};
use crate::config::Environment;

/// 23:14:09 UTC on 2026-11-21.
const NOW: i64 = 1_795_302_849;

fn large() -> GroupStanding {
    GroupStanding {
        group: "large".to_owned(),
        allowance_tokens: 1_000_000,
        taken_tokens: 1_005_000,
        remaining_tokens: 0,
        payer_says_billed: false,
        largest_free_call_tokens: 0,
        at_most: false,
        slack: SlackStanding::default(),
        in_flight: InFlight::default(),
    }
}

fn small() -> GroupStanding {
    GroupStanding {
        group: "small".to_owned(),
        allowance_tokens: 10_000_000,
        taken_tokens: 6_118_420,
        remaining_tokens: 3_881_580,
        payer_says_billed: false,
        largest_free_call_tokens: 3_869_580,
        at_most: true,
        slack: SlackStanding {
            tokens: 9_000,
            without_limit: false,
            sources: vec!["unknown-calls".to_owned()],
        },
        in_flight: InFlight {
            calls: 2,
            tokens: 12_000,
            unbounded: 0,
        },
    }
}

fn rows() -> Vec<DayRow> {
    let large = DayRow {
        group: "large".to_owned(),
        calls: 8,
        free_calls: 7,
        billed_calls: 1,
        free_tokens: 975_000,
        billed_tokens: 30_000,
        cost_pico: 140_000_000_000,
        saved_pico: 4_620_000_000_000,
        taken: 1_005_000,
        crossing: Some(Crossing {
            call: "c_7Q2mX".to_owned(),
            at: (NOW - 245) * 1000,
            tokens: 30_000,
            before: 975_000,
        }),
        last_allowance: Some(1_000_000),
        ..DayRow::default()
    };
    let small = DayRow {
        group: "small".to_owned(),
        calls: 1_204,
        free_calls: 1_201,
        unknown_calls: 3,
        free_tokens: 6_118_420,
        saved_pico: 3_060_000_000_000,
        taken: 6_118_420,
        ..DayRow::default()
    };
    let others = DayRow {
        calls: 12,
        billed_calls: 12,
        billed_tokens: 41_200,
        cost_pico: 210_000_000_000,
        ..DayRow::default()
    };
    // As the ledger sorts them: by name.
    vec![others, large, small]
}

fn status() -> Status {
    Status {
        source: Source::Running,
        day: Day::at(NOW),
        now: NOW,
        clock_correction: 0,
        base_url: "http://127.0.0.1:8800/v1".to_owned(),
        organizations: vec![OrganizationNow {
            standing: OrganizationStanding {
                organization: "acme".to_owned(),
                usage_tier: 3,
                usage_tier_declared: true,
                groups: vec![large(), small()],
            },
            rows: rows(),
        }],
        further: 0,
        has_kept_terms: false,
        sharing: None,
        ledger_notice: None,
        notices: Vec::new(),
        awaited_calls: 0,
    }
}

fn terminal(width: usize, colour: Colour, locale: &str) -> Terminal {
    let locale: [(OsString, OsString); 1] = [("LC_ALL".into(), locale.into())];
    let environment: Environment = locale.into_iter().collect();
    Terminal::from_facts(true, Some(width), colour, &environment)
}

fn seen(status: &Status, width: usize) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    for_people(status, &zone, &terminal(width, Colour::Never, "C.UTF-8"))
}

#[test]
fn eighty_columns_have_everything() {
    assert_snapshot!(seen(&status(), 80), @"
    acme · usage tier 3 · 2026-11-21 UTC · resets in 46 min (01:00 here)
    large  ███████████████████████████████████████◆  spent  975,000 of 1,000,000
           crossing call c_7Q2mX at 23:10:04 UTC (30,000 tokens); later ones are
           billed
    small  ████████████████████████▒░░░░░░░░░░░░░░░   61 %  6,118,420 of 10,000,000
           largest free call: at most 3,869,580 tokens; ▒ 2 in flight, up to 12,000
    TODAY         CALLS  FREE TOKENS  BILLED TOKENS  UNKNOWN   COST  SAVED
    large             8      975,000         30,000        0  $0.14  $4.62
    small         1,204    6,118,420              0        3  $0.00  $3.06
    not eligible     12            0         41,200        0  $0.21  $0.00
    total         1,224    7,093,420         71,200        3  $0.35  $7.68
    note: 3 calls without usage: see tollfree calls --verdict unknown
    ");
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = include_str!("../../../../../README.md");
    let mut status = status();
    let crossing = status.organizations[0].rows[1].crossing.as_mut().unwrap();
    // As long as real ones.
    crossing.call = "c_01m810r9029caebkns8daj2hef5qwv".to_owned();
    let seen = seen(&status, 80);
    assert!(readme.contains(&seen), "{seen}");
}

#[test]
fn a_hundred_columns_and_sixty() {
    assert_snapshot!(seen(&status(), 100), @"
    acme · usage tier 3 · 2026-11-21 UTC · resets in 46 min (01:00 here)
    large  ███████████████████████████████████████◆  spent  975,000 of 1,000,000
           crossing call c_7Q2mX at 23:10:04 UTC (30,000 tokens); later ones are billed
    small  ████████████████████████▒░░░░░░░░░░░░░░░   61 %  6,118,420 of 10,000,000
           largest free call: at most 3,869,580 tokens; ▒ 2 in flight, up to 12,000
    TODAY         CALLS  FREE TOKENS  BILLED TOKENS  UNKNOWN   COST  SAVED
    large             8      975,000         30,000        0  $0.14  $4.62
    small         1,204    6,118,420              0        3  $0.00  $3.06
    not eligible     12            0         41,200        0  $0.21  $0.00
    total         1,224    7,093,420         71,200        3  $0.35  $7.68
    note: 3 calls without usage: see tollfree calls --verdict unknown
    ");
    assert_snapshot!(seen(&status(), 60), @"
    acme · usage tier 3 · 2026-11-21 UTC · resets in 46 min
    (01:00 here)
    large  ███████████████████████████████████████◆
           spent 975,000 of 1,000,000
           crossing call c_7Q2mX at 23:10:04 UTC (30,000
           tokens); later ones are billed
    small  ████████████████████████▒░░░░░░░░░░░░░░░
           61 % 6,118,420 of 10,000,000
           largest free call: at most 3,869,580 tokens; ▒ 2 in
           flight, up to 12,000
    TODAY         FREE TOKENS  BILLED TOKENS   COST  SAVED
    large             975,000         30,000  $0.14  $4.62
    small           6,118,420              0  $0.00  $3.06
    not eligible            0         41,200  $0.21  $0.00
    total           7,093,420         71,200  $0.35  $7.68
    note: 3 calls without usage: see tollfree calls --verdict
    unknown
    ");
}

#[test]
fn below_sixty_a_group_is_a_block() {
    assert_snapshot!(seen(&status(), 59), @"
    acme · usage tier 3 · 2026-11-21 UTC · resets in 46 min
    (01:00 here)
    large
    ███████████████████████████████████████◆
      spent, 975,000 of 1,000,000
      crossing call c_7Q2mX at 23:10:04 UTC (30,000 tokens);
      later ones are billed
    small
    ████████████████████████▒░░░░░░░░░░░░░░░
      61 %, 6,118,420 of 10,000,000
      largest free call: at most 3,869,580 tokens; ▒ 2 in
      flight, up to 12,000
    today
    large
      calls                8
      free tokens    975,000
      billed tokens   30,000
      unknown              0
      cost             $0.14
      saved            $4.62
    small
      calls              1,204
      free tokens    6,118,420
      billed tokens          0
      unknown                3
      cost               $0.00
      saved              $3.06
    not eligible
      calls              12
      free tokens         0
      billed tokens  41,200
      unknown             0
      cost            $0.21
      saved           $0.00
    total
      calls              1,224
      free tokens    7,093,420
      billed tokens     71,200
      unknown                3
      cost               $0.35
      saved              $7.68
    note: 3 calls without usage: see tollfree calls --verdict
    unknown
    ");
}

#[test]
fn below_forty_bars_go() {
    assert_snapshot!(seen(&status(), 39), @"
    acme · usage tier 3 · 2026-11-21 UTC ·
    resets in 46 min (01:00 here)
    large
      spent, 975,000 of 1,000,000
      crossing call c_7Q2mX at 23:10:04 UTC
      (30,000 tokens); later ones are
      billed
    small
      61 %, 6,118,420 of 10,000,000
      largest free call: at most 3,869,580
      tokens; ▒ 2 in flight, up to 12,000
    today
    large
      calls                8
      free tokens    975,000
      billed tokens   30,000
      unknown              0
      cost             $0.14
      saved            $4.62
    small
      calls              1,204
      free tokens    6,118,420
      billed tokens          0
      unknown                3
      cost               $0.00
      saved              $3.06
    not eligible
      calls              12
      free tokens         0
      billed tokens  41,200
      unknown             0
      cost            $0.21
      saved           $0.00
    total
      calls              1,224
      free tokens    7,093,420
      billed tokens     71,200
      unknown                3
      cost               $0.35
      saved              $7.68
    note: 3 calls without usage: see
    tollfree calls --verdict unknown
    ");
}

#[test]
fn no_digit_is_ever_cut() {
    let numbers = [
        "975,000",
        "1,000,000",
        "30,000",
        "6,118,420",
        "10,000,000",
        "3,869,580",
        "12,000",
    ];
    for width in 28..130 {
        let text = seen(&status(), width);
        for number in numbers {
            assert!(text.contains(number), "{number} at {width}:\n{text}");
        }
        let too_wide = |line: &&str| line.chars().count() > width;
        assert!(
            !text.lines().any(|line| too_wide(&line)),
            "{width}:\n{text}"
        );
    }
}

#[test]
fn a_plain_terminal_has_no_escape_and_no_glyph() {
    let plain = for_people(&status(), &TimeZone::UTC, &terminal(80, Colour::Never, "C"));
    assert!(plain.is_ascii(), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert!(plain.contains("#######X"), "{plain}");
    assert!(
        plain.starts_with("acme - usage tier 3 - 2026-11-21 UTC - resets in 46 min\n"),
        "{plain}"
    );
}

#[test]
fn colour_only_supports_what_words_and_shapes_say() {
    let painted = for_people(
        &status(),
        &TimeZone::UTC,
        &terminal(80, Colour::Always, "C.UTF-8"),
    );
    let plain = for_people(
        &status(),
        &TimeZone::UTC,
        &terminal(80, Colour::Never, "C.UTF-8"),
    );
    assert_ne!(painted, plain);
    let escapes = ["\x1b[36m", "\x1b[33m", "\x1b[2m", "\x1b[0m"];
    let bare = escapes
        .iter()
        .fold(painted, |text, escape| text.replace(escape, ""));
    assert_eq!(bare, plain);
}

#[test]
fn a_stopped_proxy_is_told_first() {
    let mut status = status();
    let as_of = |at| Source::Stopped { as_of: at };
    status.source = as_of(Some(NOW * 1000));
    let first = |status: &Status| seen(status, 80).lines().next().map(str::to_owned).unwrap();
    assert_eq!(
        first(&status),
        "no proxy on this ledger; as of 23:14:09 UTC"
    );
    status.source = as_of(Some((NOW - 86_400) * 1000));
    assert_eq!(
        first(&status),
        "no proxy on this ledger; as of 2026-11-20 23:14:09 UTC"
    );
    status.source = as_of(None);
    assert_eq!(
        first(&status),
        "no proxy on this ledger, and no calls in it"
    );
}

#[test]
fn a_day_without_calls_says_what_to_do_and_shows_no_zeros() {
    let mut status = status();
    status.organizations.clear();
    assert_snapshot!(seen(&status, 80), @"
    No calls today (UTC).
    export OPENAI_BASE_URL=http://127.0.0.1:8800/v1
    ");
    status.source = Source::Stopped { as_of: None };
    assert_snapshot!(seen(&status, 80), @"
    no proxy on this ledger, and no calls in it
    No calls today (UTC).
    start tollfree, then: export OPENAI_BASE_URL=http://127.0.0.1:8800/v1
    ");
    assert_eq!(as_rows(&status, false), "");
}

#[test]
fn what_is_assumed_declared_away_or_not_known_is_said() {
    let mut status = status();
    let organization = &mut status.organizations[0];
    organization.standing.usage_tier_declared = false;
    organization.standing.usage_tier = 1;
    let large = &mut organization.standing.groups[0];
    large.allowance_tokens = 0;
    let small = &mut organization.standing.groups[1];
    small.slack.sources = vec!["outside-usage".to_owned(), "day-start".to_owned()];
    small.in_flight.unbounded = 1;
    organization.rows[0].unpriced_calls = 4;
    status.further = 1;
    assert_snapshot!(seen(&status, 80), @"
    acme · usage tier 1 assumed · 2026-11-21 UTC · resets in 46 min (01:00 here)
    large  no free tokens: declared as not enrolled
    small  ████████████████████████▒░░░░░░░░░░░░░░░   61 %  6,118,420 of 10,000,000
           largest free call: at most 3,869,580 tokens; ▒ 2 in flight, up to 12,000
           and 1 without bound
    TODAY         CALLS  FREE TOKENS  BILLED TOKENS  UNKNOWN    COST  SAVED
    large             8      975,000         30,000        0   $0.14  $4.62
    small         1,204    6,118,420              0        3   $0.00  $3.06
    not eligible     12            0         41,200        0  >$0.21  $0.00
    total         1,224    7,093,420         71,200        3  >$0.35  $7.68
    note: 3 calls without usage: see tollfree calls --verdict unknown
    note: at most, since not counted are calls that do not pass through this proxy,
    calls made today before counting began. help: tollfree total set states today's
    total; TOLLFREE_COVERAGE=all says that all traffic passes here
    note: the price of some models is not known: ? and > in dollars
    note: 1 organization not shown: tollfree status --organization NAME
    ");
}

#[test]
fn names_from_strangers_cannot_move_the_cursor() {
    let mut status = status();
    status.organizations[0].standing.organization = "ac\u{1b}[2Jme".to_owned();
    let text = seen(&status, 80);
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn rows_have_one_group_each() {
    let rows = as_rows(&status(), true);
    assert_snapshot!(rows.replace('\t', " "), @"
    organization day group allowance_tokens taken_tokens remaining_tokens largest_free_call_tokens at_most calls free_tokens billed_tokens unknown_calls cost_usd saved_usd
    acme 2026-11-21 large 1000000 1005000 0 0 false 8 975000 30000 0 0.14 4.62
    acme 2026-11-21 small 10000000 6118420 3881580 3869580 true 1204 6118420 0 3 0 3.06
    ");
    assert_eq!(as_rows(&status(), false).lines().count(), 2);
}

#[test]
fn the_object_says_what_the_table_says() {
    let object = as_object(&status());
    assert_eq!(object["schema"], 1);
    assert_eq!(object["running"], true);
    assert_eq!(object["reset"], "2026-11-22T00:00:00Z");
    assert_eq!(object["reset_seconds"], 2_751);
    let organization = &object["organizations"][0];
    for (place, row) in as_rows(&status(), false).lines().enumerate() {
        let cells: Vec<&str> = row.split('\t').collect();
        let group = &organization["groups"][place];
        assert_eq!(group["group"], cells[2]);
        for (cell, member) in cells[3..7].iter().zip([
            "allowance_tokens",
            "taken_tokens",
            "remaining_tokens",
            "largest_free_call_tokens",
        ]) {
            assert_eq!(group[member].to_string(), *cell, "{member}");
        }
        assert_eq!(group["at_most"].to_string(), cells[7]);
        let today = organization["today"].as_array().unwrap();
        let today = today.iter().find(|row| row["group"] == cells[2]).unwrap();
        assert_eq!(today["calls"].to_string(), cells[8]);
        assert_eq!(today["free_tokens"].to_string(), cells[9]);
        assert_eq!(today["cost_usd"], cells[12]);
    }
    assert_eq!(
        organization["groups"][0]["crossing_call"]["call"],
        "c_7Q2mX"
    );
    assert_eq!(
        organization["groups"][1]["crossing_call"],
        serde_json::Value::Null
    );
    assert_eq!(organization["total"]["calls"], 1_224);
    assert_eq!(organization["total"]["saved_usd"], "7.68");
    assert_eq!(organization["today"][2]["group"], serde_json::Value::Null);
}
