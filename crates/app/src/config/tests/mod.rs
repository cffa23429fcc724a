//! The configuration as a user meets it.

mod log_filter;
mod mistakes;
mod offer;
mod shipped;
mod sources;

use std::path::PathBuf;

use super::{ALL_KEYS, Flags, Loaded, Sources, load};

/// A file in a folder of its own, and the variables beside it.
pub(super) struct Setting {
    folder: tempfile::TempDir,
    pub(super) sources: Sources,
}

impl Setting {
    pub(super) fn of(text: &str) -> Self {
        Self::bytes(text.as_bytes(), &[])
    }

    pub(super) fn with(text: &str, variables: &[(&str, &str)]) -> Self {
        Self::bytes(text.as_bytes(), variables)
    }

    pub(super) fn bytes(file: &[u8], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollfree.toml");
        std::fs::write(&path, file).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            sources: Sources {
                flags: Flags::default(),
                environment: variables.collect(),
                default_file: path,
            },
            folder,
        }
    }

    pub(super) fn beside(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn loaded(&self) -> Loaded {
        load(&self.sources).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// The mistakes, with the folder left out.
    pub(super) fn mistakes(&self) -> String {
        let folder = format!("{}/", self.folder.path().display());
        load(&self.sources)
            .unwrap_err()
            .to_string()
            .replace(&folder, "")
    }
}

/// The shipped file with every key in force.
pub(super) fn uncommented() -> String {
    let lines = ALL_KEYS.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}
