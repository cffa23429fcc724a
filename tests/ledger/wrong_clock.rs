//! A machine whose clock is an hour off: it is said in the same words wherever somebody looks, and the time that is left of
//! the day is `OpenAI`'s on all surfaces.
//!
//! Knows what people and programs read of it; which day a call counts on is for `midnight`.

use harness::beside::{self, json};
use harness::clock::{self, FakedClock};
use harness::command::{Ended, Task};
use harness::day::{ACME, Way, keyed, taking};
use harness::kept::Kept;
use harness::proxy::Proxy;
use serde_json::Value;
use simulator::{AfterCrossing, Clock};

const HOUR: i64 = 3_600_000;
/// What commands may take between two looks at the time, in seconds.
const MEANWHILE: u64 = 60;
/// How each says it.
const WORDS: &str = "OpenAI's. days are taken from OpenAI's date header until it is right. help: turn on time sync (timedatectl)";

/// A command on the machine with this clock.
fn command(kept: &Kept, clock: &FakedClock, proxy: &Proxy, arguments: &[&str]) -> Ended {
    let settings = [
        ("TOLLFREE_DATA_DIR", kept.folder().display().to_string()),
        ("TOLLFREE_LISTEN", proxy.address().to_string()),
        (
            "TOLLFREE_UPSTREAM",
            format!("http://{}", kept.simulator.address()),
        ),
    ];
    let task = Task::new(arguments);
    let variables = clock.variables().into_iter().chain(settings);
    let set = |task: Task, (name, value): (&str, String)| task.variable(name, &value);
    let ended = variables.fold(task, set).run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    ended
}

async fn said(off: i64, how: &str) {
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    let clock = FakedClock::apart(off);
    let proxy = Proxy::start(clock.around(kept.setup()));
    let call = keyed(Way::Chat.request("gpt-4o-mini", &taking(1_000)), ACME);
    let answer = proxy.exchange(&call).await;
    let words = format!("this clock is {how} {WORDS}");
    proxy.wait_for_log(&words);
    let state = json(beside::address(&proxy), "/api/v1/state").await;
    assert_eq!(state["notices"][0], words, "{state}");
    let status = command(&kept, &clock, &proxy, &["status"]);
    assert!(
        status.errors.contains(&format!("note: {words}")),
        "{}",
        status.errors
    );
    let check = command(&kept, &clock, &proxy, &["check"]).output;
    let (cause, help) = words.split_once(". help: ").expect("both");
    assert!(
        check.contains(&format!("warn  clock     {cause}")),
        "{check}"
    );
    assert!(check.contains(help), "{check}");
    // Whoever counts down counts to the same midnight.
    let header = answer.header("x-tollfree-reset-seconds").expect("a tag");
    let header: u64 = header.parse().expect("seconds");
    let status = command(&kept, &clock, &proxy, &["status", "--json"]).output;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let shown = status["reset_seconds"].as_u64().expect("seconds");
    assert!(header.abs_diff(shown) < MEANWHILE, "{header} {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_is_told_in_the_same_words_and_counted_by_nobody() {
    if clock::library_or_skip("no clock was wrong").is_none() {
        return;
    }
    said(HOUR, "1 h ahead of").await;
    said(-HOUR, "1 h behind").await;
}
