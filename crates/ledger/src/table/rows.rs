//! Rows of `settlements`: how one is written and read back. Must not know sums.
//!
//! Every value is bound, never written into SQL: names come from outside. Numbers past the greatest that a column
//! holds are kept as that one.

use std::borrow::Cow;

use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Connection};

use super::TableError;
use super::cells::column;
use super::date;
use crate::{Row, SettledCall, Slack, Tokens};

/// The columns of `settlements` that [`row_of`] reads first, in its order.
const COLUMNS: &str = "number, call, response_id, request_id, began_at, settled_at, day, \
    organization, project, key_hash, endpoint, model_asked, model, service_tier, stream, status, client, model_group, \
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, span_before, span_after, \
    fitted, slack_source, slack_tokens, slack_any_group, allowance_tokens, remaining_tokens, verdict, certainty, \
    assumes, reason, ours, payer, disputed, straddles, cost_picodollars, saved_picodollars, standing_shown, adjusts";

/// The newest row that knows the same call better than this one. There is an index, with hardly a row in it.
pub(crate) const COUNTED_BY: &str = "(SELECT max(later.number) FROM settled AS later \
    WHERE later.adjusts = ifnull(settlements.adjusts, settlements.call) AND later.number > settlements.number)";

/// Whether this row's call may yet be seen whole: its answer said no usage, and it began less than a day ago, as long as the
/// proxy waits for one.
const MAY_BE_SEEN: &str = "adjusts IS NULL AND verdict = 'unknown' AND reason = 'usage-missing' \
    AND response_id IS NOT NULL AND endpoint IN ('responses', 'threads.runs') \
    AND began_at > (unixepoch() - 86400) * 1000";

/// The columns that [`row_of`] reads, the derived ones too.
pub(crate) fn columns() -> String {
    format!("{COLUMNS}, {COUNTED_BY}, {}", is_awaited())
}

/// Whether this row's call is awaited: nobody has seen it whole yet.
pub(crate) fn is_awaited() -> String {
    format!("({MAY_BE_SEEN} AND {COUNTED_BY} IS NULL)")
}

/// What an adjusting row has besides its call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adjusts<'a> {
    /// The call as first settled.
    pub(super) call: &'a str,
    /// Its change of the running total and of the other reading's, if it counts for a group.
    pub(super) changes: Option<(i64, i64)>,
}

/// The columns that [`Insert`] writes, in their order. What is not here is in the row's kind.
const OWN_COLUMNS: &str = "number, kind, call, response_id, request_id, began_at, settled_at, \
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, span_before, span_after, \
    slack_tokens, remaining_tokens, cost_picodollars, saved_picodollars, adjusts, taken_change, fitted_change";

/// Writes rows.
pub(super) struct Insert<'c>(CachedStatement<'c>);

impl<'c> Insert<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Insert<'c>, TableError> {
        let places = vec!["?"; OWN_COLUMNS.split(',').count()].join(", ");
        let sql = format!("INSERT INTO settled ({OWN_COLUMNS}) VALUES ({places})");
        Ok(Insert(connection.prepare_cached(&sql)?))
    }

    /// Writes one row.
    pub(super) fn row(
        &mut self,
        number: i64,
        kind: i64,
        call: &SettledCall<'_>,
        adjusts: Option<Adjusts<'_>>,
    ) -> Result<(), TableError> {
        let mut to = Binder::new(&mut self.0);
        to.bind(number)?;
        to.bind(kind)?;
        to.text(Some(&call.call))?;
        to.text(call.response_id.as_ref())?;
        to.text(call.request_id.as_ref())?;
        to.bind(call.began_at)?;
        to.bind(call.settled_at)?;
        let usage = call.usage.as_ref();
        to.number(usage.map(|usage| usage.input))?;
        to.number(usage.map(|usage| usage.cached_input))?;
        to.number(usage.map(|usage| usage.cache_write))?;
        to.number(usage.map(|usage| usage.output))?;
        to.number(usage.map(|usage| usage.reasoning))?;
        to.number(call.span.map(|(before, _)| before))?;
        to.number(call.span.map(|(_, after)| after))?;
        to.number(call.slack.as_ref().and_then(|slack| slack.at_most))?;
        to.number(call.remaining)?;
        to.number(call.cost)?;
        to.number(call.saved)?;
        let changes = adjusts.and_then(|adjusts| adjusts.changes);
        to.bind(adjusts.map(|adjusts| adjusts.call))?;
        to.bind(changes.map(|(taken, _)| taken))?;
        to.bind(changes.map(|(_, fitted)| fitted))?;
        self.0.raw_execute()?;
        Ok(())
    }
}

/// Binds one value after the other.
pub(super) struct Binder<'s, 'c> {
    statement: &'s mut CachedStatement<'c>,
    place: usize,
}

impl<'s, 'c> Binder<'s, 'c> {
    pub(super) fn new(statement: &'s mut CachedStatement<'c>) -> Self {
        Binder {
            statement,
            place: 0,
        }
    }

    pub(super) fn bind(&mut self, value: impl rusqlite::ToSql) -> Result<(), TableError> {
        self.place += 1;
        Ok(self.statement.raw_bind_parameter(self.place, value)?)
    }

    pub(super) fn text(&mut self, text: Option<&Cow<'_, str>>) -> Result<(), TableError> {
        self.bind(text.map(AsRef::<str>::as_ref))
    }

    fn number(&mut self, number: Option<u64>) -> Result<(), TableError> {
        self.bind(number.map(column))
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
        counted_by: columns.next()?,
        is_awaited: columns.next()?,
    })
}
