//! Opening the tables: at the start, late, and again while the program runs. Must not know what is moved into them,
//! or when.

use std::fs;
use std::io;
use std::path::Path;

use super::run::restore;
use super::{MoveError, Mover, TABLES};
use crate::shared::{Shared, unix_ms};
use crate::table::TableError;

/// Opens the tables; damaged ones are put aside and new ones begun, which `said` tells.
pub(crate) fn open(folder: &Path, mut said: impl FnMut(String)) -> Result<Mover, MoveError> {
    match Mover::open(folder) {
        Err(TableError::Corrupt { source }) => {
            let aside = put_aside(folder)?;
            said(format!(
                "{TABLES} in {} is damaged ({source}); it is kept as {aside} and a new one is begun, so what was \
                 counted before is not known. help: tollfree total set states today's totals",
                folder.display(),
            ));
            Ok(Mover::open(folder)?)
        }
        mover => Ok(mover?),
    }
}

/// Renames damaged tables, and says how they are called now.
fn put_aside(folder: &Path) -> io::Result<String> {
    let aside = format!("{TABLES}.corrupt-{}", unix_ms() / 1000);
    // The log first: beside new tables it would be taken for theirs.
    for suffix in ["-wal", "-shm", ""] {
        let from = folder.join(format!("{TABLES}{suffix}"));
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
}

impl Opening {
    /// `taken_up`: the start did it.
    pub(super) fn new(taken_up: bool) -> Opening {
        Opening { taken_up }
    }

    /// Opens the tables while the program is running already: it goes on from what it knows, not from them. Only the
    /// first time what is open in them becomes slack.
    pub(super) fn open(&mut self, shared: &Shared) -> Result<Mover, MoveError> {
        let mut is_new = false;
        let opened = open(&shared.folder, |said| {
            is_new = true;
            tracing::error!("{said}");
        });
        self.taken_up &= !is_new;
        let mut mover = opened?;
        if !self.taken_up {
            let began = shared.state().tail_began;
            restore(shared, &mut mover, began, unix_ms())?;
            self.taken_up = true;
        }
        Ok(mover)
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
