//! What each entry does to the tables. Must not know where entries come from, or how long a transaction lasts.

use std::borrow::Cow;
use std::collections::HashMap;

use meter::{Assumption, Payer, Verdict};
use rusqlite::{Connection, OptionalExtension, params};

use super::TableError;
use super::cell::{Cell, Counted};
use super::cells::{Cells, SumKey, column};
use super::date;
use super::joining;
use super::keys::Keys;
use super::kinds::Kinds;
use super::names::{self, Pending};
use super::open_calls::Announcements;
use super::organizations::{self, Seen};
use super::rows::{self, Adjusts, Insert};
use crate::{Adjustment, Entry, Row, SettledCall, Stated};

/// Where slack comes from that is taken back once its call is known better.
const UNKNOWN_CALLS: &str = Assumption::UnknownCalls.as_str();

/// Where slack comes from of what was under way when the program died, and of records that were lost.
pub(super) const UNCLEAN_STOP: &str = Assumption::UncleanStop.as_str();

/// What the tables say, as far as it is needed again and again. After a failed transaction it no longer says what
/// they say, and is read anew.
pub(super) struct State {
    cells: Cells,
    pub(super) open_calls: Announcements,
    keys: Keys,
    kinds: Kinds,
    names: Pending,
    /// Other names of organizations, and the one each is known under.
    aliases: HashMap<String, String>,
    /// When an organization was last settled for and last paid for, since the last write.
    seen: HashMap<String, Seen>,
    last_number: i64,
    clean: bool,
}

impl State {
    pub(super) fn read(connection: &Connection) -> Result<State, TableError> {
        let (last_number, clean) =
            connection.query_row("SELECT last_number, clean FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let mut aliases = connection.prepare("SELECT name, organization FROM aliases")?;
        let aliases = aliases
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(State {
            cells: Cells::default(),
            open_calls: Announcements::read(connection)?,
            keys: Keys::default(),
            kinds: Kinds::read(connection)?,
            names: Pending::read(connection, last_number)?,
            aliases,
            seen: HashMap::new(),
            last_number,
            clean,
        })
    }

    pub(super) fn last_number(&self) -> i64 {
        self.last_number
    }

    pub(super) fn is_clean(&self) -> bool {
        self.clean
    }

    /// The present is in order whatever came before: nothing is open.
    pub(super) fn set_clean(&mut self) {
        self.clean = true;
    }

    /// Days before this one are no longer kept.
    pub(super) fn forget_before(&mut self, day: &str) {
        self.cells.forget_before(day);
    }

    /// Does what the entries say, in their order.
    pub(super) fn apply(
        &mut self,
        connection: &Connection,
        entries: &[Entry<'_>],
    ) -> Result<(), TableError> {
        let mut insert = Insert::new(connection)?;
        for entry in entries {
            self.clean = matches!(entry, Entry::Stopped);
            match entry {
                Entry::Settled(call) => self.insert(connection, &mut insert, call, None)?,
                Entry::Open(open) => self.open_calls.hear(connection, open)?,
                Entry::Alias { organization, name } => self.join(connection, organization, name)?,
                Entry::Stated(stated) => self.state(connection, stated)?,
                Entry::Adjusted(adjustment) => self.adjust(connection, &mut insert, adjustment)?,
                Entry::Lost {
                    organization,
                    group,
                    day,
                    calls,
                    tokens,
                } => self.change(connection, *day, organization, group, |cell| {
                    cell.lose(*calls);
                    cell.add_slack(UNCLEAN_STOP, *tokens);
                })?,
                Entry::Stopped => {
                    self.open_calls.clear(connection)?;
                }
            }
        }
        self.write(connection)
    }

    /// Writes the sums that were touched.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), TableError> {
        self.cells.write(connection)?;
        self.open_calls.write(connection)?;
        for (organization, seen) in self.seen.drain() {
            organizations::see(connection, &organization, seen)?;
        }
        Ok(())
    }

    /// Changes the sums of a place, under the name its organization is known by.
    pub(super) fn change(
        &mut self,
        connection: &Connection,
        day: i32,
        organization: &str,
        group: &str,
        act: impl FnOnce(&mut Cell),
    ) -> Result<(), TableError> {
        let organization = known_as(&self.aliases, organization);
        let place = SumKey {
            day,
            organization,
            group,
        };
        self.cells.change(connection, place, act)
    }

    /// Writes a row and adds it to the sums. What `OpenAI` says of who pays counts for a call that is settled when it is
    /// seen whole, too: the meter counts it so.
    fn insert(
        &mut self,
        connection: &Connection,
        insert: &mut Insert<'_>,
        call: &SettledCall<'_>,
        adjusts: Option<Adjusts<'_>>,
    ) -> Result<(), TableError> {
        self.last_number += 1;
        let number = self.last_number;
        let changes = adjusts.and_then(|adjusts| adjusts.changes);
        let summed = is_summed(call, changes.is_some());
        let kind = self.kinds.of(connection, call, summed)?;
        insert.row(number, kind, call, adjusts)?;
        self.names.add(connection, number, call)?;
        self.keys.see(connection, call)?;
        self.see(call);
        let group = call.group.as_deref().filter(|_| summed).unwrap_or_default();
        self.change(connection, call.day, &call.organization, group, |cell| {
            cell.settle(number, call);
        })?;
        if let (Some(payer), Some(group)) = (&call.payer, &call.group) {
            self.change(connection, call.day, &call.organization, group, |cell| {
                cell.hear(payer, &call.ours);
            })?;
        }
        let Some(slack) = call.slack.as_ref().filter(|slack| slack.at_most != Some(0)) else {
            return Ok(());
        };
        let group = slack_group(call);
        self.change(connection, call.day, &call.organization, group, |cell| {
            cell.add_slack(&slack.source, slack.at_most);
        })
    }

    fn see(&mut self, call: &SettledCall<'_>) {
        let paid_at = call
            .payer
            .as_deref()
            .filter(|payer| *payer == Payer::OpenAi.as_str())
            .map(|_| call.settled_at);
        let organization = known_as(&self.aliases, &call.organization);
        match self.seen.get_mut(organization) {
            Some((settled, paid)) => {
                *settled = call.settled_at.max(*settled);
                *paid = paid_at.max(*paid);
            }
            None => {
                self.seen
                    .insert(organization.to_owned(), (call.settled_at, paid_at));
            }
        }
    }

    /// A call is known better: what its row counted for is taken back, and the new row counts instead.
    fn adjust(
        &mut self,
        connection: &Connection,
        insert: &mut Insert<'_>,
        adjustment: &Adjustment<'_>,
    ) -> Result<(), TableError> {
        let Adjustment {
            row,
            adjusts,
            change,
            fitted_change,
            was_past,
        } = adjustment;
        let group = row.group.as_deref().unwrap_or_default();
        let mut counts = *change != 0 || *fitted_change != 0;
        if let Some((former, former_group)) = self.counting_row(connection, adjusts)? {
            counts |= row.group.is_some() && former_group == group;
            let call = &former.call;
            let counted = Counted::of(&call.verdict, call.usage, call.cost, call.saved);
            self.change(
                connection,
                call.day,
                &call.organization,
                &former_group,
                |cell| cell.counted.take_back(&counted),
            )?;
            if let Some(slack) = call
                .slack
                .as_ref()
                .filter(|slack| slack.source == UNKNOWN_CALLS)
            {
                let group = slack_group(call);
                self.change(connection, call.day, &call.organization, group, |cell| {
                    cell.take_slack_back(UNKNOWN_CALLS, slack.at_most);
                })?;
            }
        }
        let adjusts = Adjusts {
            call: adjusts,
            changes: counts.then_some((*change, *fitted_change)),
        };
        self.insert(connection, insert, row, Some(adjusts))?;
        self.change(connection, row.day, &row.organization, group, |cell| {
            cell.correct(*change, *fitted_change, *was_past);
        })
    }

    /// The row that counts for a call, and the group it is summed up under: the last that adjusts it, else its own.
    fn counting_row(
        &self,
        connection: &Connection,
        call: &str,
    ) -> Result<Option<(Row, String)>, TableError> {
        let adjusting: Option<i64> = connection
            .prepare_cached("SELECT max(number) FROM settled WHERE adjusts = ?1")?
            .query_row([call], |row| row.get(0))?;
        let columns = rows::columns();
        let mut read = connection.prepare_cached(&format!(
            "SELECT {columns}, summary_group FROM settlements
             WHERE number = ?1 AND (adjusts = ?2 OR adjusts IS NULL AND call = ?2)"
        ))?;
        let mut row = |number| {
            read.query_row(params![number, call], |row| {
                Ok((rows::row_of(row)?, row.get("summary_group")?))
            })
            .optional()
        };
        if let Some(number) = adjusting {
            return Ok(row(number)?);
        }
        let unsealed = self.names.numbers(self.last_number, call);
        Ok(names::find(
            connection,
            call,
            self.last_number,
            &unsealed,
            row,
        )?)
    }

    fn state(&mut self, connection: &Connection, stated: &Stated<'_>) -> Result<(), TableError> {
        let Stated {
            organization,
            group,
            day,
            at,
            tokens,
            change,
        } = stated;
        connection
            .prepare_cached("INSERT INTO statements VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                at,
                date::text_of(*day),
                organization,
                group,
                column(*tokens),
                change
            ])?;
        self.change(connection, *day, organization, group, |cell| {
            cell.state(*tokens, *change);
        })
    }

