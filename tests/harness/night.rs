//! What calls around a 00:00 UTC came to: each against the day that the bill has it on, and the totals of both days.
//!
//! It must not know whose clock was wrong, or how many programs counted.

use std::collections::BTreeMap;

use simulator::{BillLine, LogEntry};

use crate::findings::Findings;
use crate::sqlite::{Ledger, Place, Row};

const SECOND: i64 = 1_000;
/// Milliseconds of a day.
pub const DAY: i64 = 24 * 3_600 * SECOND;
/// How long an answer may be on its way between both clocks: usage that was complete this close to midnight may
/// arrive on the other side of it.
const TRANSIT: i64 = 250;
/// How exactly `date` tells a wrong clock the time: it counts whole seconds.
pub const DATE_TELLS: i64 = SECOND;
/// So near to midnight no clock can tell on which side `OpenAI` has a call, by the product's word.
const NEAR: i64 = 3 * SECOND;

/// What one midnight came to.
#[derive(Debug, Default)]
pub struct Night {
    /// Calls that were settled.
    pub calls: usize,
    /// Those that say that they may count on the other day.
    pub straddles: usize,
    /// On the other side of midnight than the bill has them, and marked so.
    pub on_the_line: usize,
    /// Calls by day.
    pub days: BTreeMap<String, usize>,
    /// What is wrong.
    pub findings: Findings,
}

impl Night {
    /// What the calls of this ledger came to, where clocks may differ by so many milliseconds unnoticed.
    pub fn of(ledger: &Ledger, bill: &[BillLine], log: &[LogEntry], unnoticed: i64) -> Night {
        let mut night = Night {
            calls: ledger.rows.len(),
            ..Night::default()
        };
        let billed: BTreeMap<&str, (&BillLine, &LogEntry)> = bill
            .iter()
            .zip(log)
            .map(|(line, entry)| (&*line.response_id, (line, entry)))
            .collect();
        for row in &ledger.rows {
            let id = row.response_id.as_deref().expect("an id");
            let (line, entry) = billed[id];
            *night.days.entry(row.day.clone()).or_default() += 1;
            night.straddles += usize::from(row.straddles);
            if row.day != line.day {
                // A call that says so of itself may fall on either side while it is on its way.
                if row.straddles && from_midnight(&entry.at) < TRANSIT.max(unnoticed) {
                    night.on_the_line += 1;
                } else {
                    let wrong = format!("counts on {}, billed at {}: {row:?}", row.day, entry.at);
                    night.findings.add(&row.call, vec![wrong]);
                }
            }
            night.findings.add(&row.call, straddling(row));
        }
        night.findings.add("totals", begins_once(ledger));
        night
    }

    /// All of it in one line.
    pub fn told(&self) -> String {
        let days: Vec<_> = self.days.values().map(ToString::to_string).collect();
        format!(
            "{} calls ({} by day), {} across midnight or within 3 s of it, which say so ({} of them billed on the other \
             day), {} on a wrong day",
            self.calls,
            days.join(" + "),
            self.straddles,
            self.on_the_line,
            self.findings.len()
        )
    }
}

/// Milliseconds between an instant in RFC 3339 with milliseconds and the midnight nearest to it.
fn from_midnight(at: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| -> i64 { at[range].parse().expect("digits") };
    let seconds = (number(11..13) * 60 + number(14..16)) * 60 + number(17..19);
    let since = seconds * SECOND + number(20..23);
    since.min(DAY - since)
}

/// A call that lies across midnight or near it says so, no other does, and its free verdict is not certain then.
fn straddling(row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let (began, settled) = row.instants;
    // The rule counts in whole seconds.
    let settled = settled.div_euclid(SECOND) * SECOND;
    let day = settled.div_euclid(DAY);
    let across = [began, settled - NEAR, settled + NEAR]
        .iter()
        .any(|instant| instant.div_euclid(DAY) != day);
    if across != row.straddles {
        wrong.push(format!("straddles is {}: {row:?}", row.straddles));
    }
    let says = row.assumes.iter().any(|word| word == "straddles");
    let is_ours = row.certainty.as_deref() != Some("confirmed");
    if row.straddles && row.verdict == "free" && is_ours && !says {
        wrong.push(format!(
            "is free across midnight without assuming it: {row:?}"
        ));
    }
    wrong
}

/// In each total one call begins at nothing, and each other where one ended.
fn begins_once(ledger: &Ledger) -> Vec<String> {
    let mut spans: BTreeMap<Place, Vec<(u64, u64)>> = BTreeMap::new();
    for row in &ledger.rows {
        if let (Some(group), Some(span)) = (&row.group, row.span) {
            let place = (row.organization.clone(), group.clone(), row.day.clone());
            spans.entry(place).or_default().push(span);
        }
    }
    let mut wrong = Vec::new();
    for (place, mut spans) in spans {
        spans.sort_unstable();
        let mut end = 0;
        for (before, after) in spans {
            if before != end {
                wrong.push(format!(
                    "begins anew at {before} where {end} was reached: {place:?}"
                ));
            }
            end = after;
        }
    }
    wrong
}
