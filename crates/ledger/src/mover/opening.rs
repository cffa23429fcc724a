//! Opening the tables: at the start, late, and again while the program runs. Must not know what is moved into them,
//! or when.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::run::restore;
use super::{MoveError, Mover};
use crate::shared::{Shared, unix_ms};
use crate::table::TableError;
use crate::{DATABASE, Restored};

/// Damage that is met twice within this time puts the tables aside, which happens at most once in it: where new tables
/// break as well, the cause is not in the file.
const AGAIN: Duration = Duration::from_hours(24);

/// Opens the tables; damaged ones are put aside and new ones begun, which `said` tells.
pub(crate) fn open(folder: &Path, said: impl FnMut(String)) -> Result<Mover, MoveError> {
    match Mover::open(folder) {
        Err(TableError::Corrupt { source }) => begin_anew(folder, &source.to_string(), said),
        mover => Ok(mover?),
    }
}

/// Moves what was left before this run began. Tables that prove damaged only now, such as large ones, which are not
/// checked when they are opened, are put aside like others.
pub(crate) fn take_up(
    shared: &Shared,
    mut mover: Mover,
    now_ms: i64,
    said: impl FnMut(String),
) -> Result<(Mover, Restored), MoveError> {
    let began = shared.state().tail_began;
    match restore(shared, &mut mover, began, now_ms) {
        Ok(restored) => Ok((mover, restored)),
        Err(MoveError::Table(TableError::Corrupt { source })) => {
            drop(mover);
            let mut mover = begin_anew(&shared.folder, &source.to_string(), said)?;
            shared.state().unmoved = mover.left().unwrap_or(0);
            let restored = restore(shared, &mut mover, began, now_ms)?;
            Ok((mover, restored))
        }
        Err(error) => Err(error),
    }
}

/// Puts damaged tables aside, which nobody here has open, and begins new ones.
fn begin_anew(
    folder: &Path,
    damage: &str,
    mut said: impl FnMut(String),
) -> Result<Mover, MoveError> {
    let aside = put_aside(folder)?;
    said(format!(
        "{DATABASE} in {} is damaged ({damage}); it is kept as {aside} and a new one is begun, so what was counted \
         before is not known. help: tollfree total set states today's totals",
        folder.display(),
    ));
    Ok(Mover::open(folder)?)
}

/// Renames damaged tables, and says how they are called now.
fn put_aside(folder: &Path) -> io::Result<String> {
    let aside = format!("{DATABASE}.corrupt-{}", unix_ms() / 1000);
    // The log first: beside new tables it would be taken for theirs.
    for suffix in ["-wal", "-shm", ""] {
        let from = folder.join(format!("{DATABASE}{suffix}"));
        match fs::rename(from, folder.join(format!("{aside}{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// What the mover thread remembers between two openings.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// This program has taken these tables up: what is open in them is under way, not left by one that died.
    taken_up: bool,
    /// When damage was last met.
    met: Option<Instant>,
    /// Opening them anew did not help: for this they are to be put aside.
    damage: Option<String>,
    /// When tables were last put aside.
    begun_anew: Option<Instant>,
}

impl Opening {
    /// `taken_up`: the start did it.
    pub(super) fn new(taken_up: bool) -> Opening {
        Opening {
            taken_up,
            ..Opening::default()
        }
    }

    /// Opens the tables while the program is running already: it goes on from what it knows, not from them. Only the
    /// first time what is open in them becomes slack.
    pub(super) fn open(&mut self, shared: &Shared) -> Result<Mover, MoveError> {
        let mut is_new = false;
        let said = |said: String| {
            is_new = true;
            tracing::error!("{said}");
        };
        let opened = match &self.damage {
            None => open(&shared.folder, said),
            Some(damage) => begin_anew(&shared.folder, damage, said),
        };
        if is_new {
            *self = Opening {
                begun_anew: Some(Instant::now()),
                ..Opening::default()
            };
        }
        let mut mover = opened?;
        if is_new {
            shared.state().unmoved = mover.left().unwrap_or(0);
        }
        if !self.taken_up {
            let began = shared.state().tail_began;
            restore(shared, &mut mover, began, unix_ms())?;
            self.taken_up = true;
        }
        Ok(mover)
    }

    /// Whether this is damage: then the tables are to be opened anew. Where that did not help the last time, they are
    /// put aside with it.
    pub(super) fn meets_damage(&mut self, error: &MoveError) -> bool {
        let MoveError::Table(TableError::Corrupt { source }) = error else {
            return false;
        };
        let is_recent = |at: Instant| at.elapsed() < AGAIN;
        let is_first = !self.met.replace(Instant::now()).is_some_and(is_recent);
        if !is_first && !self.begun_anew.is_some_and(is_recent) {
            self.damage = Some(source.to_string());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{DAY, open_calls, settled};
    use crate::tail::{Tail, record};
    use crate::{Durability, Entry, Reader};

    fn records(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in entries {
            assert!(record::append(entry, &mut bytes));
        }
        bytes
    }

    fn asides(folder: &Path) -> usize {
        let files = fs::read_dir(folder).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(".corrupt-")).count()
    }

    #[test]
    fn damage_met_again_puts_the_tables_aside_but_not_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::new(folder.path().to_owned(), Durability::Crash, 0);
        let mut opening = Opening::default();
        drop(opening.open(&shared).unwrap());
        assert!(!opening.meets_damage(&io::Error::other("no room").into()));
        for expected in [0, 1, 1, 1, 1] {
            let source = rusqlite::Error::QueryReturnedNoRows;
            assert!(opening.meets_damage(&TableError::Corrupt { source }.into()));
            drop(opening.open(&shared).unwrap());
            assert_eq!(asides(folder.path()), expected);
        }
    }

    #[test]
    fn what_is_under_way_is_no_slack_because_the_tables_are_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::new(folder.path().to_owned(), Durability::Crash, 0);
        let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
        shared.state().tail_began = Some(tail.position());
        let mut opening = Opening::default();
        let mut mover = opening.open(&shared).unwrap();
        let entries = [settled("a"), open_calls(1, Some(500))];
        assert!(tail.append(&records(&entries)).failure.is_none());
        mover.step(Some(tail.position())).unwrap();
        drop(mover);

        let reader = Reader::open(folder.path()).unwrap();
        let total = || {
            let restored = reader.restored(i64::from(DAY) * 86_400_000).unwrap();
            let small = restored.totals.iter().find(|total| total.group == "small");
            (restored.was_clean, small.unwrap().slack.clone())
        };
        drop(opening.open(&shared).unwrap());
        assert_eq!(total(), (false, vec![]));
        // Another program takes up what this one left.
        drop(Opening::default().open(&shared).unwrap());
        let slack = vec![("unclean-stop".to_owned(), Some(500))];
        assert_eq!(total(), (true, slack));
    }
}