    /// A name is one organization with another from now on, for every day: the sums of both are one.
    fn join(
        &mut self,
        connection: &Connection,
        organization: &str,
        name: &str,
    ) -> Result<(), TableError> {
        let stays = known_as(&self.aliases, organization).to_owned();
        let goes = known_as(&self.aliases, name).to_owned();
        if stays == goes {
            return Ok(());
        }
        self.write(connection)?;
        joining::join(connection, &mut self.cells, &stays, &goes)?;
        for known in self.aliases.values_mut().filter(|known| **known == goes) {
            known.clone_from(&stays);
        }
        self.aliases.insert(goes, stays);
        Ok(())
    }
}

/// The name that an organization is known by.
fn known_as<'a>(aliases: &'a HashMap<String, String>, name: &'a str) -> &'a str {
    if aliases.is_empty() {
        return name;
    }
    aliases.get(name).map_or(name, String::as_str)
}

/// Whether a row is summed up under its group, which the column `summary_group` then says.
fn is_summed(call: &SettledCall<'_>, has_changes: bool) -> bool {
    call.span.is_some() || has_changes || call.verdict == Verdict::Unknown.as_str()
}

/// The group whose slack a row's is; `""`: any.
fn slack_group<'a>(call: &'a SettledCall<'_>) -> &'a str {
    let any = call.slack.as_ref().is_some_and(|slack| slack.any_group);
    let group: Option<&Cow<'_, str>> = call.group.as_ref().filter(|_| !any);
    group.map_or("", AsRef::as_ref)
}
