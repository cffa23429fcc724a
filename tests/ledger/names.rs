//! One organization under two names, of which an operator declares that they are one: its total is one from then on,
//! in the running proxy, in the ledger, and for a start.
//!
//! Knows the configuration, `tollfree total` and the ledger's table of totals.

use harness::command::Task;
use harness::day::{Way, keyed, taking};
use harness::kept::Kept;
use harness::proxy::{Proxy, ProxySetup};
use harness::sqlite;
use serde_json::Value;
use simulator::{AfterCrossing, Clock};
use tempfile::TempDir;

/// What the large group's allowance is.
const ALLOWANCE: u64 = 1_000_000;
/// Tokens of each call.
const TOKENS: u64 = 1_000;
/// A total as it is stated.
const STATED: u64 = 412_000;
/// Its calls say `acme`.
const DECLARED: &str = r#"
[[organizations]]
name = "my-org"
aliases = ["acme"]
usage_tier = 3
enrolled = true
shared_projects = "all"
coverage = "all"
"#;

struct Run {
    kept: Kept,
    folder: TempDir,
}

impl Run {
    /// Nothing is declared yet.
    async fn new() -> Run {
        let run = Run {
            kept: Kept::new(Clock::System, AfterCrossing::Billed).await,
            folder: TempDir::new().expect("a temporary folder"),
        };
        run.write("");
        run
    }

    fn file(&self) -> String {
        self.folder.path().join("own.toml").display().to_string()
    }

    /// As editors do it: a new file in the old one's place.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new.toml");
        std::fs::write(&new, text).expect("a file");
        std::fs::rename(new, self.file()).expect("a file");
    }

    fn start(&self) -> Proxy {
        let setup: ProxySetup = self.kept.setup();
        Proxy::start(setup.variable("TOLLFREE_CONFIG", &self.file()))
    }

    /// States the total and gives what it was before.
    fn state(&self) -> u64 {
        let tokens = STATED.to_string();
        let words = ["total", "set", "--group", "large", &tokens];
        let ended = Task::new(
            words
                .into_iter()
                .chain(["--organization", "my-org", "--json"]),
        )
        .variable("TOLLFREE_CONFIG", &self.file())
        .variable(
            "TOLLFREE_DATA_DIR",
            &self.kept.folder().display().to_string(),
        )
        .run();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let stated: Value = serde_json::from_str(&ended.output).expect("JSON");
        assert_eq!(stated["organization"], "my-org");
        stated["before_tokens"].as_u64().expect("a number")
    }

    /// The organizations that have a total of the large group in the ledger, and the total.
    fn totals(&self) -> Vec<(String, u64)> {
        let tables = sqlite::open(self.kept.folder()).expect("a ledger");
        let sql =
            "SELECT organization, taken_tokens FROM totals WHERE model_group = 'large' ORDER BY 1";
        let mut read = tables.prepare(sql).expect("a table");
        let rows = read.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        });
        rows.expect("rows").map(|row| row.expect("a row")).collect()
    }
}

/// Makes a call and gives what remains behind it.
async fn remaining(proxy: &Proxy) -> u64 {
    let request = keyed(Way::Chat.request("gpt-5.6", &taking(TOKENS)), "sk-sim-acme");
    let answer = proxy.exchange(&request).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let remaining = answer.header("x-tollfree-remaining-tokens");
    remaining.expect("a standing").parse().expect("a number")
}

fn stop(mut proxy: Proxy) {
    proxy.terminate();
    proxy.wait_for_exit();
}

#[tokio::test]
async fn a_stated_total_holds_for_names_that_were_declared_while_it_ran() {
    let run = Run::new().await;
    let proxy = run.start();
    assert_eq!(remaining(&proxy).await, ALLOWANCE - TOKENS);
    run.write(DECLARED);
    proxy.wait_for_log("configuration reloaded");
    assert_eq!(run.state(), TOKENS);
    for calls in 1..=2 {
        let left = ALLOWANCE - STATED - calls * TOKENS;
        assert_eq!(remaining(&proxy).await, left, "before the restart");
    }
    stop(proxy);
    assert_eq!(run.totals(), [("my-org".to_owned(), STATED + 2 * TOKENS)]);
    let left = ALLOWANCE - STATED - 3 * TOKENS;
    assert_eq!(remaining(&run.start()).await, left);
}

#[tokio::test]
async fn a_total_that_is_stated_while_nothing_runs_is_that_of_all_names() {
    let run = Run::new().await;
    let proxy = run.start();
    assert_eq!(remaining(&proxy).await, ALLOWANCE - TOKENS);
    stop(proxy);
    run.write(DECLARED);
    assert_eq!(run.state(), TOKENS);
    assert_eq!(run.totals(), [("my-org".to_owned(), STATED)]);
    let left = ALLOWANCE - STATED - TOKENS;
    assert_eq!(remaining(&run.start()).await, left);
}

#[tokio::test]
async fn names_that_were_declared_before_a_start_are_one_in_the_ledger_too() {
    let run = Run::new().await;
    let proxy = run.start();
    assert_eq!(remaining(&proxy).await, ALLOWANCE - TOKENS);
    stop(proxy);
    assert_eq!(run.totals(), [("acme".to_owned(), TOKENS)]);
    run.write(DECLARED);
    let proxy = run.start();
    assert_eq!(remaining(&proxy).await, ALLOWANCE - 2 * TOKENS);
    stop(proxy);
    assert_eq!(run.totals(), [("my-org".to_owned(), 2 * TOKENS)]);
}
