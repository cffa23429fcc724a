//! Three accounts of the same calls, held against each other: what clients saw, what the ledger holds,
//! and the simulated `OpenAI`'s own bill.
//!
//! It must not know how a ledger is written, or what happened to the program in between.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use simulator::{BillLine, Group};

use crate::findings::Findings;
use crate::note::{Note, Word};
use crate::sqlite::{Ledger, Place, Row};

/// Tokens free a day at the usage tier of the suites.
const LARGE_ALLOWANCE: u64 = 1_000_000;
const SMALL_ALLOWANCE: u64 = 10_000_000;
/// What the calls of a crowd at once take at most, where nobody says.
const NEAR: u64 = 100_000;

/// What was found wrong between clients and ledger.
#[derive(Debug, Default)]
pub struct Agreement {
    /// Promised calls that were looked for.
    pub promised: usize,
    /// Not in the ledger.
    pub missing: usize,
    /// More than once in the ledger.
    pub twice: usize,
    /// In it with something else than the client was told, or what no account explains.
    pub wrong: usize,
    /// Each of them in words.
    pub findings: Findings,
}

impl Agreement {
    fn missing(&mut self, place: &str, what: String) {
        self.missing += 1;
        self.findings.add(place, vec![what]);
    }

    fn twice(&mut self, place: &str, what: String) {
        self.twice += 1;
        self.findings.add(place, vec![what]);
    }

    fn wrong(&mut self, place: &str, wrong: Vec<String>) {
        self.wrong += wrong.len();
        self.findings.add(place, wrong);
    }

    /// Panics with everything that was found, if anything was.
    pub fn assert_nothing(&self, when: &str) {
        assert!(
            self.findings.is_empty(),
            "{when}: {} missing, {} twice, {} wrong\n{}",
            self.missing,
            self.twice,
            self.wrong,
            self.findings
        );
    }
}

/// Holds what clients saw, and the bill, against the ledger.
pub fn compare(notes: &[Note], ledger: &Ledger, bill: &[BillLine]) -> Agreement {
    let mut found = calls(notes, ledger, bill);
    totals(ledger, bill, &mut found);
    found
}

/// The same call by call, whatever day each counts on.
pub fn calls(notes: &[Note], ledger: &Ledger, bill: &[BillLine]) -> Agreement {
    calls_of(notes, ledger, bill, NEAR)
}

/// The same of a crowd whose calls at once take at most this.
pub fn calls_of(notes: &[Note], ledger: &Ledger, bill: &[BillLine], at_once: u64) -> Agreement {
    let mut found = Agreement::default();
    clients(notes, ledger, &mut found);
    twins(ledger, &mut found);
    rows(ledger, bill, at_once, &mut found);
    found
}

fn clients(notes: &[Note], ledger: &Ledger, found: &mut Agreement) {
    let mut by_call: HashMap<&str, &Row> = HashMap::new();
    for row in ledger.rows.iter().filter(|row| row.adjusts.is_none()) {
        by_call.insert(&row.call, row);
    }
    for note in notes {
        let row = by_call.get(&*note.call);
        if note.head.verdict() == "none" && row.is_some() {
            found.wrong(
                &note.call,
                vec!["settles nothing, yet it has a row".to_owned()],
            );
        }
        if !note.is_promised() {
            continue;
        }
        found.promised += 1;
        match (row, &note.word) {
            (None, _) => found.missing(&note.call, format!("no row: {note:?}")),
            (Some(row), Some(word)) => found.wrong(&note.call, differences(word, row)),
            (Some(row), None) => {
                if row.tokens.is_some_and(|tokens| tokens != note.tokens) {
                    let wrong = format!("asked to take {} tokens: {row:?}", note.tokens);
                    found.wrong(&note.call, vec![wrong]);
                }
            }
        }
    }
}

/// What a row says otherwise than the client was told.
fn differences(word: &Word, row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, told: Option<String>, kept: Option<String>| {
        if told != kept {
            wrong.push(format!("{what}: told {told:?}, kept {kept:?}"));
        }
    };
    let own = |text: Option<&str>| text.map(ToOwned::to_owned);
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let words = |words: Vec<&str>| Some(words.join(","));
    same(
        "verdict",
        own(word.text("verdict")),
        Some(row.verdict.clone()),
    );
    same(
        "certainty",
        own(word.text("certainty")),
        row.certainty.clone(),
    );
    same("reason", own(word.text("reason")), Some(row.reason.clone()));
    let kept = row.assumes.iter().map(|word| &**word).collect();
    same("assumes", words(word.assumes()), words(kept));
    if word.text("tokens").is_some() {
        same("tokens", number(word.number("tokens")), number(row.tokens));
    }
    // Group and remaining are shown only to those who may know.
    if word.text("group").is_some() {
        same("group", own(word.text("group")), row.group.clone());
        same(
            "remaining",
            number(word.number("remaining-tokens")),
            number(row.remaining),
        );
    }
    wrong
}

