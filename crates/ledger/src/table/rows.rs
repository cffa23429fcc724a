//! Rows of `settlements`: how one is written and read back. Must not know sums.
//!
//! Every value is bound, never written into SQL: names come from outside. Numbers past the greatest that a column
//! holds are kept as that one.

use std::borrow::Cow;

use rusqlite::types::{FromSql, Null};
use rusqlite::{CachedStatement, Connection};

use super::TableError;
use super::cells::column;
use super::date;
use crate::{Row, SettledCall, Slack, Tokens};

/// The columns that [`row_of`] reads and [`Insert`] writes, in their order.
pub(crate) const COLUMNS: &str = "number, call, response_id, request_id, began_at, settled_at, day, \
    organization, project, key_hash, endpoint, model_asked, model, service_tier, stream, status, client, model_group, \
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, span_before, span_after, \
    fitted, slack_source, slack_tokens, slack_any_group, allowance_tokens, remaining_tokens, verdict, certainty, \
    assumes, reason, ours, payer, disputed, straddles, cost_picodollars, saved_picodollars, standing_shown, adjusts";

/// What an adjusting row has besides its call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adjusts<'a> {
    /// The call as first settled.
    pub(super) call: &'a str,
    /// Its change of the running total and of the other reading's, if it counts for a group.
    pub(super) changes: Option<(i64, i64)>,
}

/// Writes rows.
pub(super) struct Insert<'c> {
    statement: CachedStatement<'c>,
    /// The day written last, and as text: rows come in days.
    day: (i32, String),
}

impl<'c> Insert<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Insert<'c>, TableError> {
        let places = vec!["?"; COLUMNS.split(',').count() + 2].join(", ");
        let sql = format!(
            "INSERT INTO settlements ({COLUMNS}, taken_change, fitted_change) VALUES ({places})"
        );
        Ok(Insert {
            statement: connection.prepare_cached(&sql)?,
            day: (0, date::text_of(0)),
        })
    }

    /// Writes one row.
    pub(super) fn row(
        &mut self,
        number: i64,
        call: &SettledCall<'_>,
        adjusts: Option<Adjusts<'_>>,
    ) -> Result<(), TableError> {
        if self.day.0 != call.day {
            self.day = (call.day, date::text_of(call.day));
        }
        let mut to = Binder {
            statement: &mut self.statement,
            place: 0,
        };
        to.bind(number)?;
        to.who_and_what(call, &self.day.1)?;
        to.tokens(call)?;
        to.verdict(call)?;
        let changes = adjusts.and_then(|adjusts| adjusts.changes);
        to.bind(adjusts.map(|adjusts| adjusts.call))?;
        to.bind(changes.map(|(taken, _)| taken))?;
        to.bind(changes.map(|(_, fitted)| fitted))?;
        self.statement.raw_execute()?;
        Ok(())
    }
}

/// Binds one value after the other.
struct Binder<'s, 'c> {
    statement: &'s mut CachedStatement<'c>,
    place: usize,
}

impl Binder<'_, '_> {
    fn bind(&mut self, value: impl rusqlite::ToSql) -> Result<(), TableError> {
        self.place += 1;
        Ok(self.statement.raw_bind_parameter(self.place, value)?)
    }

    fn text(&mut self, text: Option<&Cow<'_, str>>) -> Result<(), TableError> {
        self.bind(text.map(AsRef::<str>::as_ref))
    }

    fn number(&mut self, number: Option<u64>) -> Result<(), TableError> {
        self.bind(number.map(column))
    }

    fn who_and_what(&mut self, call: &SettledCall<'_>, day: &str) -> Result<(), TableError> {
        self.text(Some(&call.call))?;
        self.text(call.response_id.as_ref())?;
        self.text(call.request_id.as_ref())?;
        self.bind(call.began_at)?;
        self.bind(call.settled_at)?;
        self.bind(day)?;
        self.text(Some(&call.organization))?;
        self.text(call.project.as_ref())?;
        match &call.key_hash {
            Some(hash) => self.bind(hash.as_slice())?,
            None => self.bind(Null)?,
        }
        self.text(Some(&call.endpoint))?;
        self.text(call.model_asked.as_ref())?;
        self.text(call.model.as_ref())?;
        self.text(call.service_tier.as_ref())?;
        self.bind(call.stream)?;
        self.bind(call.status)?;
        self.text(call.client.as_ref())?;
        self.text(call.group.as_ref())
    }

