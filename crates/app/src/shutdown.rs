//! Signals: the first one drains, the second one ends at once. Knows nothing of what is drained.

use std::time::Duration;

use net::DrainHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far the wish to stop has gone: signals that came.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<u8>);

impl Stop {
    /// Waits for the first signal.
    pub(crate) async fn begun(&self) {
        // Nobody who could tell is left: then the stop has begun.
        let _ = self.0.clone().wait_for(|signals| *signals > 0).await;
    }

    /// Whether a second signal came.
    pub(crate) fn is_urgent(&self) -> bool {
        *self.0.borrow() > 1
    }
}

/// Waits for SIGTERM or SIGINT and begins the drain; a second signal cuts what is still open.
///
/// # Errors
/// When the system refuses to tell of signals.
pub(crate) fn on_signal(
    drain: DrainHandle,
    keep_accepting: Duration,
    grace: Duration,
) -> std::io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (signals, stop) = watch::channel(0);
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!(
            grace_seconds = grace.as_secs(),
            "stopping: open calls may finish; a second signal ends at once"
        );
        signals.send_replace(1);
        drain.begin(keep_accepting, grace);
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("second signal: open calls are cut");
        signals.send_replace(2);
        drain.cut_now();
    });
    Ok(Stop(stop))
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
