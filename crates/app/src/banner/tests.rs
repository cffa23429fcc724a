//! The banner as it stands on terminals of several widths.

use std::path::PathBuf;

use insta::assert_snapshot;

use super::*;
use crate::cli::terminal::Colour;
use crate::config::{Environment, Flags, Sources, load};

/// 2026-11-22 09:02:00 UTC.
const NOW: i64 = 1_795_338_120_000;
/// What starts again find.
const AGAIN: Found = Found {
    began_at: NOW - 86_400_000,
    calls_today: 1_224,
    works: true,
    is_ours: true,
};

fn environment(variables: &[(&str, &str)]) -> Environment {
    let owned = variables.iter().map(|(n, v)| (n.into(), v.into()));
    owned.collect()
}

/// The banner with these variables, on a terminal so wide, in this locale, where this was found.
fn banner_of(
    variables: &[(&str, &str)],
    address: &str,
    (width, locale): (usize, &str),
    found: Option<&Found>,
) -> String {
    let user = ("HOME", "/home/ada");
    let data = ("XDG_DATA_HOME", "/home/ada/.local/share");
    let variables = [variables, &[user, data]].concat();
    let sources = Sources {
        flags: Flags::default(),
        environment: environment(&variables),
        default_file: PathBuf::from("/nowhere/tollfree.toml"),
    };
    let started = Started {
        loaded: &load(&sources).unwrap(),
        home: Some(Path::new("/home/ada")),
        address: address.parse().unwrap(),
        page: Some(([127, 0, 0, 1], 8801).into()),
        has_variables: sources.environment.sets_something(),
        found,
        now_ms: NOW,
        took: Duration::from_millis(12),
    };
    let locale = environment(&[("LC_ALL", locale)]);
    let terminal = Terminal::from_facts(true, Some(width), Colour::Auto, &locale);
    text(&started, &terminal)
}

/// The same of the first start ever.
fn banner(variables: &[(&str, &str)], address: &str, width: usize, locale: &str) -> String {
    let new = Found {
        began_at: NOW - 5,
        calls_today: 0,
        works: true,
        is_ours: true,
    };
    banner_of(variables, address, (width, locale), Some(&new))
}

#[test]
fn the_readme_shows_what_is_printed() {
    let banner = banner(&[], "127.0.0.1:8800", 200, "C.UTF-8");
    let readme = include_str!("../../../../README.md");
    assert!(readme.contains(&banner), "{banner}");
}

#[test]
fn variables_in_force_are_said() {
    let tier = banner(
        &[("TOLLFREE_USAGE_TIER", "3")],
        "127.0.0.1:8800",
        200,
        "C.UTF-8",
    );
    assert!(
        tier.contains("no config file, defaults and variables\n"),
        "{tier}"
    );
    // Not one that is not read.
    let typo = banner(
        &[("TOLLFREE_USAGE_TEIR", "3")],
        "127.0.0.1:8800",
        200,
        "C.UTF-8",
    );
    assert!(typo.contains("no config file, defaults\n"), "{typo}");
}

