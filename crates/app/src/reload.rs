//! Reads the configuration anew on SIGHUP and when its file changes. What fails leaves all as it is; totals
//! always stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use proxy::Proxy;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::{Config, Loaded, Sources, load};
use crate::wiring;

/// An editor writes a file in several steps: they are one change.
const SETTLE: Duration = Duration::from_millis(100);

/// Begins to watch for SIGHUP and for changes of the files that were read.
pub(crate) fn watch(sources: Sources, loaded: &Loaded, proxy: Proxy) {
    // One waiting word is enough: the files are read after it is taken.
    let (changed, mut changes) = mpsc::channel(1);
    let files: Vec<PathBuf> = loaded
        .origin
        .iter()
        .chain(&loaded.config.offer.file)
        .cloned()
        .collect();
    let watcher = watch_files(&files, changed.clone());
    let mut running = loaded.config.clone();
    tokio::spawn(async move {
        // Kept here, or the channel would be closed and each look at it a wake-up.
        let (_watcher, _changed) = (watcher, changed);
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::warn!(%error, "no word of SIGHUP from the system: only changed files reload");
                return;
            }
        };
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = changes.recv() => tokio::time::sleep(SETTLE).await,
            }
            while changes.try_recv().is_ok() {}
            if let Some(config) = reload(&sources, &running, &proxy) {
                running = config;
            }
        }
    });
}

fn watch_files(files: &[PathBuf], changed: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let names: Vec<PathBuf> = files
        .iter()
        .filter_map(|file| std::path::absolute(file).ok())
        .collect();
    let folders: Vec<PathBuf> = names
        .iter()
        .filter_map(|file| file.parent().map(Path::to_owned))
        .collect();
    let watched = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // A folder is watched, since an editor may put a new file in the old one's place.
        let ours = event.is_ok_and(|event| {
            !event.kind.is_access() && event.paths.iter().any(|path| names.contains(path))
        });
        if ours {
            // A full channel holds a word that says the same.
            let _ = changed.try_send(());
        }
    });
    let outcome = watched.and_then(|mut watcher| {
        for folder in &folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    outcome
        .inspect_err(|error| tracing::warn!(%error, "changes of the configuration are not noticed. help: send SIGHUP"))
        .ok()
}

/// Puts the configuration in place as it now stands, and gives it back.
fn reload(sources: &Sources, running: &Config, proxy: &Proxy) -> Option<Config> {
    let loaded = match load(sources) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            tracing::error!(
                "the configuration was not reloaded, the running one stays:\n{mistakes}"
            );
            return None;
        }
    };
    match wiring::parts(&loaded) {
        Ok(parts) => {
            proxy.reload(parts.settings, parts.rules, parts.connector);
            let fixed = needs_restart(running, &loaded.config);
            if fixed.is_empty() {
                tracing::info!("configuration reloaded, totals stay");
            } else {
                tracing::warn!(
                    needs_restart = fixed.join(", "),
                    "configuration reloaded, totals stay; some of it holds only after a restart"
                );
            }
            Some(loaded.config)
        }
        Err(error) => {
            tracing::error!(%error, "the configuration was not reloaded, the running one stays");
            None
        }
    }
}

/// The changed sections that are read once at start.
fn needs_restart(running: &Config, wanted: &Config) -> Vec<&'static str> {
    let changed = [
        ("listen", running.listen != wanted.listen),
        ("[listener]", running.listener != wanted.listener),
        ("[drain]", running.drain != wanted.drain),
        ("[log]", running.log != wanted.log),
    ];
    changed
        .iter()
        .filter(|(_, changed)| *changed)
        .map(|(name, _)| *name)
        .collect()
}
