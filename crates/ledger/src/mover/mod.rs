//! Moves the tail into the tables, group by group: the same way in the normal run and after a crash. Must not know
//! threads, callers, or what an entry says.

mod opening;
mod run;
mod segment_reader;
#[cfg(test)]
mod tests;

pub(crate) use opening::{open, take_up};
pub(crate) use run::{run, trouble};

use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use meter::Day;
use thiserror::Error;

use self::segment_reader::{End, SegmentReader};
use crate::shared::unix_ms;
use crate::table::{Position, Table, TableError};
use crate::tail::record::{self, Stop};
use crate::tail::segment;
use crate::{DATABASE, Entry, Reader, Restored};

/// Where the moving is, and what it moves into.
#[derive(Debug)]
pub(crate) struct Mover {
    folder: PathBuf,
    table: Table,
    /// Everything before this is moved or cannot be.
    at: Position,
    reading: Option<SegmentReader>,
    bytes: Vec<u8>,
    /// The tables have something that they have not synced to the disk yet.
    is_unsynced: bool,
}

/// What one step did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes of the tail that are behind now.
    pub(crate) bytes: u64,
    /// There may be more.
    pub(crate) more: bool,
}

/// Why entries could not be moved. They stay in the tail.
#[derive(Debug, Error)]
pub(crate) enum MoveError {
    #[error("the tail cannot be read")]
    Unreadable {
        #[source]
        source: io::Error,
    },
    #[error("a newer tollfree wrote {}", .path.display())]
    NewerTail { path: PathBuf },
    #[error(transparent)]
    Table(#[from] TableError),
}

impl From<io::Error> for MoveError {
    fn from(source: io::Error) -> MoveError {
        MoveError::Unreadable { source }
    }
}

impl Mover {
    /// Opens the tables of `folder`, making them if there are none.
    pub(crate) fn open(folder: &Path) -> Result<Mover, TableError> {
        let table = Table::open(&folder.join(DATABASE))?;
        Ok(Mover {
            at: table.position(),
            table,
            folder: folder.to_owned(),
            reading: None,
            bytes: Vec::new(),
            is_unsynced: false,
        })
    }

    /// Everything before this is moved.
    pub(crate) fn at(&self) -> Position {
        self.at
    }

    /// Bytes of the tail that are not moved.
    pub(crate) fn left(&self) -> io::Result<u64> {
        let mut left = 0;
        for number in segment::numbers(&self.folder)? {
            if number >= self.at.segment {
                left += fs::metadata(segment::path(&self.folder, number))?.len();
            }
        }
        Ok(left.saturating_sub(self.at.offset))
    }

    /// Moves all that was left before `began`, the beginning of this run's tail, and gives what the run goes on
    /// from. `moved` is told the bytes of each step.
    pub(crate) fn restore(
        &mut self,
        began: Option<Position>,
        now_ms: i64,
        mut moved: impl FnMut(u64),
    ) -> Result<Restored, MoveError> {
        loop {
            let step = self.step(began)?;
            moved(step.bytes);
            if !step.more {
                return Ok(self.table.restored(now_ms)?);
            }
        }
    }

    /// Moves one group of what lies before `tail_end`, or of all there is if nobody writes. After an error the
    /// next step begins where the tables are.
    pub(crate) fn step(&mut self, tail_end: Option<Position>) -> Result<Step, MoveError> {
        let step = self.try_step(tail_end);
        if step.is_err() {
            self.at = self.at.max(self.table.position());
            self.reading = None;
        }
        step
    }

    fn try_step(&mut self, tail_end: Option<Position>) -> Result<Step, MoveError> {
        let Some(mut reading) = self.reading(tail_end)? else {
            return Ok(Step::default());
        };
        let end = reading.end(&self.folder, tail_end)?;
        let step = if self.at.offset < end.offset {
            let mut bytes = mem::take(&mut self.bytes);
            reading.piece(self.at.offset, end.offset, &mut bytes)?;
            let step = self.apply(&bytes, &reading, end, tail_end);
            self.bytes = bytes;
            step?
        } else {
            self.pass_on(tail_end, 0)?
        };
        if reading.number == self.at.segment {
            self.reading = Some(reading);
        }
        Ok(step)
    }

