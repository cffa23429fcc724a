//! A report as it is seen, wide and narrow, and as programs read it.

use std::ffi::OsString;

use insta::assert_snapshot;
use ledger::Crossing;

use super::*;
use crate::cli::terminal::Colour;
use crate::config::{Environment, built_in_offer};

const TODAY: &str = "2026-11-21";

fn day(text: &str) -> Day {
    crate::cli::desk::day_of_text(text).unwrap()
}

fn row(date: &str, group: &str, figures: [u64; 5], allowance: Option<u64>) -> DayRow {
    let [calls, free_tokens, billed_tokens, cost_pico, saved_pico] = figures;
    DayRow {
        day: day(date).number(),
        organization: "acme".to_owned(),
        group: group.to_owned(),
        calls,
        free_calls: u64::from(free_tokens > 0),
        billed_calls: u64::from(billed_tokens > 0),
        free_tokens,
        billed_tokens,
        cost_pico: cost_pico * 10_000_000_000,
        saved_pico: saved_pico * 10_000_000_000,
        taken: free_tokens + billed_tokens,
        last_allowance: allowance,
        ..DayRow::default()
    }
}

fn rows() -> Vec<DayRow> {
    let (large, small) = (Some(1_000_000), Some(10_000_000));
    let mut spent = row(TODAY, "large", [8, 975_000, 30_000, 14, 462], large);
    spent.crossing = Some(Crossing::default());
    vec![
        row(TODAY, "", [12, 0, 41_200, 21, 0], None),
        spent,
        row(TODAY, "small", [1_204, 6_118_420, 0, 0, 306], small),
        row("2026-11-20", "large", [31, 612_048, 0, 0, 291], large),
        row(
            "2026-11-20",
            "small",
            [1_880, 9_998_112, 41_077, 2, 499],
            small,
        ),
    ]
}

