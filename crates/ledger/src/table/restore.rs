//! What a start goes on from: read from the tables once what was open at an unclean stop has become slack. Must
//! not know the meter.

use meter::Day;
use rusqlite::Connection;

use super::TableError;
use super::cells::{self, cell_of, slack_of};
use super::date;
use super::state::{State, UNCLEAN_STOP};
use crate::{CarriedTotal, Restored, SeenKey};

/// Most keys restored, the newest.
const MOST_KEYS: i64 = 100_000;

/// How long OpenAI's word that it paid is carried on, in milliseconds: 31 days.
const PAID_CARRIED: i64 = 31 * 86_400_000;

/// So many causes without limit are told of one source: each may be taken back by itself.
const MOST_CAUSES: u32 = 1_000;

/// Days before and after today whose totals are restored: yesterday's for calls that come late, and one more each
/// way for a clock that was wrong.
const DAYS_BEFORE: i32 = 2;
const DAYS_AFTER: i32 = 1;

/// Turns what was open at an unclean stop into slack and reads what the start goes on from.
pub(super) fn restore(
    connection: &Connection,
    state: &mut State,
    now_ms: i64,
) -> Result<Restored, TableError> {
    let was_clean = state.is_clean();
    for open in state.open_calls.clear(connection)? {
        if !was_clean {
            state.change(
                connection,
                open.day,
                &open.organization,
                &open.group,
                |cell| cell.add_slack(UNCLEAN_STOP, open.at_most),
            )?;
        }
    }
    state.set_clean();
    state.write(connection)?;
    forget_old_keys(connection)?;
    connection.execute(
        "UPDATE meta SET clean = 1, began_at = coalesce(began_at, ?1)",
        [now_ms],
    )?;
    Ok(Restored {
        was_clean,
        keys: keys(connection)?,
        ..carried(connection, now_ms)?
    })
}

/// What standings are made of, as a start at this moment would find it; keys are not read, nothing is changed.
///
/// # Errors
/// As SQLite says.
pub(crate) fn carried(connection: &Connection, now_ms: i64) -> rusqlite::Result<Restored> {
    let today = Day::at_milliseconds(now_ms).number();
    let began_at: Option<i64> =
        connection.query_row("SELECT began_at FROM meta", [], |row| row.get(0))?;
    Ok(Restored {
        began_at: began_at.unwrap_or(now_ms),
        was_clean: connection.query_row("SELECT clean FROM meta", [], |row| row.get(0))?,
        totals: totals(
            connection,
            today.saturating_sub(DAYS_BEFORE),
            today.saturating_add(DAYS_AFTER),
        )?,
        aliases: aliases(connection)?,
        keys: Vec::new(),
        paid: paid(connection, now_ms)?,
    })
}

/// The totals of these days, both included.
///
/// # Errors
/// As SQLite says.
pub(crate) fn totals(
    connection: &Connection,
    from: i32,
    to: i32,
) -> rusqlite::Result<Vec<CarriedTotal>> {
    let columns = cells::COLUMNS;
    let mut rows = connection.prepare(&format!(
        "SELECT {columns}, day, organization, model_group FROM totals WHERE day BETWEEN ?1 AND ?2"
    ))?;
    let place = columns.split(',').count();
    let mut rows = rows.query([date::text_of(from), date::text_of(to)])?;
    let mut totals = Vec::new();
    while let Some(row) = rows.next()? {
        let cell = cell_of(row)?;
        let day: String = row.get(place)?;
        let mut total = CarriedTotal {
            organization: row.get(place + 1)?,
            group: row.get(place + 2)?,
            day: date::day_of(&day).unwrap_or_default(),
            taken: cell.taken,
            fitted: cell.fitted,
            was_past: cell.was_past,
            contradictions: cell.contradictions,
            slack: Vec::new(),
            stated: cell.stated,
        };
        total.slack = slack(connection, &day, &total.organization, &total.group)?;
        if !total.group.is_empty() || !total.slack.is_empty() {
            totals.push(total);
        }
    }
    Ok(totals)
}

/// The slack of one place: for each source what has a bound, together, and each cause that has none.
fn slack(
    connection: &Connection,
    day: &str,
    organization: &str,
    group: &str,
) -> rusqlite::Result<Vec<(String, Option<u64>)>> {
    let mut slack = Vec::new();
    for uncounted in slack_of(connection, day, organization, group)? {
        if uncounted.tokens > 0 {
            slack.push((uncounted.source.clone(), Some(uncounted.tokens)));
        }
        for _ in 0..uncounted.without_limit.min(MOST_CAUSES) {
            slack.push((uncounted.source.clone(), None));
        }
    }
    Ok(slack)
}

fn aliases(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare("SELECT organization, name FROM aliases")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Keys past the newest [`MOST_KEYS`] go.
fn forget_old_keys(connection: &Connection) -> rusqlite::Result<()> {
    let count: i64 = connection.query_row("SELECT count(*) FROM keys", [], |row| row.get(0))?;
    if count > MOST_KEYS {
        connection.execute(
            "DELETE FROM keys WHERE key_hash NOT IN (SELECT key_hash FROM keys ORDER BY seen_at DESC LIMIT ?1)",
            [MOST_KEYS],
        )?;
    }
    Ok(())
}

fn keys(connection: &Connection) -> rusqlite::Result<Vec<SeenKey>> {
    connection
        .prepare("SELECT key_hash, organization, project FROM keys ORDER BY seen_at DESC LIMIT ?1")?
        .query_map([MOST_KEYS], |row| {
            Ok(SeenKey {
                key_hash: row.get(0)?,
                organization: row.get(1)?,
                project: row.get(2)?,
            })
        })?
        .collect()
}

fn paid(connection: &Connection, now_ms: i64) -> rusqlite::Result<Vec<(String, i64)>> {
    connection
        .prepare("SELECT organization, paid_at FROM organizations WHERE paid_at >= ?1")?
        .query_map([now_ms.saturating_sub(PAID_CARRIED)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}
