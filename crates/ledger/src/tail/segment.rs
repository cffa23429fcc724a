//! A segment: one file of the tail, its name and its header. Must not know what its records say.
//!
//! A segment's number is the Unix second it was begun in, or one more than the number before it, so that numbers
//! ascend even when nothing else is left to count from. Its header is 16 bytes: magic, `u32` format version, and
//! `u64` where the segment before it ends (both little-endian): bytes after that end were never committed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The header's length, in bytes.
pub(crate) const HEADER: u64 = 16;
const MAGIC: [u8; 4] = *b"TFTL";
const VERSION: u32 = 1;
/// In a header: where the segment before it ends is not known, since its writer died or there was none.
const NOT_KNOWN: u64 = u64::MAX;

/// What a segment's header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Where the segment before it ends, if its writer knew.
    Ours {
        /// In bytes from its beginning.
        previous_end: Option<u64>,
    },
    /// The file ends before its header does: nothing was ever committed to it.
    Cut,
    /// A newer format.
    Newer,
    /// Not a header of ours.
    Damaged,
}

/// Where segment `number` lies.
pub(crate) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("ledger-{number:08x}.tail"))
}

/// The numbers of all segments in `folder`, ascending.
pub(crate) fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(folder)? {
        let name = file?.file_name();
        let digits = name.to_str().and_then(|name| {
            name.strip_prefix("ledger-")?
                .strip_suffix(".tail")
                .filter(|digits| digits.len() == 8)
        });
        numbers.extend(digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The first segment after `number`, up to `last`.
pub(crate) fn next(folder: &Path, number: u32, last: u32) -> io::Result<Option<u32>> {
    let numbers = numbers(folder)?;
    let after = numbers.into_iter().find(|next| *next > number);
    Ok(after.filter(|next| *next <= last))
}

/// The number of a segment begun now, after `before` and `ahead` of the clock.
pub(crate) fn next_number(before: u32, ahead: u32) -> u32 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    // A clock beyond 2106 counts on from there.
    let now = u32::try_from(now).unwrap_or(0);
    now.saturating_add(ahead).max(before.saturating_add(1))
}

/// Makes segment `number` with its header, open for writing. A file that was begun and failed is taken away again.
pub(crate) fn create(
    folder: &Path,
    number: u32,
    previous_end: Option<u64>,
    sync: bool,
) -> io::Result<File> {
    let path = path(folder, number);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let begun = begin(&file, previous_end).and_then(|()| {
        if sync {
            file.sync_all()?;
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    });
    if let Err(error) = begun {
        // Left behind it would be read as an empty segment: no harm if it cannot be removed.
        drop(fs::remove_file(&path));
        return Err(error);
    }
    Ok(file)
}

fn begin(file: &File, previous_end: Option<u64>) -> io::Result<()> {
    let mut header = Vec::from(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend(previous_end.unwrap_or(NOT_KNOWN).to_le_bytes());
    file.write_all_at(&header, 0)
}

/// Reads a segment's header.
pub(crate) fn header(file: &File) -> io::Result<Header> {
    let mut bytes = [0; 16];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Header::Cut),
        read => read?,
    }
    let [m0, m1, m2, m3, v0, v1, v2, v3, end @ ..] = bytes;
    if [m0, m1, m2, m3] != MAGIC {
        return Ok(Header::Damaged);
    }
    Ok(match u32::from_le_bytes([v0, v1, v2, v3]) {
        VERSION => {
            let end = u64::from_le_bytes(end);
            Header::Ours {
                previous_end: (end != NOT_KNOWN).then_some(end),
            }
        }
        0 => Header::Damaged,
        _ => Header::Newer,
    })
}
