//! The ledger's totals held against the simulated `OpenAI`'s bill to the token: each line of the bill is in the totals
//! whole, or the ledger says how many of its tokens may be missing and why.
//!
//! It must not know what clients saw, or what happened to the program. Days are summed up: a call counts on the same
//! one on both sides, but for the moments around midnight.

use std::collections::{BTreeMap, HashMap};

use simulator::{BillLine, Group};

use crate::findings::Findings;
use crate::sqlite::{Ledger, Row};

/// Where a call was still open when the program was killed.
const UNCLEAN: &str = "unclean-stop";

/// Lines of the bill of one kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// How many.
    pub lines: usize,
    /// Their tokens that the totals do not have.
    pub missing: i64,
}

impl Lines {
    fn add(&mut self, missing: i64) {
        self.lines += 1;
        self.missing += missing;
    }
}

/// What became of all lines of the bill that take from an allowance.
#[derive(Debug, Default)]
pub struct Reckoning {
    /// Tokens of the bill.
    pub billed: i64,
    /// Tokens of the totals.
    pub taken: i64,
    /// In the totals to the token; of these, seen whole only after they had been settled.
    pub exact: Lines,
    /// Of the exact ones, those first settled as estimated or unknown.
    pub corrected: usize,
    /// Settled by an estimate: the client had left.
    pub estimated: Lines,
    /// The same, but the estimate was above the bill. It goes by what streams of the model took for their bytes; a
    /// simulator that is told each call's tokens does not.
    pub above: Lines,
    /// Settled without usage: it never came.
    pub unknown: Lines,
    /// Without a row: open when the program was killed.
    pub open: Lines,
    /// What no rule explains.
    pub findings: Findings,
}

impl Reckoning {
    /// Reckons a ledger up against a bill.
    pub fn of(ledger: &Ledger, bill: &[BillLine]) -> Reckoning {
        let calls = Calls::of(ledger);
        let mut reckoning = Reckoning::default();
        let mut accounted = 0;
        let mut open: BTreeMap<Pool, i64> = BTreeMap::new();
        for line in bill {
            let Some(pool) = pool(line) else { continue };
            reckoning.billed += tokens(line.tokens);
            if let Some(rows) = calls.of_line(line) {
                accounted += moved(rows);
                reckoning.line(line, rows);
            } else {
                reckoning.open.add(tokens(line.tokens));
                *open.entry(pool).or_default() += tokens(line.tokens);
            }
        }
        let totals = ledger.totals.values();
        reckoning.taken = totals.map(|total| tokens(total.taken)).sum();
        if accounted != reckoning.taken {
            let wrong = format!(
                "the totals took {}, the bill's calls {accounted}",
                reckoning.taken
            );
            reckoning.findings.add("all", vec![wrong]);
        }
        for (pool, missing) in open {
            let slack = unclean(ledger, &pool);
            if slack.is_some_and(|slack| slack < missing) {
                let wrong = format!("{missing} tokens without a row, slack {slack:?}");
                reckoning.findings.add(&format!("{pool:?}"), vec![wrong]);
            }
        }
        reckoning
    }

    fn line(&mut self, line: &BillLine, rows: &[&Row]) {
        let missing = tokens(line.tokens) - moved(rows);
        let [first, .., last] = rows else {
            return self.alone(line, rows, missing);
        };
        if missing == 0 {
            self.exact.add(0);
            self.corrected += 1;
        } else {
            let wrong = format!("corrected, and yet {missing} are missing: {first:?} {last:?}");
            self.findings.add(&line.response_id, vec![wrong]);
        }
    }

    /// A call that was settled once.
    fn alone(&mut self, line: &BillLine, rows: &[&Row], missing: i64) {
        let [row] = rows else { return };
        let kind = match row.certainty.as_deref() {
            _ if row.tokens.is_none() => &mut self.unknown,
            Some("estimated") if missing < 0 => return self.above.add(missing),
            Some("estimated") => &mut self.estimated,
            _ => &mut self.exact,
        };
        kind.add(missing);
        // What an estimate may lack is slack.
        let most = match row.slack {
            None => Some(0),
            Some(at_most) => at_most.map(tokens),
        };
        if missing < 0 || most.is_some_and(|most| missing > most) {
            let wrong = format!("{missing} tokens are missing, {most:?} may be: {row:?} {line:?}");
            self.findings.add(&line.response_id, vec![wrong]);
        }
    }

    /// Tokens of the bill that the totals do not have, all of them explained if nothing was found.
    pub fn missing(&self) -> i64 {
        self.estimated.missing + self.above.missing + self.unknown.missing + self.open.missing
    }

    /// Panics if a token is not accounted for.
    pub fn assert_exact(&self, when: &str) {
        let explained = self.billed - self.missing();
        let found = &self.findings;
        assert!(found.is_empty(), "{when}: {self:?}\n{found}");
        assert_eq!(self.taken, explained, "{when}: {self:?}");
    }
}

/// Organization and model group, all days.
type Pool = (String, &'static str);

fn pool(line: &BillLine) -> Option<Pool> {
    let group = match line.group? {
        Group::Large => "large",
        Group::Small => "small",
    };
    Some((line.organization.clone(), group))
}

fn tokens(count: u64) -> i64 {
    i64::try_from(count).expect("fewer tokens")
}

fn moved(rows: &[&Row]) -> i64 {
    rows.iter().map(|row| row.moved()).sum()
}

/// What may have been taken by calls open at a kill, on all days; nothing: without limit.
fn unclean(ledger: &Ledger, (organization, group): &Pool) -> Option<i64> {
    let of_pool = ledger.totals.keys().filter(|(whose, place, _)| {
        [organization, "unknown"].contains(&&**whose) && [group, ""].contains(&&**place)
    });
    let mut sum = 0;
    for place in of_pool {
        let slacks = &ledger.totals[place].slack;
        if let Some(slack) = slacks.get(UNCLEAN) {
            sum += tokens((*slack)?);
        }
    }
    Some(sum)
}

/// The rows of each call, found by `OpenAI`'s ids.
struct Calls<'l> {
    rows: HashMap<&'l str, Vec<&'l Row>>,
    by_id: HashMap<&'l str, &'l str>,
}