#[test]
fn at_the_usual_width_nothing_is_left_to_the_terminal_to_break() {
    let eighty = banner(&[], "127.0.0.1:8800", 80, "C.UTF-8");
    assert!(eighty.lines().all(|line| line.chars().count() <= 80));
    assert_snapshot!(eighty, @"
    tollfree 0.1.0 · to https://api.openai.com · no config file, defaults
      use     export OPENAI_BASE_URL=http://127.0.0.1:8800/v1
      page    http://127.0.0.1:8801/
      ledger  ~/.local/share/tollfree/ledger.sqlite · new
      offer   model list of 2026-09-28, 55 days old
      assume  usage tier 1: 250,000 large and 2,500,000 small tokens free a day
              (declare yours: TOLLFREE_USAGE_TIER=3)
              enrolment and coverage are not declared: free verdicts are marked
              assumed (TOLLFREE_ENROLLED=true, TOLLFREE_COVERAGE=all)
              totals begin now: free verdicts of today are marked assumed
              (day-start)
    ready in 12 ms · waiting for the first call
    ");
}

#[test]
fn narrow_and_without_a_utf8_locale() {
    let variables = [("TOLLFREE_ENROLLED", "true")];
    assert_snapshot!(banner(&variables, "[::]:80", 44, "C"), @"
    tollfree 0.1.0 - to https://api.openai.com -
    no config file, defaults and variables
      use     export OPENAI_BASE_URL=http://[::1]:80/v1
      page    http://127.0.0.1:8801/
      ledger  ~/.local/share/tollfree/ledger.sqlite
              - new
      offer   model list of 2026-09-28, 55 days
              old
      assume  usage tier 1: 250,000 large and
              2,500,000 small tokens free a day
              (declare yours:
              TOLLFREE_USAGE_TIER=3)
              coverage is not declared: free
              verdicts are marked assumed
              (TOLLFREE_COVERAGE=all)
              totals begin now: free verdicts of
              today are marked assumed
              (day-start)
    ready in 12 ms - waiting for the first call
    ");
}

const DECLARED: [(&str, &str); 3] = [
    ("TOLLFREE_USAGE_TIER", "3"),
    ("TOLLFREE_ENROLLED", "true"),
    ("TOLLFREE_COVERAGE", "part"),
];

#[test]
fn what_is_declared_is_not_assumed() {
    let declared = banner(&DECLARED, "0.0.0.0:8810", 80, "C.UTF-8");
    assert!(!declared.contains("declare"), "{declared}");
    assert!(
        declared.contains("\n  assume  totals begin now"),
        "{declared}"
    );
    assert!(
        declared.contains("=http://127.0.0.1:8810/v1\n"),
        "{declared}"
    );
}

fn with(found: Option<&Found>) -> String {
    banner_of(&DECLARED, "127.0.0.1:1", (100, "C.UTF-8"), found)
}

#[test]
fn a_ledger_of_yesterday_leaves_nothing_to_assume() {
    let banner = with(Some(&AGAIN));
    assert_snapshot!(banner, @"
    tollfree 0.1.0 · to https://api.openai.com · no config file, defaults and variables
      use     export OPENAI_BASE_URL=http://127.0.0.1:1/v1
      page    http://127.0.0.1:8801/
      ledger  ~/.local/share/tollfree/ledger.sqlite · 1,224 calls of today restored
      offer   model list of 2026-09-28, 55 days old
    ready in 12 ms · waiting for the first call
    ");
}

#[test]
fn a_ledger_that_began_today_says_when() {
    let today = Found {
        began_at: NOW - 7_200_000,
        calls_today: 1,
        ..AGAIN
    };
    let banner = with(Some(&today));
    assert!(
        banner.contains("ledger.sqlite · 1 call of today restored\n"),
        "{banner}"
    );
    assert!(
        banner.contains("\n  assume  totals begin at 07:02 UTC: free "),
        "{banner}"
    );
    let midnight = Found {
        began_at: NOW / 86_400_000 * 86_400_000,
        ..today
    };
    let banner = with(Some(&midnight));
    assert!(!banner.contains("assume"), "{banner}");
}

#[test]
fn without_a_ledger_that_can_be_written_it_says_what_follows() {
    let degraded = Found {
        began_at: NOW - 5,
        calls_today: 0,
        works: false,
        is_ours: false,
    };
    let banner = with(Some(&degraded));
    assert!(
        banner.contains(" · cannot be written now; calls go on without it\n"),
        "{banner}"
    );
    assert!(banner.contains("totals begin now"), "{banner}");
    let banner = with(None);
    assert!(
        banner.contains("  ledger  none: totals are in memory only; a restart begins at zero\n"),
        "{banner}"
    );
    assert!(banner.contains("totals begin now"), "{banner}");
}
