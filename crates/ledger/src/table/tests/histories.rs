//! Random histories against the slow reference: sums, the view over the rows, what a start goes on from; moved in
//! groups of any size, with the program dying in between and transactions failing in their middle.

use std::path::Path;

use proptest::prelude::*;
use rusqlite::params;

use super::super::date;
use super::reference::{Reference, says_something};
use super::{after, all_days, reader_of, sql, table_in};
use crate::samples::{DAY, call};
use crate::table::{Table, TableError};
use crate::{
    Adjustment, CarriedTotal, DayRow, Entry, OpenCalls, SettledCall, Slack, Stated, Tokens,
};

const ORGANIZATIONS: [&str; 4] = ["acme", "org-acme", "globex", "unknown"];
const GROUPS: [&str; 2] = ["large", "small"];
const SOURCES: [&str; 3] = ["unknown-calls", "sharing", "model-list"];
const ALLOWANCE: u64 = 10_000;

/// What happens next, before it is known what came before.
#[derive(Clone, Debug)]
enum Happens {
    Settles(Settles),
    Opens(OpenCalls<'static>),
    Joins(usize, usize),
    States(usize, usize, i32, u64),
    Adjusts(prop::sample::Index, Settles),
    Loses(usize, Option<usize>, i32, Option<u64>),
    Stops,
    Restarts,
}

#[derive(Clone, Debug)]
struct Settles {
    organization: usize,
    group: Option<usize>,
    day: i32,
    verdict: usize,
    tokens: u64,
    takes: bool,
    fitted: bool,
    priced: bool,
    payer: Option<&'static str>,
    slack: Option<(usize, Option<u64>, bool)>,
}

fn settles() -> impl Strategy<Value = Settles> {
    let slack = (0..3_usize, prop::option::of(0..900_u64), any::<bool>());
    (
        (0..4_usize, prop::option::of(0..2_usize), DAY..DAY + 2),
        (0..3_usize, 0..6_000_u64, any::<bool>(), any::<bool>()),
        any::<bool>(),
        prop::option::of(prop::sample::select(&["openai", "developer"][..])),
        prop::option::of(slack),
    )
        .prop_map(|(place, what, priced, payer, slack)| Settles {
            organization: place.0,
            group: place.1,
            day: place.2,
            verdict: what.0,
            tokens: what.1,
            takes: what.2,
            fitted: what.3,
            priced,
            payer,
            slack,
        })
}

fn happens() -> impl Strategy<Value = Happens> {
    let place = (0..4_usize, 0..2_usize, DAY..DAY + 2);
    let bound = prop::option::of(0..3_000_u64);
    prop_oneof![
        12 => settles().prop_map(Happens::Settles),
        4 => (any::<prop::sample::Index>(), settles())
            .prop_map(|(which, row)| Happens::Adjusts(which, row)),
        3 => (place.clone(), 0..6_u32, bound.clone()).prop_map(|(place, version, at_most)| {
            Happens::Opens(OpenCalls {
                organization: ORGANIZATIONS[place.0].into(),
                group: GROUPS[place.1].into(),
                day: place.2,
                // Around the place where numbers wrap.
                version: version.wrapping_sub(3),
                at_most,
            })
        }),
        2 => (place, 0..20_000_u64)
            .prop_map(|(place, tokens)| Happens::States(place.0, place.1, place.2, tokens)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(one, two)| Happens::Joins(one, two)),
        1 => (0..4_usize, prop::option::of(0..2_usize), DAY..DAY + 2, bound)
            .prop_map(|(organization, group, day, at_most)| {
                Happens::Loses(organization, group, day, at_most)
            }),
        1 => Just(Happens::Stops),
        2 => Just(Happens::Restarts),
    ]
}

impl Settles {
    fn call(&self, id: usize, reference: &mut Reference) -> SettledCall<'static> {
        let organization = ORGANIZATIONS[self.organization];
        let group = self.group.map(|group| GROUPS[group]);
        let verdict = ["free", "billed", "unknown"][self.verdict];
        let known = verdict != "unknown";
        let span = group.filter(|_| known && self.takes).map(|group| {
            let before = reference.sums(self.day, organization, group).taken;
            (before, before + self.tokens)
        });
        let free = verdict == "free";
        SettledCall {
            call: format!("c_{id}").into(),
            response_id: Some(format!("resp_{id}").into()),
            settled_at: i64::from(self.day) * 86_400_000 + i64::try_from(id).unwrap(),
            day: self.day,
            organization: organization.into(),
            group: group.map(Into::into),
            usage: known.then(|| Tokens {
                input: self.tokens / 3,
                output: self.tokens - self.tokens / 3,
                ..Tokens::default()
            }),
            span,
            fitted: span.is_some() && self.fitted,
            slack: self.slack.map(|(source, at_most, any_group)| Slack {
                source: SOURCES[source].into(),
                at_most,
                any_group,
            }),
            allowance: group.map(|_| ALLOWANCE),
            verdict: verdict.into(),
            ours: verdict.into(),
            payer: self.payer.map(Into::into),
            cost: (known && self.priced).then_some(if free { 0 } else { self.tokens * 1_000 }),
            saved: (known && self.priced).then_some(if free { self.tokens * 1_000 } else { 0 }),
            ..call("")
        }
    }
}

