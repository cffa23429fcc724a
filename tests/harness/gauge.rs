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

/// How often a process is weighed to see whether it grows.
const WEIGHED: Duration = Duration::from_millis(500);
/// How long a process must have the same descriptors to count as at rest; the longest wait for that.
const REST: Duration = Duration::from_millis(600);
const MOST_UNREST: Duration = Duration::from_secs(10);
/// Bytes of a mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// So many bytes, for people.
pub fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB)
}

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

/// What a program weighs when nobody calls: bytes, and open file descriptors.
pub async fn at_rest(process: u32) -> (u64, usize) {
    let mut count = descriptors(process);
    let mut since = Instant::now();
    let deadline = since + MOST_UNREST;
    while since.elapsed() < REST {
        assert!(Instant::now() < deadline, "it never comes to rest");
        tokio::time::sleep(LOOK).await;
        let now = descriptors(process);
        if now != count {
            (count, since) = (now, Instant::now());
        }
    }
    (resident(process), count)
}

/// How much a process grows, in bytes in ten minutes, by least squares over weights at the same distance in time.
pub fn slope(weights: &[u64]) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).expect("few"));
    let count = number(weights.len());
    let mean_at = (count - 1.0) / 2.0;
    let kib = |weight: u64| f64::from(u32::try_from(weight / 1024).expect("kibibytes")) * 1024.0;
    let mean = weights.iter().map(|weight| kib(*weight)).sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (at, weight) in weights.iter().enumerate() {
        above += (number(at) - mean_at) * (kib(*weight) - mean);
        below += (number(at) - mean_at).powi(2);
    }
    above / below * 600.0 / WEIGHED.as_secs_f64()
}

/// Weighs a process until it is told to stop.
pub async fn weighed(process: u32, stop: Arc<AtomicBool>) -> Vec<u64> {
    let mut weights = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        weights.push(resident(process));
        tokio::time::sleep(WEIGHED).await;
    }
    weights
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

#[cfg(test)]
mod tests {
    use super::{WEIGHED, slope};

    #[test]
    fn a_slope_is_what_grows_in_ten_minutes() {
        let steps = |by: u64| (0..100).map(|at| (1 << 20) + at * by).collect::<Vec<_>>();
        let samples_in_ten_minutes = 600.0 / WEIGHED.as_secs_f64();
        assert!(slope(&steps(0)).abs() < 1.0);
        let one_kib_each = slope(&steps(1024)) / 1024.0 / samples_in_ten_minutes;
        assert!((one_kib_each - 1.0).abs() < 0.001, "{one_kib_each}");
    }
}
