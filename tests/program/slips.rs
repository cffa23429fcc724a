//! Slips and odd moments of whoever uses the program: a word or a name that does not exist, a shell without the proxy's
//! settings, a port that somebody has, a configuration that is broken while it runs, a terminal that is closed.
//!
//! Knows what is said then and with which code a command ends; what it says otherwise is for others.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use harness::beside::{self, get, json};
use harness::command::{self, Ended, Task};
use harness::day::{ACME, Way, keyed, taking};
use harness::kept::Kept;
use harness::lasting::stopped;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_nobody_has_is_a_slip_and_no_zero() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    call(&proxy, 1_000).await;
    eventually("the call in the tables", || {
        let listed = bare(kept.folder(), &["calls"]);
        (listed.output.lines().count() == 1).then_some(())
    })
    .await;
    for command in [
        &["status"][..],
        &["status", "--remaining", "large"],
        &["calls"],
        &["report"],
        &["total"],
        &["export"],
    ] {
        let named = |name: &str| {
            let mut arguments = command.to_vec();
            arguments.extend(["--organization", name]);
            bare(kept.folder(), &arguments)
        };
        let slip = named("acmee");
        assert_eq!((slip.code, &*slip.output), (Some(64), ""), "{command:?}");
        assert!(
            slip.errors
                .contains("no organization acmee. help: known are acme"),
            "{slip:?}"
        );
        assert_eq!(named("acme").code, Some(0), "{command:?}");
        assert_eq!(named("unknown").code, Some(0), "{command:?}");
    }
    for words in [
        ["--verdict", "freee"],
        ["--certainty", "sure"],
        ["--reason", "foo"],
    ] {
        let slip = bare(kept.folder(), &["calls", words[0], words[1]]);
        assert_eq!(slip.code, Some(64), "{slip:?}");
        assert!(slip.errors.contains("[possible values: "), "{slip:?}");
    }
    drop(proxy);
    let nothing = kept.folder().join("nothing");
    let remaining = bare(&nothing, &["status", "--remaining", "large"]);
    assert_eq!(remaining.output, "250000\n");
    let said = "note: no proxy on this ledger, and no calls in it";
    assert!(remaining.errors.contains(said), "{remaining:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_is_stated_before_the_first_call() {
    let set = ["total", "set", "--group", "large", "412,000"];
    let named = [&set[..], &["--organization", "acme"]].concat();
    let folder = tempfile::tempdir().expect("a folder");
    for is_running in [false, true] {
        let folder = folder.path().join(is_running.to_string());
        let nobody = ProxySetup::to("http://127.0.0.1:1")
            .variable("TOLLFREE_DATA_DIR", &folder.display().to_string());
        let proxy = is_running.then(|| Proxy::start(nobody));
        let whose = bare(&folder, &set);
        assert_eq!(whose.code, Some(64), "{whose:?}");
        let said = "error: no organization was seen yet. help: --organization NAME, ";
        assert!(whose.errors.starts_with(said), "{whose:?}");
        let stated = bare(&folder, &named);
        let said = "acme, large: 412,000 tokens on ";
        assert!(stated.output.starts_with(said), "{stated:?}");
        let other = [&set[..], &["--organization", "acmee"]].concat();
        let slip = bare(&folder, &other);
        let said = "error: no organization acmee. help: known are acme";
        assert!(slip.errors.starts_with(said), "{slip:?}");
        drop(proxy);
        let totals = bare(&folder, &["total"]);
        assert!(
            totals.output.starts_with("acme\tlarge\t412000\t"),
            "{totals:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_is_shown_no_call_of_an_earlier_day_as_a_new_one() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    call(&proxy, 1_000).await;
    stopped(proxy);
    let tables = kept.folder().join("ledger.sqlite");
    let tables = rusqlite::Connection::open(tables).expect("a ledger");
    for table in ["kinds", "totals"] {
        let earlier = format!("UPDATE {table} SET day = '2026-01-01'");
        assert!(
            tables.execute(&earlier, []).expect("earlier") > 0,
            "{table}"
        );
    }
    drop(tables);
    let proxy = Proxy::start(kept.setup());
    let folder = kept.folder().display().to_string();
    let mut task = Task::new(["calls", "--watch", "--header", "--verdict", "free"])
        .variable("TOLLFREE_DATA_DIR", &folder);
    let mut watching = task.spawn();
    let mut lines = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    // The header is there as soon as it is known which calls are new.
    assert!(next().starts_with("number\t"));
    call(&proxy, 2_000).await;
    let line = next();
    assert!(line.contains("\t2000\t"), "{line}");
    watching.kill().expect("killed");
    watching.wait().expect("ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_asked_in_its_own_words() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    call(&proxy, 1_000).await;
    let page = beside::address(&proxy);
    for (slip, said) in [
        ("calls?verdict=freee", "free, billed, pending"),
        ("calls?reason=foo", "within-allowance, crossing-call"),
        ("calls?verdikt=free", "day, verdict, certainty"),
        ("calls.csv?certainty=sure", "confirmed, final, assumed"),
        ("days?day=7", "days, organization"),
    ] {
        let answer = get(page, &format!("/api/v1/{slip}")).await;
        assert_eq!(answer.status(), 400, "{slip}: {}", answer.text());
        let text = answer.text();
        assert!(text.contains(said), "{slip}: {text}");
    }
    json(page, "/api/v1/calls?verdict=free&token=none&limit=1").await;
    let odd = [
        (
            &["total", "set", "--group", "large", "10"][..],
            "fewer than were counted here (1,000)",
        ),
        (
            &["total", "set", "--group", "large", "900000000"],
            "more than 100 times the allowance (1,000,000)",
        ),
    ];
    for (arguments, note) in odd {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--organization", "acme"]);
        let ended = bare(kept.folder(), &arguments);
        assert!(ended.errors.contains(note), "{ended:?}");
        assert!(ended.output.contains(" UTC, was "), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_finds_the_page_where_it_is() {
    let kept = kept().await;
    // Whoever has the usual port: this test, or another one beside it.
    let busy = TcpListener::bind("127.0.0.1:8801");
    let usual = kept.setup();
    let proxy = Proxy::start(usual.variable("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:8801"));
    let said = proxy.wait_for_log("cannot listen on 127.0.0.1:8801: in use.");
    assert!(said.contains("WARN"), "{said}");
    assert!(
        said.contains("help: stop what has 127.0.0.1:8801"),
        "{said}"
    );
    let healthy = bare(kept.folder(), &["health"]);
    assert_eq!(
        (healthy.code, &*healthy.output),
        (Some(0), "ok\n"),
        "{healthy:?}"
    );
    drop((busy, proxy));
    let silent = Task::new(["health", "--json"])
        .variable("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:1")
        .run();
    assert_eq!(silent.code, Some(69), "{silent:?}");
    let said: serde_json::Value = serde_json::from_str(&silent.output).expect("JSON");
    assert_eq!(said["status"], "unreachable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_says_that_no_call_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let proxy =
        Proxy::start(ProxySetup::to("http://127.0.0.1:1").variable("TOLLFREE_DATA_DIR", &data));
    let request = keyed(Way::Chat.request("gpt-5.6", &taking(10)), ACME);
    assert_eq!(proxy.exchange(&request).await.status(), 502);
    let status = bare(folder.path(), &["status"]);
    assert!(
        status.errors.contains("note: could not reach 127.0.0.1:1"),
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ports_of_a_proxy_are_known_as_its() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let (calls, page) = (
        proxy.address().to_string(),
        beside::address(&proxy).to_string(),
    );
    let check = bare(kept.folder(), &["check"]);
    for port in [&calls, &page] {
        assert!(
            check
                .output
                .contains(&format!("ok    ports     {port} in use by")),
            "{check:?}"
        );
    }
    // Who wants the page's port for calls is told whose it is.
    let folder = tempfile::tempdir().expect("a folder");
    let other = Task::new(["--listen", &page])
        .variable("TOLLFREE_DATA_DIR", &folder.path().display().to_string())
        .run();
    assert_eq!(other.code, Some(69), "{other:?}");
    assert!(
        other.errors.contains("in use by another tollfree"),
        "{other:?}"
    );
    // And who has no data directory to ask by is not told to stop what may be his own.
    let nowhere = Task::new(["check"])
        .variable("TOLLFREE_DATA_DIR", "/proc/nope/x")
        .variable("TOLLFREE_LISTEN", &calls)
        .run();
    assert!(
        nowhere.output.contains("this one, if it runs already"),
        "{nowhere:?}"
    );
    assert!(!nowhere.output.contains("FAIL  ports"), "{nowhere:?}");
}

#[test]
fn without_a_ledger_the_page_is_named() {
    let status = Task::new(["status"])
        .variable("TOLLFREE_DATA_DIR", "off")
        .run();
    assert_eq!(status.code, Some(1), "{status:?}");
    let page = "on its page, http://127.0.0.1:8801/. help: ";
    assert!(status.errors.contains(page), "{status:?}");
}

#[test]
fn help_that_cannot_be_written_is_no_success() {
    for arguments in [["--help"], ["--version"], ["offer"]] {
        let full = Task::new(arguments).run_full();
        assert_eq!(full.code, Some(1), "{arguments:?}: {full:?}");
        let said = "error: cannot write the output: ";
        assert!(full.errors.starts_with(said), "{full:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_reload_could_not_do_is_said_until_it_can() {
    let kept = kept().await;
    let setup = kept.setup().config("[log]\nfilter = \"info\"");
    let proxy = Proxy::start(setup);
    let page = beside::address(&proxy);
    let file = proxy.folder().join("tollfree.toml");
    let notices = async || get(page, "/healthz").await.text();
    let until = async |said: &str, is_said: bool| {
        for _ in 0..600 {
            if notices().await.contains(said) == is_said {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{said}: {}\n{}", notices().await, proxy.log());
    };
    std::fs::write(&file, "usage_tier = 7\n").expect("a file");
    until("the configuration was not reloaded", true).await;
    // The log comes through a pipe, perhaps after the notice.
    proxy.wait_for_log("1 mistake, nothing was changed.");
    let log = proxy.log();
    assert!(!log.contains("nothing was started"), "{log}");
    let named = file.display().to_string();
    let folder = kept.folder().display().to_string();
    let status = Task::new(["status"])
        .variable("TOLLFREE_DATA_DIR", &folder)
        .variable("TOLLFREE_CONFIG", &named)
        .run();
    assert_eq!(status.code, Some(0), "{status:?}");
    for said in [
        "goes on with the one it had",
        "note: the configuration was not reloaded",
    ] {
        assert!(status.errors.contains(said), "{status:?}");
    }
    std::fs::write(&file, "[log]\nfilter = \"warn\"\n").expect("a file");
    until("another [log] than is in force", true).await;
    command::signal(proxy.id(), "HUP");
    eventually("a second reload", || {
        let count = proxy.log().matches("these need a restart: ").count();
        (count >= 2).then_some(())
    })
    .await;
    until("another [log] than is in force", true).await;
    std::fs::write(&file, "[log]\nfilter = \"info\"\n").expect("a file");
    until("another [log] than is in force", false).await;
}

/// Runs a program in a terminal of its own, closes the terminal when it is ready, and says how it ended.
const IN_A_TERMINAL: &str = r"
import os, pty, select, sys, time
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b''
while b'ready in' not in seen:
    if not select.select([terminal], [], [], 30)[0]:
        sys.exit('never ready: ' + repr(seen))
    seen += os.read(terminal, 65536)
os.close(terminal)
for _ in range(200):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        print('ended', os.waitstatus_to_exitcode(status))
        sys.exit()
    time.sleep(0.05)
os.kill(child, 9)
print('still there')
";

#[test]
fn it_ends_with_the_terminal_it_was_started_in() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let ended = Command::new("python3")
        .args(["-c", IN_A_TERMINAL])
        .arg(harness::proxy::program())
        .args(["--listen", "127.0.0.1:0"])
        .env("HOME", folder.path())
        .env("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:0")
        .current_dir(folder.path())
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(
        said,
        "ended 0\n",
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}