    fn tokens(&mut self, call: &SettledCall<'_>) -> Result<(), TableError> {
        let usage = call.usage.as_ref();
        self.number(usage.map(|usage| usage.input))?;
        self.number(usage.map(|usage| usage.cached_input))?;
        self.number(usage.map(|usage| usage.cache_write))?;
        self.number(usage.map(|usage| usage.output))?;
        self.number(usage.map(|usage| usage.reasoning))?;
        self.number(call.span.map(|(before, _)| before))?;
        self.number(call.span.map(|(_, after)| after))?;
        self.bind(call.fitted)?;
        let slack = call.slack.as_ref();
        self.text(slack.map(|slack| &slack.source))?;
        self.number(slack.and_then(|slack| slack.at_most))?;
        self.bind(slack.map(|slack| slack.any_group))?;
        self.number(call.allowance)?;
        self.number(call.remaining)
    }

    fn verdict(&mut self, call: &SettledCall<'_>) -> Result<(), TableError> {
        self.text(Some(&call.verdict))?;
        self.text(call.certainty.as_ref())?;
        self.text(Some(&call.assumes))?;
        self.text(Some(&call.reason))?;
        self.text(Some(&call.ours))?;
        self.text(call.payer.as_ref())?;
        self.bind(call.disputed)?;
        self.bind(call.straddles)?;
        self.number(call.cost)?;
        self.number(call.saved)?;
        self.bind(call.standing_shown)
    }
}

/// Reads one value after the other.
struct Columns<'r, 's> {
    row: &'r rusqlite::Row<'s>,
    place: usize,
}

impl Columns<'_, '_> {
    fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let value = self.row.get(self.place);
        self.place += 1;
        value
    }

    fn text(&mut self) -> rusqlite::Result<Cow<'static, str>> {
        Ok(Cow::Owned(self.next()?))
    }

    fn text_if_any(&mut self) -> rusqlite::Result<Option<Cow<'static, str>>> {
        Ok(self.next::<Option<String>>()?.map(Cow::Owned))
    }

    fn number(&mut self) -> rusqlite::Result<Option<u64>> {
        Ok(self.next::<Option<i64>>()?.map(i64::unsigned_abs))
    }

    fn day(&mut self) -> rusqlite::Result<i32> {
        let place = self.place;
        let text: String = self.next()?;
        date::day_of(&text).ok_or(rusqlite::Error::InvalidColumnType(
            place,
            text,
            rusqlite::types::Type::Text,
        ))
    }

    fn usage(&mut self) -> rusqlite::Result<Option<Tokens>> {
        let input = self.number()?;
        let rest = [
            self.number()?,
            self.number()?,
            self.number()?,
            self.number()?,
        ];
        let [cached_input, cache_write, output, reasoning] = rest.map(Option::unwrap_or_default);
        Ok(input.map(|input| Tokens {
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
        }))
    }

    fn slack(&mut self) -> rusqlite::Result<Option<Slack<'static>>> {
        let source = self.text_if_any()?;
        let at_most = self.number()?;
        let any_group: Option<bool> = self.next()?;
        Ok(source.map(|source| Slack {
            source,
            at_most,
            any_group: any_group.unwrap_or(true),
        }))
    }
}

/// The row that stands in these columns.
pub(crate) fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let mut columns = Columns { row, place: 0 };
    let columns = &mut columns;
    Ok(Row {
        number: columns.next()?,
        call: SettledCall {
            call: columns.text()?,
            response_id: columns.text_if_any()?,
            request_id: columns.text_if_any()?,
            began_at: columns.next()?,
            settled_at: columns.next()?,
            day: columns.day()?,
            organization: columns.text()?,
            project: columns.text_if_any()?,
            key_hash: columns.next()?,
            endpoint: columns.text()?,
            model_asked: columns.text_if_any()?,
            model: columns.text_if_any()?,
            service_tier: columns.text_if_any()?,
            stream: columns.next()?,
            status: columns.next()?,
            client: columns.text_if_any()?,
            group: columns.text_if_any()?,
            usage: columns.usage()?,
            span: {
                let (before, after) = (columns.number()?, columns.number()?);
                before.zip(after)
            },
            fitted: columns.next()?,
            slack: columns.slack()?,
            allowance: columns.number()?,
            remaining: columns.number()?,
            verdict: columns.text()?,
            certainty: columns.text_if_any()?,
            assumes: columns.text()?,
            reason: columns.text()?,
            ours: columns.text()?,
            payer: columns.text_if_any()?,
            disputed: columns.next()?,
            straddles: columns.next()?,
            cost: columns.number()?,
            saved: columns.number()?,
            standing_shown: columns.next()?,
        },
        adjusts: columns.next()?,
    })
}
