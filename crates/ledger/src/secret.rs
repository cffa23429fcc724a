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

/// A new secret.
pub(crate) fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// The secret in `folder`, if there is one.
pub(crate) fn read(folder: &Path) -> io::Result<Option<[u8; 32]>> {
    match fs::read(folder.join(NAME)) {
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

/// Puts `secret` into `folder`, whole or not at all, unless there is one already.
pub(crate) fn keep(folder: &Path, secret: &[u8; 32]) -> io::Result<()> {
    if folder.join(NAME).exists() {
        return Ok(());
    }
    let before = folder.join(NAME_BEFORE);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&before)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&before, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}
