//! Entries as bytes: of each a length, a checksum, the entry. Must not know files.
//!
//! A record is `u32` length of the payload, `u32` CRC-32 of the payload (both little-endian), and the payload:
//! the entry in postcard's format.

use crate::Entry;

/// Length and checksum before each payload, in bytes.
pub(crate) const HEAD: usize = 8;
/// The largest payload, in bytes. Entries hold bounded text and are a tenth of this at most.
pub(crate) const LARGEST: usize = 64 * 1024;

/// About what a record takes, in bytes.
const USUAL: usize = 256;

/// What stands first in some bytes of a tail.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A whole record.
    Whole {
        /// Its entry, as bytes.
        payload: &'a [u8],
        /// Its length with its head, in bytes.
        size: usize,
    },
    /// The beginning of a record; the rest is not there.
    Cut,
    /// No record: what stood here is damaged.
    Damaged,
}

/// Why a group ends.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Its bytes end.
    AllRead,
    /// The bytes end inside a record.
    Cut,
    /// What follows is not a record.
    Damaged,
    /// What follows is a record of `size` bytes that this program does not know.
    Unknown { size: usize },
}

/// Appends the record of `entry`. `false`: it would be larger than [`LARGEST`], and nothing was appended.
pub(crate) fn append(entry: &Entry<'_>, into: &mut Vec<u8>) -> bool {
    let before = into.len();
    into.extend_from_slice(&[0; HEAD]);
    if postcard::to_io(entry, &mut *into).is_err() {
        into.truncate(before);
        return false;
    }
    let Some((head, payload)) = into
        .get_mut(before..)
        .and_then(|record| record.split_first_chunk_mut::<HEAD>())
    else {
        return false;
    };
    let length = payload.len();
    if length > LARGEST {
        into.truncate(before);
        return false;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most LARGEST")]
    let length = (length as u32).to_le_bytes();
    let sum = crc32fast::hash(payload).to_le_bytes();
    for (place, byte) in head.iter_mut().zip(length.into_iter().chain(sum)) {
        *place = byte;
    }
    true
}

/// What stands first in `bytes`, which are not empty.
pub(crate) fn first(bytes: &[u8]) -> Found<'_> {
    let Some((length, sum, rest)) = head(bytes) else {
        return Found::Cut;
    };
    if length == 0 || length > LARGEST {
        return Found::Damaged;
    }
    let Some(payload) = rest.get(..length) else {
        return Found::Cut;
    };
    if crc32fast::hash(payload) != sum {
        return Found::Damaged;
    }
    Found::Whole {
        payload,
        size: HEAD + length,
    }
}

/// The entry of a whole record; `None`: this program does not know such entries.
pub(crate) fn entry(payload: &[u8]) -> Option<Entry<'_>> {
    postcard::from_bytes(payload).ok()
}

/// The entries of the whole records that `bytes` begin with, their length, and why they end there.
pub(crate) fn group(bytes: &[u8]) -> (Vec<Entry<'_>>, usize, Stop) {
    let mut entries = Vec::with_capacity(bytes.len() / USUAL);
    let mut size = 0;
    loop {
        let left = bytes.get(size..).unwrap_or_default();
        if left.is_empty() {
            return (entries, size, Stop::AllRead);
        }
        match first(left) {
            Found::Whole {
                payload,
                size: more,
            } => {
                let Some(entry) = entry(payload) else {
                    return (entries, size, Stop::Unknown { size: more });
                };
                entries.push(entry);
                size += more;
            }
            Found::Cut => return (entries, size, Stop::Cut),
            Found::Damaged => return (entries, size, Stop::Damaged),
        }
    }
}

/// How many bytes of `records`, written by us and cut anywhere, are whole records, and how many records that is.
pub(crate) fn whole(records: &[u8]) -> (usize, usize) {
    let (mut bytes, mut count) = (0, 0);
    let mut left = records;
    while let Some((length, _, rest)) = head(left) {
        let Some(after) = rest.get(length..) else {
            break;
        };
        bytes += HEAD + length;
        count += 1;
        left = after;
    }
    (bytes, count)
}

/// Length, checksum, and what follows them.
fn head(bytes: &[u8]) -> Option<(usize, u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    Some((length, u32::from_le_bytes(*sum), rest))
}
