//! The simulator over real sockets.

mod answers;
mod endings;
mod http2;
mod raw;
mod records;
mod sockets;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Clock, PayerShown, Settings, Simulator};

/// 2026-11-21T09:15:00Z, a Saturday.
const MORNING_MS: i64 = 1_795_252_500_000;

const ACME: &str = "sk-sim-acme";
const GLOBEX: &str = "sk-sim-globex";

/// A clock that a test sets.
fn clock() -> (Arc<AtomicI64>, Clock) {
    let milliseconds = Arc::new(AtomicI64::new(MORNING_MS));
    (Arc::clone(&milliseconds), Clock::Shared(milliseconds))
}

/// Settings of most tests: a still clock, a seed, usage tier 3, the payer always shown.
fn settings() -> Settings {
    let mut settings = Settings {
        clock: clock().1,
        seed: Some(1),
        show_payer: PayerShown::Always,
        ..Settings::default()
    };
    settings.organizations[0].usage_tier = 3;
    settings
}

async fn start(settings: Settings) -> Simulator {
    Simulator::start(settings).await.unwrap()
}

/// Waits until `done`, at most ten seconds.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done().await {
        assert!(Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn advance(clock: &AtomicI64, milliseconds: i64) {
    clock.fetch_add(milliseconds, Ordering::SeqCst);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