impl<'l> Calls<'l> {
    fn of(ledger: &'l Ledger) -> Calls<'l> {
        let (mut rows, mut by_id) = (HashMap::new(), HashMap::new());
        for row in &ledger.rows {
            let call = row.adjusts.as_deref().unwrap_or(&row.call);
            rows.entry(call).or_insert_with(Vec::new).push(row);
            let ids = row.response_id.iter().chain(&row.request_id);
            by_id.extend(ids.map(|id| (&**id, call)));
        }
        Calls { rows, by_id }
    }

    fn of_line(&self, line: &BillLine) -> Option<&[&'l Row]> {
        let by_response = self.by_id.get(&*line.response_id);
        let call = by_response.or_else(|| self.by_id.get(&*line.request_id))?;
        self.rows.get(call).map(|rows| &**rows)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use simulator::{BillLine, Group};

    use super::{Lines, Reckoning};
    use crate::sqlite::{Ledger, Row, Total};

    fn row(id: &str, tokens: Option<u64>) -> Row {
        Row {
            call: format!("c_{id}"),
            response_id: Some(id.to_owned()),
            day: "2026-11-21".to_owned(),
            organization: "acme".to_owned(),
            group: Some("large".to_owned()),
            tokens,
            span: tokens.map(|tokens| (1_000, 1_000 + tokens)),
            verdict: "free".to_owned(),
            certainty: tokens.map(|_| "final".to_owned()),
            reason: "within-allowance".to_owned(),
            ..Row::default()
        }
    }

    /// 100 tokens billed for each of these ids, in the ledger as `rows` and `slack` have it.
    fn reckoned(ids: &[&str], rows: Vec<Row>, slack: Option<u64>) -> Reckoning {
        let line = |id: &&str| BillLine {
            response_id: (*id).to_owned(),
            request_id: format!("req_{id}"),
            organization: "acme".to_owned(),
            day: "2026-11-21".to_owned(),
            model: "gpt-4o".to_owned(),
            group: Some(Group::Large),
            tokens: 100,
            running_total: None,
            free: true,
        };
        let bill: Vec<_> = ids.iter().map(line).collect();
        let moved: i64 = rows.iter().map(Row::moved).sum();
        let total = Total {
            taken: moved.try_into().expect("a total"),
            slack: BTreeMap::from([("unclean-stop".to_owned(), slack)]),
            ..Total::default()
        };
        let place = (
            "acme".to_owned(),
            "large".to_owned(),
            "2026-11-21".to_owned(),
        );
        let totals = BTreeMap::from([(place, total)]);
        Reckoning::of(&Ledger { rows, totals }, &bill)
    }

    #[test]
    fn each_kind_of_call_is_explained_by_its_own_rule() {
        let estimated = Row {
            certainty: Some("estimated".to_owned()),
            slack: Some(Some(70)),
            ..row("estimated", Some(40))
        };
        let unknown = Row {
            slack: Some(None),
            ..row("unknown", None)
        };
        let late = Row {
            adjusts: Some("c_late".to_owned()),
            change: 100,
            span: None,
            ..row("late", Some(100))
        };
        let rows = vec![
            row("exact", Some(100)),
            estimated,
            unknown,
            row("late", None),
            late,
        ];
        let ids = ["exact", "estimated", "unknown", "late", "open"];
        let found = reckoned(&ids, rows, Some(100));
        found.assert_exact("all kinds");
        let lines = |lines, missing| Lines { lines, missing };
        assert_eq!((&found.exact, found.corrected), (&lines(2, 0), 1));
        assert_eq!(found.estimated, lines(1, 60));
        assert_eq!(found.unknown, lines(1, 100));
        assert_eq!(found.open, lines(1, 100));
        assert_eq!((found.billed, found.taken), (500, 240));
    }

    #[test]
    fn an_estimate_above_the_bill_is_a_kind_of_its_own() {
        let estimated = Row {
            certainty: Some("estimated".to_owned()),
            slack: Some(Some(70)),
            ..row("one", Some(102))
        };
        let found = reckoned(&["one"], vec![estimated], Some(0));
        found.assert_exact("above");
        assert_eq!((found.above.lines, found.missing()), (1, -2));
    }

    #[test]
    fn a_token_that_no_rule_explains_is_found() {
        let wrong = |rows, slack| reckoned(&["one"], rows, slack).findings.len();
        assert_eq!(wrong(vec![row("one", Some(100))], Some(0)), 0);
        assert_eq!(wrong(vec![row("one", Some(99))], None), 1, "reported less");
        assert_eq!(wrong(vec![row("one", Some(101))], None), 1, "reported more");
        assert_eq!(
            wrong(vec![row("one", None)], None),
            1,
            "unknown without slack"
        );
        assert_eq!(wrong(Vec::new(), Some(99)), 1, "open beyond the slack");
        let other = vec![row("one", Some(100)), row("other", Some(5))];
        assert_eq!(wrong(other, None), 1, "in the totals, on no bill");
        let twice = vec![row("one", Some(100)), row("one", Some(100))];
        assert_eq!(wrong(twice, None), 1, "counted twice");
    }
}
