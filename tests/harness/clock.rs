//! A machine's clock that is wrong, or jumps: libfaketime for the program under test, and the same or
//! another time for the simulated `OpenAI`.
//!
//! It must not know what a day is good for. What waits for a span of time is left alone: a machine whose
//! clock is set anew sleeps no longer for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::proxy::ProxySetup;
use crate::skip::skipped;

/// How often a shared clock is set.
const TICK: Duration = Duration::from_micros(500);
/// Where Debian and others keep the library.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The library that fakes the time; nothing where it is not installed.
pub fn library() -> Option<&'static Path> {
    PLACES.iter().map(Path::new).find(|place| place.exists())
}

/// The same; where it is missing, says so, and what is not tried without it.
pub fn library_or_skip(not_tried: &str) -> Option<&'static Path> {
    let library = library();
    if library.is_none() {
        skipped(&format!(
            "libfaketime is not installed (Debian: apt-get install faketime): {not_tried}"
        ));
    }
    library
}

/// The machine's own time in Unix milliseconds.
pub fn real() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_millis()).expect("a date")
}

/// The clock of a process, set apart from the machine's by so many milliseconds.
#[derive(Debug)]
pub struct FakedClock {
    folder: TempDir,
}

impl FakedClock {
    /// A clock that differs by so many milliseconds.
    pub fn apart(milliseconds: i64) -> FakedClock {
        let folder = TempDir::new().expect("a temporary folder");
        let clock = FakedClock { folder };
        clock.set(milliseconds);
        clock
    }

    /// Sets it anew: a jump for the process that reads it.
    pub fn set(&self, milliseconds: i64) {
        let sign = if milliseconds < 0 { '-' } else { '+' };
        let size = milliseconds.unsigned_abs();
        let text = format!("{sign}{}.{:03}\n", size / 1000, size % 1000);
        // A process that reads a file half written would jump somewhere else.
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).expect("a file");
        std::fs::rename(new, self.file()).expect("a file");
    }

    /// A program started so has this clock.
    #[must_use]
    pub fn around(&self, setup: ProxySetup) -> ProxySetup {
        let set = |setup: ProxySetup, (name, value): (&str, String)| setup.variable(name, &value);
        self.variables().into_iter().fold(setup, set)
    }

    /// What a program finds in its environment that has this clock.
    pub fn variables(&self) -> [(&'static str, String); 5] {
        let library = library().expect("libfaketime is installed");
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// A clock in this process that runs beside the machine's; it stands still when dropped.
#[derive(Debug)]
pub struct RunningClock {
    now: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    ticking: Option<JoinHandle<()>>,
}

impl RunningClock {
    /// A clock that differs by so many milliseconds.
    pub fn apart(milliseconds: i64) -> RunningClock {
        let now = Arc::new(AtomicI64::new(real() + milliseconds));
        let stop = Arc::new(AtomicBool::new(false));
        let (ticks, stopped) = (Arc::clone(&now), Arc::clone(&stop));
        let ticking = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                ticks.store(real() + milliseconds, Ordering::SeqCst);
                std::thread::sleep(TICK);
            }
        });
        RunningClock {
            now,
            stop,
            ticking: Some(ticking),
        }
    }

    /// What the simulated `OpenAI` reads.
    pub fn shared(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.now)
    }

    /// Its time in Unix milliseconds.
    pub fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }
}

impl Drop for RunningClock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(ticking) = self.ticking.take() {
            let _ = ticking.join();
        }
    }
}
