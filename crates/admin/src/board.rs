//! What changed that a page shows, in the order in which it did: each listener is told what came after what it was told
//! last, in the newest state, a piece at a time. Must not know who listens, nor how it is looked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ledger::{DayRow, Row};
use meter::Day;
use serde_json::{Value, json};

use crate::call;
use crate::history;
use crate::standing::{OrganizationStanding, Standings};
use crate::sums::sums;

/// Organizations and calls that one event tells of; the next event goes on from there.
const MOST_TOLD: usize = 250;
/// Calls that are kept for listeners who read slowly.
const MOST_CALLS: usize = 500;

/// Everything that is there to be shown at one moment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) day: Day,
    pub(crate) standings: Standings,
    pub(crate) state: Value,
    /// The day's rows; `None`: the ledger cannot be read.
    pub(crate) rows: Option<Vec<DayRow>>,
    /// The calls since the look before, newest first.
    pub(crate) calls: Vec<Row>,
}

/// What changed, and what is known of everything.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// The place of the newest change; each change has the next one.
    at: u64,
    day: Option<Day>,
    /// What holds for all organizations; its list of them is empty.
    standings: Option<Standings>,
    state: Value,
    known: BTreeMap<String, Known>,
    changes: BTreeMap<u64, Change>,
    /// The places of the calls among the changes.
    calls: VecDeque<u64>,
    /// The number of the newest call.
    number: i64,
    /// The last event that was made, and for whom: most listeners were told the same.
    made: Option<(u64, Event)>,
}

/// One organization.
#[derive(Debug, Default, PartialEq)]
struct Known {
    standing: Option<OrganizationStanding>,
    rows: Vec<DayRow>,
    /// The place of its newest change; 0: none since the first look.
    at: u64,
}

#[derive(Debug)]
enum Change {
    /// The organization of this name has another standing or other sums.
    Organization(String),
    /// A call was settled.
    Call(Box<Row>),
    /// Something is gone, or another day began: what is shown is asked for anew.
    Anew,
}

/// An event, and the place up to which it tells.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) bytes: Bytes,
    pub(crate) at: u64,
}

impl Board {
    /// The place of the newest change.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The number of the newest call that it knows; `None`: it knows nothing yet.
    pub(crate) fn number(&self) -> Option<i64> {
        self.standings.is_some().then_some(self.number)
    }

    /// Takes in what is there now. What is there at the first look is no change.
    pub(crate) fn take(&mut self, look: Look) {
        let Look {
            day,
            mut standings,
            state,
            rows,
            calls,
        } = look;
        let seen = seen(
            std::mem::take(&mut standings.organizations),
            rows.as_deref(),
        );
        let is_first = self.standings.is_none();
        let is_anew = self.day.replace(day) != Some(day) || self.has_lost(&seen, rows.is_some());
        if is_anew {
            self.known = BTreeMap::new();
            self.changes
                .retain(|_, change| matches!(change, Change::Call(_)));
            if !is_first {
                self.change(Change::Anew);
            }
        }
        for (name, mut now) in seen {
            let known = self.known.entry(name.clone()).or_default();
            if rows.is_none() {
                now.rows.clone_from(&known.rows);
            }
            now.at = known.at;
            if is_anew || *known == now {
                *known = now;
                continue;
            }
            let before = known.at;
            *known = now;
            self.changes.remove(&before);
            let at = self.change(Change::Organization(name.clone()));
            self.known.entry(name).or_default().at = at;
        }
        for row in calls.into_iter().rev() {
            self.number = row.number;
            if is_first {
                continue;
            }
            let at = self.change(Change::Call(Box::new(row)));
            self.calls.push_back(at);
            if self.calls.len() > MOST_CALLS {
                let oldest = self.calls.pop_front();
                oldest.and_then(|oldest| self.changes.remove(&oldest));
            }
        }
        // The state by itself is a change, too.
        self.at += 1;
        (self.standings, self.state) = (Some(standings), state);
        self.made = None;
    }

    fn change(&mut self, change: Change) -> u64 {
        self.at += 1;
        self.changes.insert(self.at, change);
        self.at
    }

    /// Whether something that was known is no longer there: an organization that is another name of one now, sums of a
    /// ledger that was put aside.
    fn has_lost(&self, seen: &BTreeMap<String, Known>, rows_are_read: bool) -> bool {
        self.known.iter().any(|(name, known)| {
            let now = seen.get(name);
            let has_standing = now.is_some_and(|now| now.standing.is_some());
            let has_rows = |row: &DayRow| {
                now.is_some_and(|now| now.rows.iter().any(|one| one.group == row.group))
            };
            (known.standing.is_some() && !has_standing)
                || (rows_are_read && !known.rows.iter().all(has_rows))
        })
    }

    /// What is told to whoever was told everything up to this place; `None`: nothing changed since. `now` is an instant.
    pub(crate) fn since(&mut self, told: u64, now: &str) -> Option<Event> {
        if told >= self.at {
            return None;
        }
        if let Some((_, event)) = self.made.as_ref().filter(|(since, _)| *since == told) {
            return Some(event.clone());
        }
        let event = self.event(told, now);
        self.made = Some((told, event.clone()));
        Some(event)
    }

    fn event(&self, told: u64, now: &str) -> Event {
        let (mut names, mut calls, mut last) = (BTreeSet::new(), Vec::new(), told);
        let mut changes = self.changes.range(told + 1..).peekable();
        if let Some((at, Change::Anew)) = changes.peek() {
            return Event {
                bytes: Bytes::from_static(b"event: anew\ndata: {}\n\n"),
                at: **at,
            };
        }
        while names.len() + calls.len() < MOST_TOLD {
            match changes.next_if(|(_, change)| !matches!(change, Change::Anew)) {
                Some((at, Change::Organization(name))) => {
                    names.insert(name);
                    last = *at;
                }
                Some((at, Change::Call(row))) => {
                    calls.push(call::of_row(row));
                    last = *at;
                }
                _ => break,
            }
        }
        let is_all = changes.peek().is_none();
        calls.reverse();
        let known = || names.iter().filter_map(|name| self.known.get(*name));
        let rows: Vec<DayRow> = known().flat_map(|one| one.rows.iter().cloned()).collect();
        let days = rows.iter().zip(self.day.iter().cycle());
        let days: Vec<Value> = days.map(|(row, day)| history::day(row, *day)).collect();
        let standings = self.standings.as_ref().map(|standings| Standings {
            organizations: known().filter_map(|one| one.standing.clone()).collect(),
            ..standings.clone()
        });
        let mut state = self.state.clone();
        if let Value::Object(members) = &mut state {
            members.insert("now".to_owned(), json!(now));
        }
        let change = json!({
            "standing": standings,
            "state": state,
            "days": days,
            "sums": sums(&rows),
            "calls": calls,
        });
        Event {
            bytes: format!("event: change\ndata: {change}\n\n").into(),
            at: if is_all { self.at } else { last },
        }
    }
}

/// Standings and rows by the organization's name.
fn seen(standings: Vec<OrganizationStanding>, rows: Option<&[DayRow]>) -> BTreeMap<String, Known> {
    let mut seen: BTreeMap<String, Known> = BTreeMap::new();
    for standing in standings {
        let known = seen.entry(standing.organization.clone()).or_default();
        known.standing = Some(standing);
    }
    for row in rows.unwrap_or_default() {
        let known = seen.entry(row.organization.clone()).or_default();
        known.rows.push(row.clone());
    }
    seen
}

#[cfg(test)]
mod tests;
