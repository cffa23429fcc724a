//! The running total of a day as a curve. Must not know how it is drawn.

use rusqlite::named_params;

use crate::table::date;
use crate::{ReadError, Reader};

impl Reader {
    /// The running total of one organization and model group over one day: Unix milliseconds and the total after the
    /// last call of each minute, oldest first; and of the crossing call, which has a point of its own.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn curve(
        &self,
        day: i32,
        organization: &str,
        group: &str,
    ) -> Result<Vec<(i64, u64)>, ReadError> {
        let Some((first, last)) = self.numbers(day, day)? else {
            return Ok(Vec::new());
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT max(settled_at), max(span_after) FROM settlements
             WHERE number BETWEEN :first AND :last AND day = :day AND organization = :organization
               AND model_group = :group AND span_after IS NOT NULL
             GROUP BY settled_at / 60000, reason = 'crossing-call'
             ORDER BY 1, 2",
        )?;
        let rows = statement.query_map(
            named_params! {
                ":first": first, ":last": last, ":day": date::text_of(day),
                ":organization": organization, ":group": group,
            },
            |row| {
                let total: i64 = row.get(1)?;
                Ok((row.get(0)?, total.unsigned_abs()))
            },
        )?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
