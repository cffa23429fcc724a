//! What a disk may hold after the power is cut: everything synced before, and of what was written since any
//! part, in any order, the last of it torn.
//!
//! Must not know what the files mean. A file's name is taken to be kept once the file was synced, as the
//! usual journalling file systems do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::chance::Chance;
use crate::trace::{Call, What};

/// A change of one file that is not on the disk for sure yet.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug, Default)]
struct File {
    /// On the disk for sure; nothing: not even its name is.
    sure: Option<Vec<u8>>,
    /// Changes since, in order, each with the place in the record where it ended.
    pending: Vec<(usize, Change)>,
    /// Its length with all changes.
    length: u64,
    /// Removed, which may not be on the disk yet.
    removed: bool,
}

/// A disk that follows a program's calls.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    folder: PathBuf,
    files: BTreeMap<PathBuf, File>,
}

impl Disk {
    /// A disk that holds for sure what this folder holds now.
    pub fn of(folder: &Path) -> Disk {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("a file");
            let length = bytes.len() as u64;
            let file = File {
                sure: Some(bytes),
                length,
                ..File::default()
            };
            files.insert(path, file);
        }
        Disk {
            folder: folder.to_owned(),
            files,
        }
    }

    /// Follows one call.
    pub fn follow(&mut self, call: &Call) {
        match &call.what {
            What::Open(path) if path.starts_with(&self.folder) => {
                let file = self.files.entry(path.clone()).or_default();
                if file.removed {
                    *file = File::default();
                }
            }
            What::Write { path, at, bytes } => {
                if let Some(file) = self.files.get_mut(path) {
                    let at = at.unwrap_or(file.length);
                    file.length = file.length.max(at + bytes.len() as u64);
                    file.pending
                        .push((call.ended, Change::Write(at, bytes.clone())));
                }
            }
            What::Cut(path, length) => {
                if let Some(file) = self.files.get_mut(path) {
                    file.length = *length;
                    file.pending.push((call.ended, Change::Cut(*length)));
                }
            }
            What::Sync(path) => {
                if let Some(file) = self.files.get_mut(path) {
                    file.sync(call.began);
                }
            }
            What::Rename(from, to) => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to.clone(), file);
                }
            }
            What::Remove(path) => {
                if let Some(file) = self.files.get_mut(path) {
                    file.removed = true;
                }
            }
            What::Open(_) | What::Send(..) => {}
        }
    }

    /// Writes into `folder` what the disk may hold if the power is cut now.
    pub fn cut_power(&self, folder: &Path, chance: &mut Chance) {
        for (path, file) in &self.files {
            let name = path.file_name().expect("a name").to_string_lossy();
            // Shared memory between processes: it dies with them and is made anew.
            let is_gone = file.removed && chance.percent(50);
            if name.ends_with("-shm") || is_gone {
                continue;
            }
            if let Some(bytes) = file.survivor(chance) {
                std::fs::write(folder.join(&*name), bytes).expect("a file");
            }
        }
    }
}

impl File {
    /// Everything that was written before the sync began is on the disk.
    fn sync(&mut self, began: usize) {
        let (before, since): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(ended, _)| *ended < began);
        let mut sure = self.sure.take().unwrap_or_default();
        for (_, change) in before {
            change.apply(&mut sure, usize::MAX);
        }
        self.sure = Some(sure);
        self.pending = since;
    }

    fn survivor(&self, chance: &mut Chance) -> Option<Vec<u8>> {
        if self.sure.is_none() && chance.percent(50) {
            return None;
        }
        let mut bytes = self.sure.clone().unwrap_or_default();
        match chance.between(0, 2) {
            // A prefix of what was written, the last write torn.
            0 => {
                let kept = chance.between(0, self.pending.len() as u64);
                for (number, (_, change)) in self.pending.iter().enumerate() {
                    match (number as u64).cmp(&kept) {
                        std::cmp::Ordering::Less => change.apply(&mut bytes, usize::MAX),
                        std::cmp::Ordering::Equal => {
                            let part = chance.between(0, 4096);
                            change.apply(&mut bytes, usize::try_from(part).expect("small"));
                        }
                        std::cmp::Ordering::Greater => {}
                    }
                }
            }
            // Some of it, as the disk put it in order.
            1 => {
                for (_, change) in &self.pending {
                    if chance.percent(50) {
                        change.apply(&mut bytes, usize::MAX);
                    }
                }
            }
            // All of it.
            _ => {
                for (_, change) in &self.pending {
                    change.apply(&mut bytes, usize::MAX);
                }
            }
        }
        Some(bytes)
    }
}

impl Change {
    /// Applies at most so many bytes of it.
    fn apply(&self, file: &mut Vec<u8>, most: usize) {
        match self {
            Change::Write(at, bytes) => {
                let bytes = &bytes[..bytes.len().min(most)];
                let at = usize::try_from(*at).expect("small");
                if file.len() < at + bytes.len() {
                    file.resize(at + bytes.len(), 0);
                }
                file[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Change::Cut(length) => file.resize(usize::try_from(*length).expect("small"), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Disk;
    use crate::chance::Chance;
    use crate::trace::{Call, What};

    fn call(place: usize, what: What) -> Call {
        Call {
            began: place,
            ended: place,
            what,
        }
    }

    fn write(place: usize, path: &Path, text: &str) -> Call {
        let write = What::Write {
            path: path.to_owned(),
            at: None,
            bytes: text.as_bytes().to_vec(),
        };
        call(place, write)
    }

    #[test]
    fn what_was_synced_always_survives_and_the_rest_may() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let path: PathBuf = folder.path().join("tail");
        std::fs::write(&path, "a").expect("a file");
        let mut disk = Disk::of(folder.path());
        disk.follow(&write(1, &path, "b"));
        disk.follow(&call(2, What::Sync(path.clone())));
        disk.follow(&write(3, &path, "c"));
        let mut seen = Vec::new();
        let mut chance = Chance::of(1);
        for _ in 0..50 {
            let after = tempfile::TempDir::new().expect("a temporary folder");
            disk.cut_power(after.path(), &mut chance);
            seen.push(std::fs::read_to_string(after.path().join("tail")).expect("a file"));
        }
        assert!(
            seen.iter().all(|text| text == "ab" || text == "abc"),
            "{seen:?}"
        );
        assert!(seen.contains(&"ab".to_owned()) && seen.contains(&"abc".to_owned()));
    }
}
