//! Where a reader finds a call by one of its ids. Must not know who asks, nor how ids are kept.

use rusqlite::{OptionalExtension, params};

use crate::{ReadError, Reader, Row, table};

impl Reader {
    /// The newest row of a call by our id.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn find_call(&self, call: &str) -> Result<Option<Row>, ReadError> {
        self.find(call, "call = ?1", |row| row.call.call == call)
    }

    /// The newest row with this response id or `x-request-id`, made with the key of this hash.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn find_openai_id(&self, key_hash: &[u8; 16], id: &str) -> Result<Option<Row>, ReadError> {
        self.find(id, "(response_id = ?1 OR request_id = ?1)", |row| {
            row.call.key_hash.as_ref() == Some(key_hash) && has_openai_id(row, id)
        })
    }

    /// The rows of a call by any of its ids, whoever's key made it: as it was settled, and then what adjusted that.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn find_rows(&self, id: &str) -> Result<Vec<Row>, ReadError> {
        let any = "?1 IN (call, response_id, request_id)";
        let is_meant = |row: &Row| row.call.call == id || has_openai_id(row, id);
        let found = self.find(id, any, is_meant)?;
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        let call = found.adjusts.as_deref().unwrap_or(&found.call.call);
        let first = self.find(call, "call = ?1", |row| {
            row.call.call == call && row.adjusts.is_none()
        })?;
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {} FROM settlements WHERE adjusts = ?1 ORDER BY number",
            table::row_columns(),
        ))?;
        let adjustments = statement.query_map([call], table::row_of)?;
        first
            .map(Ok)
            .into_iter()
            .chain(adjustments)
            .map(|row| Ok(row?))
            .collect()
    }

    /// `condition` finds it among the rows whose ids are not gathered yet; `is_meant` tells the row from others.
    fn find(
        &self,
        id: &str,
        condition: &str,
        is_meant: impl Fn(&Row) -> bool,
    ) -> Result<Option<Row>, ReadError> {
        let sql = "SELECT last_number FROM meta";
        let last_number = self.connection.query_row(sql, [], |row| row.get(0))?;
        let unsealed: Vec<i64> = self
            .connection
            .prepare_cached(&format!(
                "SELECT number FROM settlements WHERE number >= ?2 AND {condition} ORDER BY number DESC"
            ))?
            .query_map(params![id, table::unsealed_from(last_number)], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut row = self.connection.prepare_cached(&format!(
            "SELECT {} FROM settlements WHERE number = ?1",
            table::row_columns(),
        ))?;
        let accept = |number| {
            let found = row.query_row([number], table::row_of).optional()?;
            Ok(found.filter(|row| is_meant(row)))
        };
        Ok(table::find(
            &self.connection,
            id,
            last_number,
            &unsealed,
            accept,
        )?)
    }
}

fn has_openai_id(row: &Row, id: &str) -> bool {
    let ids = [&row.call.response_id, &row.call.request_id];
    ids.into_iter().flatten().any(|known| known == id)
}