/// Calls and responses that were settled more than once.
fn twins(ledger: &Ledger, found: &mut Agreement) {
    let (mut calls, mut responses) = (BTreeSet::new(), BTreeSet::new());
    for row in ledger.rows.iter().filter(|row| row.adjusts.is_none()) {
        if !calls.insert(&row.call) {
            found.twice(&row.call, "has two rows".to_owned());
        }
        if let Some(id) = &row.response_id
            && !responses.insert(id)
        {
            found.twice(
                &row.call,
                format!("has a response that another call has: {id}"),
            );
        }
    }
}

/// Rows that the bill does not know, or knows otherwise.
fn rows(ledger: &Ledger, bill: &[BillLine], at_once: u64, found: &mut Agreement) {
    let billed: HashMap<&str, &BillLine> =
        bill.iter().map(|line| (&*line.response_id, line)).collect();
    for row in &ledger.rows {
        let Some(id) = row.response_id.as_deref() else {
            continue;
        };
        let Some(line) = billed.get(id) else {
            found.wrong(&row.call, vec![format!("is not on the bill: {row:?}")]);
            continue;
        };
        if let Some(wrong) = certain_and_otherwise(row, line, at_once) {
            found.wrong(&row.call, vec![wrong]);
        }
        let is_reported = row.certainty.as_deref() != Some("estimated");
        if is_reported && row.tokens.is_some_and(|tokens| tokens != line.tokens) {
            let wrong = format!("tokens {:?}, billed {}", row.tokens, line.tokens);
            found.wrong(&row.call, vec![wrong]);
        }
    }
}

/// A verdict given as certain that the bill does not share. Around the crossing call the order of calls at
/// once decides, and it is not the same on both sides. What the bill has on another day it judges by other totals.
fn certain_and_otherwise(row: &Row, line: &BillLine, at_once: u64) -> Option<String> {
    let is_certain = matches!(row.certainty.as_deref(), Some("final" | "confirmed"));
    let is_told = matches!(&*row.verdict, "free" | "billed");
    let allowance = match line.group {
        Some(Group::Large) => LARGE_ALLOWANCE,
        Some(Group::Small) => SMALL_ALLOWANCE,
        None => 0,
    };
    let is_near = line
        .running_total
        .is_some_and(|total| total.abs_diff(allowance) < at_once);
    let differs = (row.verdict == "free") != line.free;
    let wrong = is_certain && is_told && differs && !is_near && row.day == line.day;
    wrong.then(|| format!("is certain of what the bill denies: {row:?} {line:?}"))
}

/// The tokens that the bill counts in each total.
pub fn billed_totals(bill: &[BillLine]) -> BTreeMap<Place, u64> {
    let mut totals = BTreeMap::new();
    for line in bill {
        let group = match line.group {
            Some(Group::Large) => "large",
            Some(Group::Small) => "small",
            None => continue,
        };
        let place = (
            line.organization.clone(),
            group.to_owned(),
            line.day.clone(),
        );
        *totals.entry(place).or_insert(0) += line.tokens;
    }
    totals
}

