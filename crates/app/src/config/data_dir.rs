//! The data directory: who names it, and where it is if nobody does.
//!
//! It must not know what is kept there, nor touch the folder.

use std::path::{Path, PathBuf};

use super::Flags;
use super::environment::Environment;
use super::form;
use super::read::{Reader, beside};

/// The name of our folder among those of other programs.
const NAME: &str = "tollfree";
/// Where programs keep a user's data, from the home directory.
const OF_HOME: &str = if cfg!(target_os = "macos") {
    "Library/Application Support"
} else {
    ".local/share"
};

/// Where the ledger is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum DataDir {
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere, as it was asked for: totals live in memory.
    Off,
    /// Nowhere, since nobody named a folder and the environment has no home for it: totals live in memory.
    #[default]
    Unknown,
}

impl DataDir {
    /// The folder, where there is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            DataDir::Folder(folder) => Some(folder),
            DataDir::Off | DataDir::Unknown => None,
        }
    }

    /// What is odd about it, as one line.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        (*self == DataDir::Unknown).then_some(
            "no ledger is kept, totals live in memory: HOME is not set, so no folder is known. help: set \
             TOLLFREE_DATA_DIR to a folder, or to off",
        )
    }
}

/// The data directory that was set, else the usual one.
pub(crate) fn data_dir(
    reader: &mut Reader<'_>,
    environment: &Environment,
    flags: &Flags,
    file: Option<&Path>,
) -> DataDir {
    let said = reader.value("data_dir", form::data_dir);
    let from_file = !reader.is_from_variable("data_dir");
    let home = environment.get("HOME").map(Path::new);
    let at_home = |dir: DataDir| match dir {
        DataDir::Folder(folder) => DataDir::Folder(expanded(folder, home)),
        other => other,
    };
    if let Some(flag) = &flags.data_dir {
        return at_home(flag.clone());
    }
    match said.map(at_home) {
        Some(DataDir::Folder(folder)) if from_file => DataDir::Folder(beside(file, folder)),
        Some(said) => said,
        None => usual(environment, home).map_or(DataDir::Unknown, DataDir::Folder),
    }
}

/// The folder with a leading `~/` replaced: a shell does not do it in a file, nor inside quotes.
fn expanded(folder: PathBuf, home: Option<&Path>) -> PathBuf {
    match (folder.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder,
    }
}

/// What systemd made for the service, else where a user's data goes.
fn usual(environment: &Environment, home: Option<&Path>) -> Option<PathBuf> {
    let absolute = |path: &Path| path.is_absolute().then(|| path.to_owned());
    let of_service = environment
        .get("STATE_DIRECTORY")
        // systemd separates several by colons; the unit asks for one.
        .and_then(|list| std::env::split_paths(list).next())
        .and_then(|folder| absolute(&folder));
    let of_user = || {
        let named = environment.get("XDG_DATA_HOME").map(Path::new);
        let data = named
            .and_then(absolute)
            .or_else(|| Some(home?.join(OF_HOME)));
        data.map(|data| data.join(NAME))
    };
    of_service.or_else(of_user)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{DataDir, OF_HOME};
    use crate::config::tests::Setting;

    fn folder(path: impl Into<PathBuf>) -> DataDir {
        DataDir::Folder(path.into())
    }

    #[test]
    fn the_usual_folder_is_the_services_else_the_users() {
        let usual =
            |variables: &[(&str, &str)]| Setting::with("", variables).loaded().config.data_dir;
        let (state, xdg, home) = (
            ("STATE_DIRECTORY", "/var/lib/tollfree:/var/lib/other"),
            ("XDG_DATA_HOME", "/data"),
            ("HOME", "/home/ada"),
        );
        assert_eq!(usual(&[state, xdg, home]), folder("/var/lib/tollfree"));
        assert_eq!(usual(&[xdg, home]), folder("/data/tollfree"));
        let of_home = folder(format!("/home/ada/{OF_HOME}/tollfree"));
        assert_eq!(usual(&[home]), of_home);
        // The XDG specification: a relative path is to be passed over.
        assert_eq!(usual(&[("XDG_DATA_HOME", "data"), home]), of_home);
        assert_eq!(usual(&[]), DataDir::Unknown);
    }

    #[test]
    fn a_flag_wins_over_the_variable_over_the_file() {
        let text = "data_dir = \"kept\"";
        let file = Setting::of(text);
        let beside = file.sources.default_file.with_file_name("kept");
        assert_eq!(file.loaded().config.data_dir, folder(beside));
        let variables = [("TOLLFREE_DATA_DIR", "off"), ("HOME", "/home/ada")];
        let mut setting = Setting::with(text, &variables);
        assert_eq!(setting.loaded().config.data_dir, DataDir::Off);
        setting.sources.flags.data_dir = Some(folder("~/spent"));
        let expanded = folder("/home/ada/spent");
        assert_eq!(setting.loaded().config.data_dir, expanded);
    }

    #[test]
    fn a_tilde_of_the_file_is_the_home_and_not_a_folder_of_that_name() {
        let setting = Setting::with("data_dir = \"~/spent\"", &[("HOME", "/home/ada")]);
        assert_eq!(setting.loaded().config.data_dir, folder("/home/ada/spent"));
    }

    #[test]
    fn without_a_home_the_start_goes_on_and_says_so_unless_that_was_wanted() {
        let warnings = Setting::of("").loaded().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("no ledger is kept"), "{warnings:?}");
        let wanted = Setting::of("data_dir = \"off\"").loaded();
        assert!(wanted.warnings.is_empty());
        assert_eq!(wanted.config.data_dir.folder(), None);
    }
}