impl Happens {
    /// The entry that says so, given what came before; `None`: the program starts anew.
    fn entry(&self, id: usize, reference: &mut Reference) -> Option<Entry<'static>> {
        Some(match self {
            Happens::Settles(settles) => Entry::Settled(settles.call(id, reference)),
            Happens::Opens(open) => Entry::Open(open.clone()),
            Happens::Joins(one, two) => Entry::Alias {
                organization: ORGANIZATIONS[*one].into(),
                name: ORGANIZATIONS[*two].into(),
            },
            Happens::States(organization, group, day, tokens) => {
                let (organization, group) = (ORGANIZATIONS[*organization], GROUPS[*group]);
                let taken = reference.sums(*day, organization, group).taken;
                Entry::Stated(Stated {
                    organization: organization.into(),
                    group: group.into(),
                    day: *day,
                    at: i64::from(*day) * 86_400_000,
                    tokens: *tokens,
                    change: tokens.cast_signed() - taken.cast_signed(),
                })
            }
            Happens::Adjusts(which, settles) => settles.adjustment(*which, id, reference),
            Happens::Loses(organization, group, day, tokens) => Entry::Lost {
                organization: ORGANIZATIONS[*organization].into(),
                group: group.map_or("", |group| GROUPS[group]).into(),
                day: *day,
                calls: 2,
                tokens: *tokens,
            },
            Happens::Stops => Entry::Stopped,
            Happens::Restarts => return None,
        })
    }
}

impl Settles {
    /// Adjusts one of the calls so far, or one that is in no row.
    fn adjustment(
        &self,
        which: prop::sample::Index,
        id: usize,
        reference: &mut Reference,
    ) -> Entry<'static> {
        let mut row = self.call(id, reference);
        (row.span, row.fitted) = (None, false);
        let former = reference.rows.get(which.index(reference.rows.len() + 1));
        let adjusts = former.map_or_else(
            || "c_of_before".to_owned(),
            |former| {
                let first = former.adjusts.clone();
                first.unwrap_or_else(|| former.call.call.to_string())
            },
        );
        let group = row.group.clone().unwrap_or_default();
        let sums = reference.sums(row.day, &row.organization, &group);
        // Totals never go below 0: a correction says what it changed.
        let change = if self.takes && row.group.is_some() {
            (self.tokens.cast_signed() - 3_000).max(-sums.taken.cast_signed())
        } else {
            0
        };
        let fitted_change = if self.fitted { change } else { 0 };
        Entry::Adjusted(Adjustment {
            fitted_change: fitted_change.max(-sums.fitted.cast_signed()),
            was_past: (change < 0 && sums.taken > ALLOWANCE).then_some(ALLOWANCE),
            row,
            adjusts: adjusts.into(),
            change,
        })
    }
}

/// What the view over the rows says, as far as rows can.
fn view(folder: &Path) -> Vec<DayRow> {
    let connection = sql(folder);
    let mut rows = connection
        .prepare(
            "SELECT day, organization, model_group, calls, free_calls, billed_calls, unknown_calls, free_tokens,
             billed_tokens, cost_usd, saved_usd, unpriced_calls, taken_tokens FROM days",
        )
        .unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small sums of whole picodollars"
    )]
    let pico = |dollars: f64| (dollars * 1e12).round() as u64;
    rows.query_map([], |row| {
        let day: String = row.get(0)?;
        let number = |column| row.get(column).map(i64::unsigned_abs);
        Ok(DayRow {
            day: date::day_of(&day).unwrap(),
            organization: row.get(1)?,
            group: row.get(2)?,
            calls: number(3)?,
            free_calls: number(4)?,
            billed_calls: number(5)?,
            unknown_calls: number(6)?,
            free_tokens: number(7)?,
            billed_tokens: number(8)?,
            cost_pico: pico(row.get(9)?),
            saved_pico: pico(row.get(10)?),
            unpriced_calls: number(11)?,
            taken: number(12)?,
            ..DayRow::default()
        })
    })
    .unwrap()
    .map(Result::unwrap)
    .filter(says_something)
    .collect()
}

