//! The lock that says whose the data directory is. Must not know what lies in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use thiserror::Error;

/// The lock file's name in the data directory.
const NAME: &str = "ledger.lock";
/// How often a lock that somebody else holds is tried again.
const POLL: Duration = Duration::from_millis(50);
/// The most that is read of a lock file, in bytes.
const MOST_READ: u64 = 256;

/// The data directory is ours, until this is dropped or the program ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    /// Held open: the lock lasts as long as the file does.
    _file: File,
    folder: PathBuf,
}

/// Why the data directory is not ours.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another program has it.
    #[error("the ledger in {} is in use{}", .folder.display(), said(*.pid, .since.as_deref()))]
    InUse {
        /// The data directory.
        folder: PathBuf,
        /// The other program's process id, where its lock file says it.
        pid: Option<u32>,
        /// Since when, RFC 3339, where its lock file says it.
        since: Option<String>,
    },
    /// The folder cannot be made, or the lock file cannot be written. The ledger can start degraded all the same.
    #[error("the data directory {} cannot be used", .folder.display())]
    Unusable {
        /// The data directory.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn said(pid: Option<u32>, since: Option<&str>) -> String {
    let mut said = String::new();
    if let Some(pid) = pid {
        said.push_str(" by process ");
        said.push_str(&pid.to_string());
    }
    if let Some(since) = since {
        said.push_str(" since ");
        said.push_str(since);
    }
    said
}

impl Lock {
    /// Takes the lock on `folder`, which is made (0700) if it is missing. While another program holds it, tries
    /// again for at most `wait`.
    ///
    /// # Errors
    ///
    /// [`LockError::InUse`] when another program still holds it after `wait`; [`LockError::Unusable`] at once when
    /// the folder cannot be made or written.
    pub fn take(folder: &Path, wait: Duration) -> Result<Lock, LockError> {
        let unusable = |source| LockError::Unusable {
            folder: folder.to_owned(),
            source,
        };
        let mut file = open(folder).map_err(unusable)?;
        let until = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(unusable(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (pid, since) = holder(&mut file);
                return Err(LockError::InUse {
                    folder: folder.to_owned(),
                    pid,
                    since,
                });
            }
            thread::sleep(POLL.min(left));
        }
        // Who holds it is a courtesy to whoever finds it taken: on a full disk the lock holds without it.
        drop(sign(&mut file));
        Ok(Lock {
            _file: file,
            folder: folder.to_owned(),
        })
    }

    /// The data directory that is ours.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Makes the folder if it is missing and opens the lock file, leaving what it says.
fn open(folder: &Path) -> io::Result<File> {
    if !folder.is_dir() {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    // It is emptied before it is signed: behind a link that would be somebody else's file.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(folder.join(NAME))?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other(format!("{NAME} is no file")))
    }
}

/// Writes who holds the lock, and since when.
fn sign(file: &mut File) -> io::Result<()> {
    let now = jiff::Timestamp::now();
    let now = now.round(jiff::Unit::Second).unwrap_or(now);
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "pid {} since {now}", process::id())
}

/// Who holds the lock by its file, as far as that can be read.
fn holder(file: &mut File) -> (Option<u32>, Option<String>) {
    let mut text = String::new();
    if file.seek(SeekFrom::Start(0)).is_err()
        || file.take(MOST_READ).read_to_string(&mut text).is_err()
    {
        return (None, None);
    }
    let mut words = text.split_whitespace();
    let mut after = |name: &str| {
        words
            .next()
            .filter(|word| *word == name)
            .and_then(|_| words.next())
            .map(str::to_owned)
    };
    let pid = after("pid").and_then(|pid| pid.parse().ok());
    (pid, after("since"))
}
