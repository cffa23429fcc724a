//! Signals: the first one drains, the second one ends at once. Knows nothing of what is drained.

use std::time::Duration;

use net::DrainHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT and begins the drain; a second signal cuts what is still open.
///
/// # Errors
/// When the system refuses to tell of signals.
pub(crate) fn on_signal(
    drain: DrainHandle,
    keep_accepting: Duration,
    grace: Duration,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!(
            grace_seconds = grace.as_secs(),
            "stopping: open calls may finish; a second signal ends at once"
        );
        drain.begin(keep_accepting, grace);
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("second signal: open calls are cut");
        drain.cut_now();
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
