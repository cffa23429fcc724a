//! Signals: the first one drains, the second one ends at once; the end of the terminal it was started in counts as one.
//! Knows nothing of what is drained.

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

/// Waits for SIGTERM, SIGINT or the terminal's end and begins the drain; a second signal cuts what is still open.
///
/// # Errors
/// When the system refuses to tell of signals.
pub(crate) fn on_signal(
    drain: DrainHandle,
    keep_accepting: Duration,
    grace: Duration,
) -> std::io::Result<Stop> {
    let mut ends = Ends::told()?;
    let (signals, stop) = watch::channel(0);
    tokio::spawn(async move {
        ends.next().await;
        tracing::info!(
            grace_seconds = grace.as_secs(),
            "stopping: open calls may finish; a second signal ends at once"
        );
        signals.send_replace(1);
        drain.begin(keep_accepting, grace);
        ends.next().await;
        tracing::warn!("second signal: open calls are cut");
        signals.send_replace(2);
        drain.cut_now();
    });
    Ok(Stop(stop))
}

/// What ends the program.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// SIGHUP may say that the terminal is gone; else it asks for a reload alone.
    has_terminal: bool,
}

impl Ends {
    fn told() -> std::io::Result<Self> {
        // Before SIGHUP has a handler of ours: nohup has it ignored, and is not to be outwitted.
        let has_terminal = terminal_is_there() && !ignores_hangup();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            has_terminal,
        })
    }

    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if self.has_terminal && !terminal_is_there() {
                        // Once is enough: a shell and the kernel may both say so.
                        self.has_terminal = false;
                        return;
                    }
                }
            }
        }
    }
}

/// Whether this process has a terminal that controls it. A service and a container have none.
fn terminal_is_there() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Whether SIGHUP is ignored; where the system does not say so it is taken to be.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_hangup_in(&status).unwrap_or(true)
}

/// Whether SIGHUP, which is signal 1, is among the ignored ones of a process.
fn is_hangup_in(status: &str) -> Option<bool> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::is_hangup_in;

    #[test]
    fn nohup_is_seen() {
        let status = |mask: &str| format!("Name:\ttollfree\nSigBlk:\t1\nSigIgn:\t{mask}\n");
        assert_eq!(is_hangup_in(&status("0000000000001001")), Some(true));
        assert_eq!(is_hangup_in(&status("0000000000001000")), Some(false));
        assert_eq!(is_hangup_in("Name:\ttollfree\n"), None);
    }
}
