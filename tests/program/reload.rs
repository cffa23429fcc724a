//! Which changes of files a running proxy notices by itself. Knows files and the log; what a reload changes is told in
//! `life` and in `slips`.

use std::path::Path;

use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::upstream::Upstream;
use tempfile::TempDir;

/// Waits until these words are in the log so many times.
async fn logged(proxy: &Proxy, words: &str, times: usize) {
    let what = format!("{times} times {words:?} in the log");
    let many = || (proxy.log().matches(words).count() >= times).then_some(());
    eventually(&what, many).await;
}

#[tokio::test]
async fn a_file_that_only_a_failed_reload_named_is_noticed_when_it_is_mended() {
    let upstream = Upstream::constant(Vec::new()).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()).config("usage_tier = 1"));
    let elsewhere = TempDir::new().expect("a temporary folder");
    let offer = elsewhere.path().join("offer.toml");
    std::fs::write(&offer, "groups = 7\n").expect("a file");
    let named = format!("[offer]\nfile = {offer:?}\n");
    std::fs::write(proxy.folder().join("tollfree.toml"), named).expect("a file");
    logged(&proxy, "the configuration was not reloaded", 1).await;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/offer.toml");
    std::fs::copy(shipped, &offer).expect("a file");
    logged(&proxy, "configuration reloaded, totals stay", 1).await;
}

#[tokio::test]
async fn roots_and_secrets_in_files_are_noticed_and_a_folder_that_is_missing_is_no_loss() {
    let upstream = Upstream::constant(Vec::new()).await;
    let elsewhere = TempDir::new().expect("a temporary folder");
    let file = |name: &str| elsewhere.path().join(name);
    std::fs::write(file("proxy"), "http://127.0.0.1:1\n").expect("a file");
    let setup = ProxySetup::to(&upstream.url())
        .config("usage_tier = 1")
        .variable(
            "TOLLFREE_UPSTREAM_PROXY_FILE",
            file("proxy").to_str().expect("text"),
        );
    let proxy = Proxy::start(setup);
    std::fs::write(file("proxy"), "http://127.0.0.1:2\n").expect("a file");
    logged(&proxy, "configuration reloaded, totals stay", 1).await;
    let config = proxy.folder().join("tollfree.toml");
    std::fs::write(&config, "upstream.ca_file = \"gone/roots.pem\"\n").expect("a file");
    logged(&proxy, "the configuration was not reloaded", 1).await;
    std::fs::write(&config, "usage_tier = 1\n").expect("a file");
    logged(&proxy, "configuration reloaded, totals stay", 2).await;
}
