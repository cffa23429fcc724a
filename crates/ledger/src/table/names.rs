//! Where a call is found by any of its ids. Ids from upstream are random, and an index over them would write a
//! page for nearly every row; so the ids of [`BLOCK`] rows are gathered, sorted by hash and written at once, in
//! [`SLICES`] slices that each lie together. Rows past the last whole block are looked through. Must not know what
//! a row means.
//!
//! A slice is a row of `names`: number = block * 64 + slice; its entries are sorted pieces of 6 bytes, big-endian:
//! the CRC-32 of an id, then the row's place in its block. A hash only points at rows that may be meant.

use rusqlite::{Connection, OptionalExtension, params};

use super::TableError;
use crate::SettledCall;

/// Rows whose ids are written together. Row `n` belongs to block `n / BLOCK`.
pub(super) const BLOCK: i64 = 8_192;

/// Slices of a block, by the first 6 bits of the hash.
pub(super) const SLICES: i64 = 64;

/// Bytes of one entry of a slice.
const ENTRY: usize = 6;

/// The ids of the block that is not whole yet.
#[derive(Default)]
pub(super) struct Pending {
    /// Hash and place in the block.
    ids: Vec<(u32, u16)>,
}

impl Pending {
    /// Gathers the ids of the rows past the last whole block.
    pub(super) fn read(connection: &Connection, last_number: i64) -> Result<Pending, TableError> {
        let mut pending = Pending::default();
        let mut rows = connection.prepare(
            "SELECT number, call, response_id, request_id FROM settled WHERE number >= ?1",
        )?;
        let mut rows = rows.query([unsealed_from(last_number)])?;
        while let Some(row) = rows.next()? {
            let place = place_of(row.get(0)?);
            for column in 1..=3 {
                if let Some(id) = row.get::<_, Option<String>>(column)? {
                    pending.ids.push((hash(&id), place));
                }
            }
        }
        Ok(pending)
    }

    /// Gathers the ids of the next row; writes the block that it makes whole.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        number: i64,
        call: &SettledCall<'_>,
    ) -> Result<(), TableError> {
        let place = place_of(number);
        let ids = [
            Some(&call.call),
            call.response_id.as_ref(),
            call.request_id.as_ref(),
        ];
        self.ids
            .extend(ids.into_iter().flatten().map(|id| (hash(id), place)));
        if number % BLOCK == BLOCK - 1 {
            self.seal(connection, number / BLOCK)?;
        }
        Ok(())
    }

    /// Numbers of the rows past the last whole block that may have this id, newest first.
    pub(super) fn numbers(&self, last_number: i64, id: &str) -> Vec<i64> {
        let (hash, first) = (hash(id), unsealed_from(last_number));
        let ids = self.ids.iter().rev();
        ids.filter(|(known, _)| *known == hash)
            .map(|(_, place)| first + i64::from(*place))
            .collect()
    }

    fn seal(&mut self, connection: &Connection, block: i64) -> Result<(), TableError> {
        self.ids.sort_unstable();
        self.ids.dedup();
        let mut insert = connection.prepare_cached("INSERT INTO names VALUES (?1, ?2)")?;
        let mut entries = Vec::new();
        let mut rest = self.ids.as_slice();
        for slice in 0..SLICES {
            let here = rest.partition_point(|(hash, _)| slice_of(*hash) <= slice);
            let (slice_ids, after) = rest.split_at(here);
            rest = after;
            entries.clear();
            for (hash, place) in slice_ids {
                entries.extend_from_slice(&hash.to_be_bytes());
                entries.extend_from_slice(&place.to_be_bytes());
            }
            insert.execute(params![block * SLICES + slice, entries])?;
        }
        self.ids.clear();
        Ok(())
    }
}

/// Looks for the newest row with this id that is accepted: first among the rows past the last whole block, given
/// newest first, then block by block. A number that is offered may be of a row without that id, or of none.
///
/// # Errors
/// As SQLite says.
pub(crate) fn find<T>(
    connection: &Connection,
    id: &str,
    last_number: i64,
    unsealed: &[i64],
    mut accept: impl FnMut(i64) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    for number in unsealed {
        if let Some(accepted) = accept(*number)? {
            return Ok(Some(accepted));
        }
    }
    let first_number: Option<i64> =
        connection.query_row("SELECT min(number) FROM settled", [], |row| row.get(0))?;
    let Some(first_number) = first_number else {
        return Ok(None);
    };
    let hash = hash(id);
    let mut slices = connection.prepare_cached("SELECT entries FROM names WHERE number = ?1")?;
    for block in (first_number / BLOCK..unsealed_from(last_number) / BLOCK).rev() {
        let entries: Option<Vec<u8>> = slices
            .query_row([block * SLICES + slice_of(hash)], |row| row.get(0))
            .optional()?;
        for place in places(&entries.unwrap_or_default(), hash).into_iter().rev() {
            if let Some(accepted) = accept(block * BLOCK + i64::from(place))? {
                return Ok(Some(accepted));
            }
        }
    }
    Ok(None)
}

/// The places of the rows that have this hash, in a slice.
fn places(entries: &[u8], hash: u32) -> Vec<u16> {
    let (entries, _) = entries.as_chunks::<ENTRY>();
    let hash_of = |[a, b, c, d, _, _]: &[u8; ENTRY]| u32::from_be_bytes([*a, *b, *c, *d]);
    let from = entries.partition_point(|entry| hash_of(entry) < hash);
    entries
        .iter()
        .skip(from)
        .take_while(|entry| hash_of(entry) == hash)
        .map(|[_, _, _, _, high, low]| u16::from_be_bytes([*high, *low]))
        .collect()
}

/// The first row that is in no whole block.
pub(crate) fn unsealed_from(last_number: i64) -> i64 {
    (last_number + 1) / BLOCK * BLOCK
}

fn hash(id: &str) -> u32 {
    crc32fast::hash(id.as_bytes())
}

fn slice_of(hash: u32) -> i64 {
    (hash >> 26).into()
}

fn place_of(number: i64) -> u16 {
    u16::try_from(number.rem_euclid(BLOCK)).unwrap_or(0)
}
