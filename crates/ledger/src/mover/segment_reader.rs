//! A segment that is being moved: where it ends, and the bytes in it. Must not know tables or records.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::MoveError;
use crate::table::Position;
use crate::tail::segment::{self, Header};

/// The most bytes that are read at once: about a thousand entries, and more than the largest record.
pub(super) const GROUP: usize = 256 * 1024;

/// An open segment.
#[derive(Debug)]
pub(super) struct SegmentReader {
    pub(super) number: u32,
    file: File,
    /// Where it ends, once nobody writes to it any more.
    end: Option<End>,
}

/// Where a segment ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) offset: u64,
    /// Its writer knew; else it died, and the last bytes may be part of a record only.
    pub(super) sure: bool,
}

impl SegmentReader {
    pub(super) fn open(folder: &Path, number: u32) -> io::Result<SegmentReader> {
        Ok(SegmentReader {
            number,
            file: File::open(segment::path(folder, number))?,
            end: None,
        })
    }

    /// Where the segment ends for now, with the tail's end at `tail_end`.
    pub(super) fn end(
        &mut self,
        folder: &Path,
        tail_end: Option<Position>,
    ) -> Result<End, MoveError> {
        if let Some(live) = tail_end.filter(|end| end.segment == self.number) {
            return Ok(End {
                offset: live.offset,
                sure: true,
            });
        }
        let end = match self.end {
            Some(end) => end,
            None => self.old_end(folder)?,
        };
        self.end = Some(end);
        Ok(end)
    }

    /// Where a segment that nobody writes to any more ends: where the one after it says, or with its file.
    fn old_end(&self, folder: &Path) -> Result<End, MoveError> {
        if segment::header(&self.file)? == Header::Newer {
            return Err(MoveError::NewerTail {
                path: segment::path(folder, self.number),
            });
        }
        let said = match segment::next(folder, self.number, u32::MAX)? {
            None => None,
            Some(next) => match segment::header(&File::open(segment::path(folder, next))?)? {
                Header::Ours { previous_end } => previous_end,
                _ => None,
            },
        };
        let length = self.file.metadata()?.len();
        Ok(match said {
            Some(offset) if offset <= length => End { offset, sure: true },
            _ => End {
                offset: length,
                sure: false,
            },
        })
    }

    /// Reads the piece from `offset` up to `end`, or as much of it as a group may be.
    pub(super) fn piece(&self, offset: u64, end: u64, into: &mut Vec<u8>) -> io::Result<()> {
        let size = usize::try_from(end.saturating_sub(offset)).unwrap_or(GROUP);
        into.resize(size.min(GROUP), 0);
        self.file.read_exact_at(into, offset)
    }

    /// Whether nothing but zeros stands from `offset` to `end`: room that was never written before power went away.
    pub(super) fn is_blank(&self, mut offset: u64, end: u64) -> io::Result<bool> {
        let mut bytes = Vec::new();
        while offset < end {
            self.piece(offset, end, &mut bytes)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset += bytes.len() as u64;
        }
        Ok(true)
    }
}
