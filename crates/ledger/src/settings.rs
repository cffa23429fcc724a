//! What the ledger is told about itself. Must not know configuration files or variables.

use std::path::PathBuf;

/// Where the ledger lies and how it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The data directory; made if it is missing (0700, its files 0600).
    pub folder: PathBuf,
    /// What a committed entry survives.
    pub durability: Durability,
    /// Settlements of days longer ago than this are deleted, in small steps. 0: none ever is.
    pub keep_days: u32,
}

/// What a committed entry survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The program's sudden death (SIGKILL, a panic, out of memory): the bytes are with the kernel.
    #[default]
    Crash,
    /// The machine's sudden death too: the bytes were synced to the disk first, in groups.
    PowerLoss,
}