/// Totals must be the sums of their rows, and the bill's lie between them and them with their slack.
fn totals(ledger: &Ledger, bill: &[BillLine], found: &mut Agreement) {
    let by_rows = ledger.taken_by_rows();
    for (place, total) in &ledger.totals {
        let sum = by_rows.get(place).copied().unwrap_or(0);
        if sum != total.taken {
            let wrong = format!("the total is {}, its rows took {sum}", total.taken);
            found.wrong(&format!("{place:?}"), vec![wrong]);
        }
    }
    for place in by_rows
        .keys()
        .filter(|place| !ledger.totals.contains_key(*place))
    {
        found.wrong(
            &format!("{place:?}"),
            vec!["rows without a total".to_owned()],
        );
    }
    for (place, billed) in billed_totals(bill) {
        let total = ledger.totals.get(&place).cloned().unwrap_or_default();
        if total.taken > billed {
            let wrong = format!("took {}, only {billed} were billed", total.taken);
            found.wrong(&format!("{place:?}"), vec![wrong]);
        }
        let slack = ledger.slack(&place, |_| true);
        if slack.is_some_and(|slack| total.taken + slack < billed) {
            let wrong = format!("{billed} were billed, {total:?} with slack {slack:?} is less");
            found.wrong(&format!("{place:?}"), vec![wrong]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use simulator::{BillLine, Group};

    use super::{Agreement, compare};
    use crate::http1::Headers;
    use crate::note::{Note, Word};
    use crate::sqlite::{Ledger, Place, Row, Total};

    fn place() -> Place {
        (
            "acme".to_owned(),
            "large".to_owned(),
            "2026-11-21".to_owned(),
        )
    }

    fn note(call: &str) -> Note {
        let tags = [
            ("call", call),
            ("verdict", "free"),
            ("certainty", "final"),
            ("reason", "within-allowance"),
            ("tokens", "100"),
        ];
        let line = |(name, value): (&str, &str)| (format!("x-tollfree-{name}"), value.to_owned());
        let head = Word::of_headers(&Headers(tags.into_iter().map(line).collect()));
        Note {
            call: call.to_owned(),
            key: "sk",
            tokens: 100,
            status: 200,
            is_whole: true,
            word: Some(head.clone()),
            head,
            took: Duration::ZERO,
        }
    }

    fn row(call: &str, before: u64) -> Row {
        let (organization, group, day) = place();
        Row {
            call: call.to_owned(),
            response_id: Some(format!("r{call}")),
            day,
            organization,
            group: Some(group),
            tokens: Some(100),
            span: Some((before, before + 100)),
            verdict: "free".to_owned(),
            certainty: Some("final".to_owned()),
            reason: "within-allowance".to_owned(),
            ..Row::default()
        }
    }

    fn billed(call: &str, running_total: u64) -> BillLine {
        let (organization, _, day) = place();
        BillLine {
            response_id: format!("r{call}"),
            request_id: String::new(),
            organization,
            day,
            model: "gpt-4o".to_owned(),
            group: Some(Group::Large),
            tokens: 100,
            running_total: Some(running_total),
            free: true,
        }
    }

    /// Two calls that all three accounts tell alike, after something was done to the ledger.
    fn after(change: impl FnOnce(&mut Ledger)) -> Agreement {
        let total = Total {
            taken: 200,
            slack: BTreeMap::new(),
            ..Total::default()
        };
        let mut ledger = Ledger {
            rows: vec![row("one", 0), row("two", 100)],
            totals: BTreeMap::from([(place(), total)]),
        };
        change(&mut ledger);
        let notes = [note("one"), note("two")];
        compare(&notes, &ledger, &[billed("one", 100), billed("two", 200)])
    }

    fn counts(found: &Agreement) -> (usize, usize, usize) {
        (found.missing, found.twice, found.wrong)
    }

    #[test]
    fn three_accounts_that_agree_are_no_finding() {
        let found = after(|_| ());
        assert_eq!(
            (found.promised, counts(&found)),
            (2, (0, 0, 0)),
            "{}",
            found.findings
        );
    }

    #[test]
    fn a_lost_row_is_missing_even_if_the_total_knows_of_it() {
        let lost = after(|ledger| drop(ledger.rows.pop()));
        assert_eq!(counts(&lost), (1, 0, 1), "{}", lost.findings);
        let lost_with_its_tokens = after(|ledger| {
            ledger.rows.pop();
            ledger.totals.get_mut(&place()).expect("a total").taken = 100;
        });
        // The bill has 100 tokens more than can be explained.
        assert_eq!(
            counts(&lost_with_its_tokens),
            (1, 0, 1),
            "{}",
            lost_with_its_tokens.findings
        );
    }

    #[test]
    fn a_row_kept_twice_is_found_as_a_call_and_as_a_response() {
        let twice = after(|ledger| ledger.rows.push(row("two", 200)));
        assert_eq!(counts(&twice).1, 2, "{}", twice.findings);
    }

    #[test]
    fn another_word_than_the_client_was_told_is_wrong() {
        let other = after(|ledger| ledger.rows[0].certainty = Some("assumed".to_owned()));
        assert_eq!(counts(&other), (0, 0, 1), "{}", other.findings);
        let tokens = after(|ledger| ledger.rows[0].tokens = Some(99));
        assert_eq!(counts(&tokens), (0, 0, 2), "{}", tokens.findings);
    }

    #[test]
    fn slack_explains_what_no_row_does() {
        let uncounted = after(|ledger| {
            ledger.rows.clear();
            let total = ledger.totals.get_mut(&place()).expect("a total");
            total.taken = 0;
            total.slack.insert("unclean-stop".to_owned(), Some(200));
        });
        assert_eq!(counts(&uncounted), (2, 0, 0), "{}", uncounted.findings);
    }
}
