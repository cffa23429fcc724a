//! The secret that hashes of API keys are keyed with: 32 random bytes in a file of their own, so that the ledger
//! alone tells nothing of a key. Must not know keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file's name in the data directory.
const NAME: &str = "key.secret";
/// While it is being written.
const NAME_BEFORE: &str = "key.secret.new";

/// A secret as a start has it.
#[derive(Clone, Copy)]
pub(crate) struct Secret {
    pub(crate) bytes: [u8; 32],
    /// Later starts may know keys by it: never one that everybody could guess.
    pub(crate) is_lasting: bool,
}

/// The secret of `folder`, made by `random` if it has none; else one for this run.
pub(crate) fn of(
    folder: &Path,
    ours: bool,
    random: impl FnOnce() -> Result<[u8; 32], getrandom::Error>,
    troubles: &mut Vec<String>,
) -> Secret {
    let kept = if ours { read(folder) } else { Ok(None) };
    match kept {
        Ok(Some(bytes)) => {
            return Secret {
                bytes,
                is_lasting: true,
            };
        }
        Ok(None) => {}
        Err(error) => troubles.push(format!(
            "key.secret in {} cannot be used: {error}. keys seen before are strangers now. help: put the file back, \
             or delete it for a new one",
            folder.display()
        )),
    }
    match random() {
        Ok(bytes) => Secret {
            bytes,
            is_lasting: true,
        },
        Err(error) => {
            troubles.push(format!(
                "this system gives no random numbers: {error}. keys are hashed without a secret, and are strangers \
                 after a restart. help: see that getrandom works here"
            ));
            Secret {
                bytes: [0; 32],
                is_lasting: false,
            }
        }
    }
}

/// New random bytes.
pub(crate) fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// The bytes in `folder`, if there are any.
fn read(folder: &Path) -> io::Result<Option<[u8; 32]>> {
    let path = folder.join(NAME);
    // A pipe would keep its reader waiting, and the start with it.
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("it is no file"));
    }
    match fs::read(path) {
        Ok(bytes) => match bytes.try_into() {
            Ok(secret) => Ok(Some(secret)),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "key.secret is not 32 bytes long",
            )),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a lasting `secret` into `folder`, whole or not at all, unless there is one already.
pub(crate) fn keep(folder: &Path, secret: &Secret) -> io::Result<()> {
    if !secret.is_lasting || folder.join(NAME).exists() {
        return Ok(());
    }
    let before = folder.join(NAME_BEFORE);
    // What an earlier attempt left, or whatever else lies there: a link would lead elsewhere.
    match fs::remove_file(&before) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&before)?;
    file.write_all(&secret.bytes)?;
    file.sync_all()?;
    fs::rename(&before, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_is_never_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut troubles = Vec::new();
        let none = || Err(getrandom::Error::UNSUPPORTED);
        let secret = of(folder.path(), true, none, &mut troubles);
        assert_eq!(troubles.len(), 1, "{troubles:?}");
        keep(folder.path(), &secret).unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        // The next start has random numbers again, and its secret stays.
        let secret = of(folder.path(), true, random, &mut troubles);
        keep(folder.path(), &secret).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(secret.bytes));
        assert_ne!(secret.bytes, [0; 32]);
        assert_eq!(troubles.len(), 1, "{troubles:?}");
    }
}