/// What of a summary the view has too.
fn as_the_view_has_it(days: Vec<DayRow>) -> Vec<DayRow> {
    days.into_iter()
        .map(|day| DayRow {
            fitted: 0,
            lost_calls: 0,
            crossing: None,
            last_allowance: None,
            slack: Vec::new(),
            ..day
        })
        .filter(says_something)
        .collect()
}

fn sorted(mut totals: Vec<CarriedTotal>) -> Vec<CarriedTotal> {
    for total in &mut totals {
        total.slack.sort();
    }
    totals.sort_by(|one, two| {
        let place =
            |total: &CarriedTotal| (total.day, total.organization.clone(), total.group.clone());
        place(one).cmp(&place(two))
    });
    totals
        .into_iter()
        .filter(|total| {
            let nothing = CarriedTotal {
                organization: total.organization.clone(),
                group: total.group.clone(),
                day: total.day,
                ..CarriedTotal::default()
            };
            *total != nothing
        })
        .collect()
}

/// Lets a transaction run out of room somewhere in its middle.
fn fail_once(table: &mut Table, entries: &[Entry<'_>]) {
    let room = |table: &Table, pages: i64| {
        table
            .connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap()
    };
    let pages = table
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    room(table, pages);
    let before = table.position();
    let many: Vec<_> = std::iter::repeat_n(entries, 40)
        .flatten()
        .cloned()
        .collect();
    match table.apply(&many, after(usize::MAX >> 1)) {
        Err(TableError::Unavailable { .. }) => assert_eq!(table.position(), before),
        Err(other) => panic!("{other:?}"),
        // All of it fitted into the last page: nothing failed, so nothing is tested. Start from the same place.
        Ok(()) => panic!("forty times as much should not fit"),
    }
    room(table, 1 << 30);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_what_the_rows_say_after_any_history(
        history in prop::collection::vec((happens(), 1..9_usize), 1..60),
        fails in prop::option::of(0..10_usize),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut reference = Reference::new();
        let mut table = table_in(folder.path());
        let mut waiting: Vec<Entry<'static>> = Vec::new();
        let mut moved = 0;
        for (id, (happens, group)) in history.iter().enumerate() {
            if let Some(entry) = happens.entry(id, &mut reference) {
                reference.apply(&entry);
                waiting.push(entry);
                if waiting.len() < *group {
                    continue;
                }
            } else {
                // Dead before the last group was moved: the next start finds it in the tail.
                drop(table);
                table = table_in(folder.path());
                prop_assert_eq!(table.position().offset, u64::try_from(moved).unwrap());
                reference.restart();
            }
            moved += waiting.len();
            table.apply(&waiting, after(moved)).unwrap();
            if fails == Some(id) && waiting.iter().filter(|entry| matches!(entry, Entry::Settled(_))).count() > 3 {
                fail_once(&mut table, &waiting);
            }
            waiting.clear();
            if matches!(happens, Happens::Restarts) {
                table.restored(i64::from(DAY) * 86_400_000).unwrap();
            }
        }
        moved += waiting.len();
        table.apply(&waiting, after(moved)).unwrap();

        let days: Vec<_> = all_days(folder.path()).into_iter().filter(says_something).collect();
        prop_assert_eq!(&days, &reference.days());
        prop_assert_eq!(view(folder.path()), as_the_view_has_it(days));
        let reader = reader_of(folder.path());
        let totals = (DAY..DAY + 2).flat_map(|day| reader.totals(day).unwrap()).collect();
        prop_assert_eq!(sorted(totals), sorted(reference.carried()));
        reference.restart();
        let restored = table.restored(i64::from(DAY) * 86_400_000).unwrap();
        prop_assert_eq!(sorted(restored.totals), sorted(reference.carried()));
        let rows: i64 = sql(folder.path())
            .query_row("SELECT count(*) FROM settlements", params![], |row| row.get(0))
            .unwrap();
        prop_assert_eq!(usize::try_from(rows).unwrap(), reference.rows.len());
    }
}
