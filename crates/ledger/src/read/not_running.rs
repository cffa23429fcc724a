//! When on a day nobody took calls for this ledger. Must not know how that is drawn.

use meter::Day;
use rusqlite::named_params;

use crate::{ReadError, Reader};

/// Milliseconds: a program says twice in this time that it lives, so a shorter gap may be none.
const SHORTEST: i64 = 60_000;

impl Reader {
    /// The parts of a day in which nobody took calls here: before the ledger began, and between a program's last sign
    /// of life and the next one's start. Pairs of Unix milliseconds, oldest first, each a minute at least.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn not_running(&self, day: i32) -> Result<Vec<(i64, i64)>, ReadError> {
        let day = Day::of_number(day);
        let (start, end) = (day.start() * 1_000, day.end() * 1_000);
        let mut statement = self.connection.prepare_cached(
            "WITH gaps AS (
               SELECT max(last_at) OVER (
                        ORDER BY began_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                      ) AS ended,
                      began_at AS began
               FROM runs
               UNION ALL
               SELECT 0, began_at FROM meta WHERE began_at IS NOT NULL
             )
             SELECT max(ended, :start), min(began, :end) FROM gaps
             WHERE ended < :end AND began > :start AND began - ended >= :shortest
             ORDER BY 1",
        )?;
        let parameters = named_params! { ":start": start, ":end": end, ":shortest": SHORTEST };
        let rows = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    const TODAY: i32 = 20_779;
    const MINUTE: i64 = 60_000;

    fn at(minute: i64) -> i64 {
        Day::of_number(TODAY).start() * 1_000 + minute * MINUTE
    }

    #[test]
    fn what_lies_between_two_runs_is_told_on_each_day_it_touches() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = Table::open(&folder.path().join("ledger.sqlite")).unwrap();
        table.restored(at(-600)).unwrap();
        for (began, lived) in [
            (at(-600), at(-30)),
            (at(60), at(60)),
            (at(60), at(120)),
            // As short as a program may be silent: no gap.
            (at(120) + MINUTE - 1, at(180)),
            (at(1_000), at(1_000)),
        ] {
            table.lives(began, lived).unwrap();
        }
        let reader = Reader::open(folder.path()).unwrap();
        let told = |day| reader.not_running(day).unwrap();
        assert_eq!(told(TODAY), [(at(0), at(60)), (at(180), at(1_000))]);
        assert_eq!(
            told(TODAY - 1),
            [(at(-1_440), at(-600)), (at(-30), at(0))],
            "before the ledger began, and up to midnight"
        );
        assert_eq!(told(TODAY - 2), [(at(-2_880), at(-1_440))]);
        assert_eq!(told(TODAY + 1), []);
    }

    #[test]
    fn runs_of_days_that_are_kept_no_longer_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = Table::open(&folder.path().join("ledger.sqlite")).unwrap();
        table.lives(at(-3_000), at(-2_900)).unwrap();
        table.lives(at(-1), at(5)).unwrap();
        assert_eq!(table.prune(TODAY, 500).unwrap(), 1);
        assert_eq!(table.prune(TODAY, 500).unwrap(), 0);
        let reader = Reader::open(folder.path()).unwrap();
        assert_eq!(reader.not_running(TODAY).unwrap(), []);
    }
}
