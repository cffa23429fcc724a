//! Slips and odd moments of whoever uses the program: a word or a name that does not exist, a shell without the proxy's
//! settings, a port that somebody has, a configuration that is broken while it runs, a terminal that is closed.
//!
//! Knows what is said then and with which code a command ends; what it says otherwise is for others.

use std::path::Path;

use harness::command::{Ended, Task};
use harness::day::{ACME, Way, keyed, taking};
use harness::kept::Kept;
use harness::proxy::Proxy;
use simulator::{AfterCrossing, Clock};

/// A command in a shell that knows the data directory and nothing else.
fn bare(folder: &Path, arguments: &[&str]) -> Ended {
    let folder = folder.display().to_string();
    Task::new(arguments)
        .variable("TOLLFREE_DATA_DIR", &folder)
        .run()
}

async fn kept() -> Kept {
    Kept::new(Clock::System, AfterCrossing::Billed).await
}

async fn call(proxy: &Proxy, tokens: u64) {
    let request = keyed(Way::Chat.request("gpt-5.6", &taking(tokens)), ACME);
    let answer = proxy.exchange(&request).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_the_allowance_is_the_one_that_was_in_force() {
    let kept = kept().await;
    let mut proxy = Proxy::start(kept.setup());
    call(&proxy, 300_000).await;
    proxy.terminate();
    proxy.wait_for_exit();
    let remaining = bare(kept.folder(), &["status", "--remaining", "large"]);
    assert_eq!(remaining.output.trim(), "700000", "{remaining:?}");
    assert!(
        remaining.errors.contains("no proxy on this ledger"),
        "{remaining:?}"
    );
    let status = bare(kept.folder(), &["status"]);
    assert!(
        status
            .errors
            .contains("usage tiers are those of the ledger"),
        "{status:?}"
    );
}
