//! What a process weighs and how long a good client waits, while something else is done to the proxy.
//!
//! It must not know what that is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::raw::{Connection, Request};

/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often a good client calls: often enough to see a stall, too seldom to be the load.
const CALL: Duration = Duration::from_millis(5);

/// Resident memory of a process now, in bytes.
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Open file descriptors of a process now.
pub fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

/// Watches the memory of a process from now on.
#[derive(Debug)]
pub struct Weight {
    before: u64,
    most: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Weight {
    /// Begins to look.
    pub fn of(process: u32) -> Weight {
        let before = resident(process);
        let most = Arc::new(AtomicU64::new(before));
        let seen = Arc::clone(&most);
        let looking = tokio::spawn(async move {
            loop {
                seen.fetch_max(resident(process), Ordering::Relaxed);
                tokio::time::sleep(LOOK).await;
            }
        });
        Weight {
            before,
            most,
            looking,
        }
    }

    /// The most that was seen beyond what it was at the beginning, in bytes.
    pub fn grown(self) -> u64 {
        self.looking.abort();
        self.most.load(Ordering::Relaxed) - self.before
    }
}

/// How long the calls of a good client took.
#[derive(Clone, Debug)]
pub struct Waits(Vec<Duration>);

impl Waits {
    /// The wait that so many of a hundred did not exceed.
    pub fn percent(&self, percent: usize) -> Duration {
        let last = self.0.len() - 1;
        self.0[(self.0.len() * percent / 100).min(last)]
    }

    /// The longest wait.
    pub fn worst(&self) -> Duration {
        self.percent(100)
    }
}

/// A good client, who calls again and again on one connection until it is asked how it went.
#[derive(Debug)]
pub struct GoodClient {
    stop: Arc<AtomicBool>,
    calling: JoinHandle<Vec<Duration>>,
}

impl GoodClient {
    /// Begins to make this call.
    pub async fn calling(address: SocketAddr, request: &Request) -> GoodClient {
        let mut connection = Connection::open(address).await.expect("a listener");
        let (stop, request) = (Arc::new(AtomicBool::new(false)), request.clone());
        let stopped = Arc::clone(&stop);
        let calling = tokio::spawn(async move {
            let mut waits = Vec::new();
            while !stopped.load(Ordering::Relaxed) || waits.is_empty() {
                let began = Instant::now();
                let answer = connection.exchange(&request).await.expect("an answer");
                assert_eq!(answer.status(), 200, "{}", answer.text());
                waits.push(began.elapsed());
                tokio::time::sleep(CALL).await;
            }
            waits
        });
        GoodClient { stop, calling }
    }

    /// How it went, in the order of time taken.
    pub async fn waits(self) -> Waits {
        self.stop.store(true, Ordering::Relaxed);
        let mut waits = self.calling.await.expect("no call failed");
        waits.sort_unstable();
        Waits(waits)
    }
}