    /// The segment to move from; `None`: there is none.
    fn reading(&mut self, tail_end: Option<Position>) -> io::Result<Option<SegmentReader>> {
        if let Some(reading) = self.reading.take() {
            return Ok(Some(reading));
        }
        match SegmentReader::open(&self.folder, self.at.segment) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            reading => return reading.map(Some),
        }
        // Moved and deleted, or there was none before: the next one is the one to move.
        if self.go_on(tail_end)? {
            SegmentReader::open(&self.folder, self.at.segment).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Applies the whole records at the beginning of `bytes`, which lie at `self.at`.
    fn apply(
        &mut self,
        bytes: &[u8],
        reading: &SegmentReader,
        end: End,
        tail_end: Option<Position>,
    ) -> Result<Step, MoveError> {
        let (entries, size, stop) = record::group(bytes);
        let from = self.at.offset;
        let here = from + size as u64;
        if size > 0 {
            self.apply_up_to(&entries, here)?;
        }
        let last = from + bytes.len() as u64 == end.offset;
        let lost_to = match stop {
            Stop::AllRead => None,
            Stop::Cut if !last => None,
            Stop::Cut if !end.sure => return Ok(self.pass_on(tail_end, here - from)?),
            Stop::Damaged if !end.sure && reading.is_blank(here, end.offset)? => {
                return Ok(self.pass_on(tail_end, here - from)?);
            }
            Stop::Unknown { size } => Some(here + size as u64),
            Stop::Cut | Stop::Damaged => Some(end.offset),
        };
        if let Some(to) = lost_to {
            self.lose(to)?;
        }
        Ok(Step {
            bytes: self.at.offset - from,
            more: tail_end != Some(self.at),
        })
    }

    fn apply_up_to(&mut self, entries: &[Entry<'_>], offset: u64) -> Result<(), TableError> {
        let after = Position { offset, ..self.at };
        self.table.apply(entries, after)?;
        self.is_unsynced = true;
        self.at = after;
        Ok(())
    }

    /// Passes over bytes that cannot be read: they may have held anything, so any organization may have taken any
    /// number of tokens, on the last day that was settled on or today. This machine's clock alone may not know today.
    fn lose(&mut self, to: u64) -> Result<(), TableError> {
        tracing::error!(
            "{} is damaged at byte {}: {} bytes are passed over, today's totals are not known exactly. help: \
             tollfree total set states them",
            segment::path(&self.folder, self.at.segment).display(),
            self.at.offset,
            to - self.at.offset,
        );
        let organizations = Reader::open(&self.folder)
            .and_then(|reader| reader.organizations())
            .unwrap_or_default();
        let mut days = vec![Day::at_milliseconds(unix_ms()).number()];
        days.extend(self.last_day()?.filter(|last| !days.contains(last)));
        let lost_on = |day| {
            organizations.iter().map(move |organization| Entry::Lost {
                organization: organization.into(),
                group: "".into(),
                day,
                calls: 0,
                tokens: None,
            })
        };
        let lost: Vec<_> = days.into_iter().flat_map(lost_on).collect();
        self.apply_up_to(&lost, to)
    }

    /// Leaves a segment that has no more whole records for the next one, if there is one.
    fn pass_on(&mut self, tail_end: Option<Position>, bytes: u64) -> io::Result<Step> {
        let more = self.go_on(tail_end)?;
        Ok(Step { bytes, more })
    }

    fn go_on(&mut self, tail_end: Option<Position>) -> io::Result<bool> {
        let last = tail_end.map_or(u32::MAX, |end| end.segment);
        if last <= self.at.segment {
            return Ok(false);
        }
        let next = segment::next(&self.folder, self.at.segment, last)?;
        if let Some(segment) = next {
            self.at = Position {
                segment,
                offset: segment::HEADER,
            };
        }
        Ok(next.is_some())
    }

    /// Whether the tables have something that they have not synced to the disk yet.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.is_unsynced
    }

    /// Syncs the tables, so that what was moved needs no tail any more. `truncate`: and makes their own log small
    /// again. `false`: a reader stood in the way.
    pub(crate) fn checkpoint(&mut self, truncate: bool) -> Result<bool, TableError> {
        let synced = self.table.checkpoint(truncate)?;
        if synced {
            self.is_unsynced = false;
        }
        Ok(synced)
    }

    /// Deletes the segments before `number`, which are wholly moved and synced.
    pub(crate) fn retire(&self, number: u32) -> io::Result<()> {
        for old in segment::numbers(&self.folder)? {
            if old < number {
                fs::remove_file(segment::path(&self.folder, old))?;
            }
        }
        Ok(())
    }

    /// A program that takes calls since `began_at` lived at `now`, both in Unix milliseconds. That alone is no reason
    /// to sync.
    pub(crate) fn lives(&mut self, began_at: i64, now: i64) -> Result<(), TableError> {
        self.table.lives(began_at, now)
    }

    /// The last day that was settled on; `None`: there is none.
    pub(crate) fn last_day(&self) -> Result<Option<i32>, TableError> {
        self.table.last_day()
    }

    /// Deletes settlements of days before `before_day`, at most `at_most` rows. Answers how many.
    pub(crate) fn prune(&mut self, before_day: i32, at_most: usize) -> Result<usize, TableError> {
        let pruned = self.table.prune(before_day, at_most)?;
        self.is_unsynced |= pruned > 0;
        Ok(pruned)
    }
}
