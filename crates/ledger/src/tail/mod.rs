//! The tail: the files that entries are appended to, which is what commits them. Must not know tables, threads
//! or who waits.
//!
//! Records are written at the place where the last committed one ends. A write that failed half-way is repeated
//! at the same place with the same bytes, so nothing has to be cut off first, and nothing is kept twice.

pub(crate) mod record;
pub(crate) mod segment;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::table::Position;

/// A segment longer than this is ended and a new one begun, in bytes.
const SEGMENT: u64 = 8 * 1024 * 1024;
/// If a new segment cannot be made, the old one goes on for so many bytes before the next attempt.
const GO_ON: u64 = 1024 * 1024;

/// Where the tables cannot be asked for the last segment, numbers go on so far ahead: an earlier run may have begun
/// segments faster than one a second.
const AHEAD: u32 = 3_600;

/// The end of the tail, where entries are appended.
#[derive(Debug)]
pub(crate) struct Tail {
    folder: PathBuf,
    /// Each append is synced to the disk before it counts.
    sync: bool,
    file: File,
    number: u32,
    /// Where the last committed record ends.
    end: u64,
    /// A new segment is begun from here on.
    enough: u64,
    /// The file refused bytes for another reason than a full disk: the next attempt is made in a new one.
    spoiled: bool,
}

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    /// Bytes that are committed now, whole records from the beginning.
    pub(crate) bytes: usize,
    /// How many records that is.
    pub(crate) records: usize,
    /// Why the rest is not.
    pub(crate) failure: Option<io::Error>,
}

impl Tail {
    /// Begins a segment after all that are in `folder`, and after `moved`, the last that the tables know; `None`:
    /// they cannot be asked.
    pub(crate) fn begin(folder: &Path, moved: Option<u32>, sync: bool) -> io::Result<Tail> {
        let last = segment::numbers(folder)?.last().copied();
        let ahead = if moved.is_some() { 0 } else { AHEAD };
        let number = segment::next_number(last.max(moved).unwrap_or(0), ahead);
        Ok(Tail {
            folder: folder.to_owned(),
            sync,
            file: segment::create(folder, number, None, sync)?,
            number,
            end: segment::HEADER,
            enough: SEGMENT,
            spoiled: false,
        })
    }

    /// Where the tail ends now.
    pub(crate) fn position(&self) -> Position {
        Position {
            segment: self.number,
            offset: self.end,
        }
    }

    /// Appends `records`. What is not committed of them must be given again, first of all.
    pub(crate) fn append(&mut self, records: &[u8]) -> Appended {
        if self.spoiled || self.end >= self.enough {
            match self.begin_next() {
                Ok(()) => {}
                Err(error) if self.spoiled => return Appended::nothing(error),
                Err(_) => self.enough = self.end + GO_ON,
            }
        }
        let (written, mut failure) = self.write(records);
        let mut committed = record::whole(records.get(..written).unwrap_or_default());
        if self.sync {
            if failure.is_none() {
                failure = self.file.sync_data().err();
            }
            if failure.is_some() {
                committed = (0, 0);
            }
        }
        if let Some(error) = &failure {
            self.spoiled = !is_full(error);
        }
        let (bytes, count) = committed;
        self.end += bytes as u64;
        Appended {
            bytes,
            records: count,
            failure,
        }
    }

    /// Writes as much of `records` as can be had at the end, and says how much that was.
    fn write(&self, records: &[u8]) -> (usize, Option<io::Error>) {
        let mut written = 0;
        while let Some(left) = records.get(written..).filter(|left| !left.is_empty()) {
            match self.file.write_at(left, self.end + written as u64) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }

    /// Goes on in a new segment, whose header says where this one ends.
    fn begin_next(&mut self) -> io::Result<()> {
        let number = segment::next_number(self.number, 0);
        self.file = segment::create(&self.folder, number, Some(self.end), self.sync)?;
        self.number = number;
        self.end = segment::HEADER;
        self.enough = SEGMENT;
        self.spoiled = false;
        Ok(())
    }
}

impl Appended {
    fn nothing(error: io::Error) -> Appended {
        Appended {
            bytes: 0,
            records: 0,
            failure: Some(error),
        }
    }
}

/// Whether room is what was missing: then the same place is as good as any other.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
