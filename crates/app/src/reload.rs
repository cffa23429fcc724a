//! Reads the configuration anew on SIGHUP and when one of its files changes: its own, and those it names that can be read
//! again (model list, roots of upstream, certificate and key, secrets). What fails leaves all as it is; totals always
//! stay. Once a day it also says that the model list is too old, and lets the proxy forget old days. It must not
//! know any single key.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meter::{Day, Offer};
use net::{Identity, Renewal};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use proxy::Proxy;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::config::{Config, Listener, Loaded, Sources, load, offer_is_old};
use crate::wiring::{self, Parts};

/// An editor writes a file in several steps: they are one change.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two looks at what only time changes.
const DAILY: Duration = Duration::from_hours(24);

/// What a reload puts something new in place of.
pub(crate) struct InForce {
    /// The proxy: settings, rules, and how upstream is reached.
    pub(crate) proxy: Proxy,
    /// What the listener shows its clients, where it speaks TLS.
    pub(crate) tls: Option<Renewal>,
}

/// A reload that changed nothing.
struct Refused {
    /// Why, in one line.
    why: String,
    /// The files that it looked at: a change of them may mend it.
    files: Vec<PathBuf>,
}

/// Begins to watch for SIGHUP and for changes of the files that were read; `reloaded` is told of each new
/// configuration, and what is to be said about the last one that was read.
///
/// # Errors
/// When the system refuses to tell of SIGHUP, which would then end the program.
pub(crate) fn watch(
    sources: Sources,
    loaded: Loaded,
    in_force: InForce,
    reloaded: impl Fn(&Loaded, Option<&str>) + Send + 'static,
) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut daily = tokio::time::interval(DAILY);
    // One waiting word is enough: the files are read after it is taken.
    let (word, mut words) = mpsc::channel(1);
    // What is read once at start is this one's until the end.
    let started = loaded.config.clone();
    let mut running = loaded;
    let mut notice: Option<String> = None;
    let mut known = absolute(&running.files);
    let mut watcher = watch_files(&known, word.clone());
    let sources = Arc::new(sources);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = words.recv() => tokio::time::sleep(SETTLE).await,
                _ = daily.tick() => {
                    in_force.proxy.forget_old_days();
                    if let Some(warning) = offer_is_old(&running.offer, today()) {
                        tracing::warn!("{warning}");
                    }
                    reloaded(&running, notice.as_deref());
                    continue;
                }
            }
            while words.try_recv().is_ok() {}
            let mut looked_at = Vec::new();
            match reload(&sources, &started, &running.offer, &in_force).await {
                Ok((loaded, fixed)) => {
                    running = loaded;
                    notice = fixed;
                }
                Err(refused) => {
                    notice = Some(refused.why);
                    looked_at = refused.files;
                }
            }
            reloaded(&running, notice.as_deref());
            looked_at.extend_from_slice(&running.files);
            let named = absolute(&looked_at);
            if named != known {
                // The old one ends first, or one change would be told twice.
                drop(watcher);
                watcher = watch_files(&named, word.clone());
                known = named;
                // What changed after it was read and before it was watched is read now.
                let _ = word.try_send(());
            }
        }
    });
    Ok(())
}

fn today() -> Day {
    Day::at(jiff::Timestamp::now().as_second())
}

/// The files by their whole paths, each once.
fn absolute(files: &[PathBuf]) -> Vec<PathBuf> {
    let whole = files
        .iter()
        .filter_map(|file| std::path::absolute(file).ok());
    let whole: BTreeSet<PathBuf> = whole.collect();
    whole.into_iter().collect()
}