fn with_report<T>(rows: Vec<DayRow>, look: impl FnOnce(&Report<'_>) -> T) -> T {
    let offer = built_in_offer().unwrap();
    let mut report = Report {
        rows,
        from: day("2026-11-20"),
        today: day(TODAY),
        offer: &offer,
        after_crossing: AfterCrossing::Billed,
        day_start: DayStart::default(),
    };
    report.order();
    look(&report)
}

fn terminal(is_terminal: bool, width: usize) -> Terminal {
    let locale: [(OsString, OsString); 1] = [("LC_ALL".into(), "C.UTF-8".into())];
    let environment: Environment = locale.into_iter().collect();
    Terminal::from_facts(is_terminal, Some(width), Colour::Never, &environment)
}

fn seen(width: usize) -> String {
    with_report(rows(), |report| report.for_people(&terminal(true, width)))
}

#[test]
fn two_days_at_a_hundred_and_at_eighty_columns() {
    assert_snapshot!(seen(100), @"
    DAY (UTC)   GROUP         CALLS  FREE TOKENS  BILLED TOKENS  UNUSED FREE   COST   SAVED
    2026-11-20  large            31      612,048              0      387,952  $0.00   $2.91
                small         1,880    9,998,112         41,077        1,888  $0.02   $4.99
    2026-11-21  large             8      975,000         30,000       25,000  $0.14   $4.62
                small         1,204    6,118,420              0         open  $0.00   $3.06
                not eligible     12            0         41,200            -  $0.21   $0.00
    total                     3,135   17,703,580        112,277      414,840  $0.37  $15.58
    list prices of 2026-11-12 · counts what passed through this proxy
    ");
    assert_snapshot!(seen(80), @"
    DAY (UTC)   GROUP         FREE TOKENS  BILLED TOKENS  UNUSED FREE   COST   SAVED
    2026-11-20  large             612,048              0      387,952  $0.00   $2.91
                small           9,998,112         41,077        1,888  $0.02   $4.99
    2026-11-21  large             975,000         30,000       25,000  $0.14   $4.62
                small           6,118,420              0         open  $0.00   $3.06
                not eligible            0         41,200            -  $0.21   $0.00
    total                      17,703,580        112,277      414,840  $0.37  $15.58
    list prices of 2026-11-12 · counts what passed through this proxy
    ");
}

#[test]
fn narrow_reports_lose_columns_and_then_become_blocks() {
    assert_snapshot!(seen(66), @"
    DAY (UTC)   GROUP         FREE TOKENS  BILLED TOKENS   COST
    2026-11-20  large             612,048              0  $0.00
                small           9,998,112         41,077  $0.02
    2026-11-21  large             975,000         30,000  $0.14
                small           6,118,420              0  $0.00
                not eligible            0         41,200  $0.21
    total                      17,703,580        112,277  $0.37
    list prices of 2026-11-12 · counts what passed through this proxy
    ");
    assert_snapshot!(seen(40).lines().take(16).collect::<Vec<_>>().join("\n"), @"
    2026-11-20 large
      calls               31
      free tokens    612,048
      billed tokens        0
      unused free    387,952
      cost             $0.00
      saved            $2.91
    2026-11-20 small
      calls              1,880
      free tokens    9,998,112
      billed tokens     41,077
      unused free        1,888
      cost               $0.02
      saved              $4.99
    2026-11-21 large
      calls                8
    ");
}

#[test]
fn several_organizations_have_a_column_and_what_is_not_known_is_no_number() {
    let mut rows = rows();
    rows[3].organization = "globex".to_owned();
    rows[3].unknown_calls = 2;
    rows[4].last_allowance = None;
    rows[0].unpriced_calls = 1;
    let seen = with_report(rows, |report| report.for_people(&terminal(true, 110)));
    assert_snapshot!(seen, @"
    DAY (UTC)   ORGANIZATION  GROUP         CALLS  FREE TOKENS  BILLED TOKENS  UNUSED FREE    COST   SAVED
    2026-11-20  acme          small         1,880    9,998,112         41,077            ?   $0.02   $4.99
                globex        large            31      612,048              0     ≤387,952   $0.00   $2.91
    2026-11-21  acme          large             8      975,000         30,000       25,000   $0.14   $4.62
                              small         1,204    6,118,420              0         open   $0.00   $3.06
                              not eligible     12            0         41,200            -  >$0.21   $0.00
    total                                   3,135   17,703,580        112,277     ≤412,952  >$0.37  $15.58
    list prices of 2026-11-12 · counts what passed through this proxy
    note: the price of some models is not known: ? and > in dollars
    ");
}

#[test]
fn a_small_call_may_still_fit_by_the_other_reading() {
    let offer = built_in_offer().unwrap();
    let report = Report {
        rows: rows(),
        from: day(TODAY),
        today: day(TODAY),
        offer: &offer,
        after_crossing: AfterCrossing::FreeIfItFits,
        day_start: DayStart::default(),
    };
    let large = report.rows.iter().find(|row| row.group == "large").unwrap();
    assert_eq!(report.unused(large), Unused::Open);
}

#[test]
fn a_total_of_nothing_known_is_no_zero() {
    let total = |groups: &[&str]| {
        let wanted = |row: &DayRow| row.day == day(TODAY).number() && groups.contains(&&*row.group);
        let rows = rows().into_iter().filter(wanted).collect();
        with_report(rows, |report| {
            // A method of one lifetime is no function of any.
            let report: &Report<'_> = report;
            report.unused_in_all()
        })
    };
    assert_eq!(total(&["small", ""]), Unused::Open);
    assert_eq!(total(&[""]), Unused::NotApplicable);
    let known = Unused::Tokens {
        tokens: 25_000,
        at_most: false,
    };
    assert_eq!(total(&["small", "large", ""]), known);
}

#[test]
fn a_day_that_was_not_counted_from_its_beginning_has_at_most_so_much_left() {
    let offer = built_in_offer().unwrap();
    let mut report = Report {
        rows: rows(),
        from: day("2026-11-20"),
        today: day(TODAY),
        offer: &offer,
        after_crossing: AfterCrossing::Billed,
        day_start: DayStart {
            began: Some(day("2026-11-20").number()),
            today: vec![("acme".to_owned(), "large".to_owned())],
        },
    };
    let at_most = |report: &Report<'_>| {
        let cells = report.table(&terminal(false, 80)).as_rows(false);
        let marks = cells.lines().map(|line| line.ends_with("\ttrue"));
        marks.collect::<Vec<_>>()
    };
    report.order();
    assert_eq!(at_most(&report), [true, true, true, false, false]);
    // Today's was stated since, and what was before counting began is in it.
    report.day_start.today.clear();
    assert_eq!(at_most(&report), [true, true, false, false, false]);
}

#[test]
fn rows_files_and_objects_say_the_same() {
    let mut some = rows();
    some[3].unknown_calls = 2;
    some[0].unpriced_calls = 1;
    with_report(some, |report| {
        let table = report.table(&terminal(false, 80));
        let rows = table.as_rows(true);
        let file = report.as_csv();
        assert_eq!(file.replace("\r\n", "\n").replace(',', "\t"), rows);
        let object = report.as_object();
        let mut lines = rows.lines();
        let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
        for (line, row) in lines.zip(object["rows"].as_array().unwrap()) {
            for (name, cell) in names.iter().zip(line.split('\t')) {
                let said = match &row[name] {
                    Value::Null => NOT_APPLICABLE.to_owned(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(said, cell, "{name} of {line}");
            }
        }
        assert_eq!(object["total"]["free_tokens"], 17_703_580);
        assert_eq!(object["total"]["unused_free_tokens"], 414_840);
        assert_eq!(object["total"]["saved_usd"], "15.58");
        assert_eq!(object["schema"], 1);
    });
}

#[test]
fn nothing_is_left_for_sure_where_nothing_can_be_left() {
    let mut rows = rows();
    let large = rows
        .iter_mut()
        .find(|row| row.group == "large" && row.last_allowance.is_some())
        .unwrap();
    large.last_allowance = Some(large.free_tokens);
    large.unknown_calls = 2;
    let spent = large.clone();
    with_report(rows, |report| {
        let unused = report.unused(&spent);
        assert_eq!(
            unused,
            Unused::Tokens {
                tokens: 0,
                at_most: false
            }
        );
    });
}

#[test]
fn what_stayed_unused_goes_before_what_was_billed() {
    let mut rows = rows();
    rows[3].organization = "globex".to_owned();
    let seen = with_report(rows, |report| report.for_people(&terminal(true, 80)));
    let head = seen.lines().next().unwrap();
    assert!(head.contains("BILLED TOKENS"), "{seen}");
    assert!(!head.contains("UNUSED FREE"), "{seen}");
}
