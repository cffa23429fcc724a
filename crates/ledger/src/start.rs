//! The start of a ledger: what is there is taken up, what is not there is said and tried again by the threads.
//! Must not know records or rows.

use std::sync::Arc;
use std::thread;

use crate::append::sync;
use crate::secret::Secret;
use crate::shared::{Half, Shared, lock};
use crate::{LedgerSettings, Lock, Restored, mover, secret};

/// What a start has.
pub(crate) struct Started {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key_secret: [u8; 32],
    pub(crate) restored: Restored,
    pub(crate) troubles: Vec<String>,
}

/// Starts the ledger, with whatever can be had.
pub(crate) fn start(settings: LedgerSettings, lock_held: Option<Lock>, now_ms: i64) -> Started {
    let LedgerSettings {
        folder,
        durability,
        keep_days,
    } = settings;
    let shared = Arc::new(Shared::new(folder, durability, keep_days));
    let mut troubles = Vec::new();
    let ours = lock_held.is_some();
    lock(&shared.writer).lock = lock_held;
    shared.state().ours = ours;

    let secret = secret::of(&shared.folder, ours, secret::random, &mut troubles);
    let mut mover = None;
    if ours {
        match mover::open(&shared.folder, |said| troubles.push(said)) {
            Ok(opened) => {
                shared.state().moved_to = Some(opened.at());
                shared.state().unmoved = opened.left().unwrap_or(0);
                mover = Some(opened);
            }
            Err(error) => shared.trouble(Half::Table, Some(&mover::trouble(&shared, &error))),
        }
    }
    sync::begin(&shared, &secret);
    let taken_up = mover
        .map(|mover| mover::take_up(&shared, mover, now_ms, |said| troubles.push(said)))
        .transpose();
    let (mover, restored) = match taken_up {
        Ok(Some((mover, restored))) => (Some(mover), restored),
        Ok(None) => (None, Restored::empty(now_ms)),
        Err(error) => {
            // The thread begins again, with tables opened anew.
            shared.trouble(Half::Table, Some(&mover::trouble(&shared, &error)));
            (None, Restored::empty(now_ms))
        }
    };
    troubles.extend(shared.started());
    spawn(&shared, mover, secret, &mut troubles);
    Started {
        shared,
        key_secret: secret.bytes,
        restored,
        troubles,
    }
}

fn spawn(
    shared: &Arc<Shared>,
    mover: Option<mover::Mover>,
    secret: Secret,
    troubles: &mut Vec<String>,
) {
    let syncing = Arc::clone(shared);
    let moving = Arc::clone(shared);
    let threads = [
        thread::Builder::new()
            .name("ledger-sync".into())
            .spawn(move || sync::run(&syncing, &secret)),
        thread::Builder::new()
            .name("ledger-mover".into())
            .spawn(move || mover::run(&moving, mover)),
    ];
    for error in threads.into_iter().filter_map(Result::err) {
        troubles.push(format!(
            "a thread of the ledger cannot be started: {error}. help: allow this user more processes"
        ));
    }
}