fn watch_files(files: &[PathBuf], word: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let names = files.to_vec();
    let watched = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = event.is_ok_and(|event| {
            !event.kind.is_access() && event.paths.iter().any(|path| concerns(path, &names))
        });
        if ours {
            // A full channel holds a word that says the same.
            let _ = word.try_send(());
        }
    });
    let outcome = watched.and_then(|mut watcher| {
        // A folder is watched, since an editor may put a new file in the old one's place.
        let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
        // What is named in a folder that is not there was refused, and keeps no other file from being watched.
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    outcome
        .inspect_err(|error| tracing::warn!(%error, "changes of the configuration are not noticed. help: send SIGHUP"))
        .ok()
}

/// Whether a change at this path changes one of the files.
fn concerns(path: &Path, files: &[PathBuf]) -> bool {
    // Kubernetes changes all files of a mounted ConfigMap at once, by the link they all go through.
    files.iter().any(|file| {
        path == file || Some(path) == file.parent().map(|f| f.join("..data")).as_deref()
    })
}

/// Puts the configuration in place as it now stands, and gives it back with what of it waits for a restart; or says why
/// the running one stays.
async fn reload(
    sources: &Arc<Sources>,
    started: &Config,
    offer: &Offer,
    in_force: &InForce,
) -> Result<(Loaded, Option<String>), Refused> {
    let sources = Arc::clone(sources);
    // Files take as long as their disk does, and long ones as long as they are: no call waits for that.
    let read = spawn_blocking(move || anew(&sources)).await;
    // Without a value it panicked, which the log has.
    let (loaded, parts, identity) = read.unwrap_or_else(|_| {
        Err(Refused {
            why: stays("it could not be read"),
            files: Vec::new(),
        })
    })?;
    if group_names(&loaded.offer) != group_names(offer) {
        let why = other_groups(&group_names(offer), &group_names(&loaded.offer));
        tracing::error!("{why}");
        return Err(Refused {
            why,
            files: loaded.files,
        });
    }
    let Parts {
        settings,
        rules,
        connector,
    } = parts;
    in_force.proxy.reload(settings, rules, connector);
    if let Some((tls, identity)) = in_force.tls.as_ref().zip(identity) {
        tls.show(identity);
    }
    let fixed = needs_restart(started, &loaded.config).join(", ");
    if fixed.is_empty() {
        tracing::info!("configuration reloaded, totals stay");
        return Ok((loaded, None));
    }
    tracing::warn!("configuration reloaded, totals stay; these need a restart: {fixed}");
    let notice =
        format!("the configuration says another {fixed} than is in force. help: restart tollfree");
    Ok((loaded, Some(notice)))
}

/// Reads the configuration and makes its parts; or says why the running one stays.
fn anew(sources: &Sources) -> Result<(Loaded, Parts, Option<Identity>), Refused> {
    let loaded = load(sources).map_err(|mistakes| {
        tracing::error!(
            "the configuration was not reloaded, the running one stays:\n{}",
            mistakes.of_reload()
        );
        Refused {
            why: stays(&mistakes.in_brief()),
            files: mistakes.files,
        }
    })?;
    let unusable = |error: &dyn std::error::Error| {
        tracing::error!(%error, "the configuration was not reloaded, the running one stays");
        Refused {
            why: stays(&error.to_string()),
            files: loaded.files.clone(),
        }
    };
    let parts = wiring::parts(&loaded).map_err(|error| unusable(&error))?;
    let identity = wiring::identity(&loaded.config).map(|files| files.read());
    let identity = identity.transpose().map_err(|error| unusable(&error))?;
    Ok((loaded, parts, identity))
}

fn group_names(offer: &Offer) -> Vec<&str> {
    offer
        .groups()
        .map(|(_, group)| group.name.as_ref())
        .collect()
}

/// Totals in memory are kept by a group's place in the list: under another list they would be another group's.
fn other_groups(before: &[&str], now: &[&str]) -> String {
    format!(
        "the configuration was not reloaded, the running one stays: the model list had the groups {}, now it has {}. \
         help: restart tollfree, which keeps the totals of each",
        before.join(", "),
        now.join(", ")
    )
}

fn stays(why: &str) -> String {
    format!(
        "the configuration was not reloaded, the running one stays: {why}. help: tollfree check shows each mistake"
    )
}

/// The changed sections that are read once at start.
fn needs_restart(started: &Config, wanted: &Config) -> Vec<&'static str> {
    let changed = [
        ("listen", started.listen != wanted.listen),
        ("data_dir", started.data_dir != wanted.data_dir),
        ("[admin]", started.admin != wanted.admin),
        (
            "[listener]",
            !listens_alike(&started.listener, &wanted.listener),
        ),
        ("[ledger]", started.ledger != wanted.ledger),
        ("[share]", started.share != wanted.share),
        ("[drain]", started.drain != wanted.drain),
        ("[log]", started.log != wanted.log),
    ];
    changed
        .iter()
        .filter(|(_, changed)| *changed)
        .map(|(name, _)| *name)
        .collect()
}

/// Whether the listener is the same, but for the files of its certificate and key, which are read again.
fn listens_alike(started: &Listener, wanted: &Listener) -> bool {
    let mut wanted = wanted.clone();
    if started.tls.is_some() && wanted.tls.is_some() {
        wanted.tls.clone_from(&started.tls);
    }
    *started == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DataDir, TlsFiles};

    #[test]
    fn what_is_read_once_needs_a_restart_and_nothing_else() {
        let running = Config::default();
        assert!(needs_restart(&running, &running).is_empty());
        let mut wanted = running.clone();
        wanted.streams.ask_for_usage = false;
        wanted.terms.enrolled = Some(true);
        wanted.upstream.most_idle = 1;
        wanted.limits.lookup_waits_total = 1;
        assert!(needs_restart(&running, &wanted).is_empty());
        wanted.listen.set_port(1);
        wanted.listener.most_connections = 1;
        wanted.data_dir = DataDir::Off;
        wanted.ledger.keep_days = 1;
        wanted.share.prefix = "other:".to_owned();
        wanted.drain.grace = Duration::ZERO;
        wanted.log.filter = "debug".to_owned();
        assert_eq!(
            needs_restart(&running, &wanted),
            [
                "listen",
                "data_dir",
                "[listener]",
                "[ledger]",
                "[share]",
                "[drain]",
                "[log]"
            ]
        );
    }

    #[test]
    fn another_certificate_needs_no_restart_and_a_first_or_none_does() {
        let plain = Config::default();
        let with = |name: &str| {
            let mut config = plain.clone();
            config.listener.tls = Some(TlsFiles {
                certificate: name.into(),
                key: "key.pem".into(),
            });
            config
        };
        assert!(needs_restart(&with("old.pem"), &with("new.pem")).is_empty());
        assert_eq!(needs_restart(&plain, &with("new.pem")), ["[listener]"]);
        assert_eq!(needs_restart(&with("old.pem"), &plain), ["[listener]"]);
    }

    #[test]
    fn a_change_concerns_the_files_and_the_link_of_a_config_map() {
        let files = [PathBuf::from("/etc/tollfree/tollfree.toml")];
        for path in ["/etc/tollfree/tollfree.toml", "/etc/tollfree/..data"] {
            assert!(concerns(Path::new(path), &files), "{path}");
        }
        for path in ["/etc/tollfree/log", "/etc/tollfree", "/etc/..data"] {
            assert!(!concerns(Path::new(path), &files), "{path}");
        }
    }
}
