//! The commands that read, as people and scripts call them: beside a running proxy, after a clean stop, and after one
//! that nobody announced. What they say is held against the simulated `OpenAI`'s own bill.
//!
//! Knows the commands' output and exit codes; how it is laid out is tested where it is made.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use harness::command::{self, Ended, Task};
use harness::day::{Way, keyed, taking};
use harness::kept::Kept;
use harness::patience::eventually;
use harness::proxy::Proxy;
use serde_json::Value;
use simulator::{AfterCrossing, Clock};

/// A key of an organization that is enrolled.
const ACME: &str = "sk-sim-acme";
/// Tokens of the large group's calls: the last one crosses the allowance of a million.
const LARGE: [u64; 5] = [400_000, 400_000, 175_000, 30_000, 800];
/// Tokens of a small group's call.
const SMALL: u64 = 6_010;

struct Run {
    kept: Kept,
}

impl Run {
    async fn new() -> Run {
        Run {
            kept: Kept::new(Clock::System, AfterCrossing::Billed).await,
        }
    }

    fn task(&self, arguments: &[&str]) -> Task {
        let upstream = format!("http://{}", self.kept.simulator.address());
        let folder = self.kept.folder().display().to_string();
        Task::new(arguments)
            .variable("TOLLFREE_DATA_DIR", &folder)
            .variable("TOLLFREE_UPSTREAM", &upstream)
            .variable("TOLLFREE_USAGE_TIER", "3")
            .variable("TOLLFREE_ENROLLED", "true")
            .variable("TOLLFREE_SHARED_PROJECTS", "all")
            .variable("TOLLFREE_COVERAGE", "all")
            .variable("TOLLFREE_LISTEN", "127.0.0.1:0")
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.task(arguments).run()
    }

    /// The output of a command that is to succeed.
    fn output(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.output
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments);
        let object: Value = serde_json::from_str(&output)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output}"));
        assert_eq!(object["schema"], 1, "{output}");
        object
    }

    /// Waits until so many calls are in the tables: they are moved there a moment after they were committed.
    async fn calls_are_there(&self, calls: usize) {
        let what = format!("{calls} calls in the ledger");
        let all = || self.output(&["calls", "--limit", "1000"]).lines().count() == calls;
        eventually(&what, || all().then_some(())).await;
    }

    fn remaining(&self, group: &str) -> u64 {
        let output = self.output(&["status", "--remaining", group]);
        output.trim_end().parse().expect("one integer")
    }
}

async fn call(proxy: &Proxy, way: Way, model: &str, tokens: u64) -> String {
    let answer = proxy
        .exchange(&keyed(way.request(model, &taking(tokens)), ACME))
        .await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.header("x-tollfree-call").expect("an id").to_owned()
}

/// A day with a crossing, in both groups and in none; the ids of its calls.
async fn a_day(run: &Run, proxy: &Proxy) -> Vec<String> {
    let mut ids = Vec::new();
    for tokens in LARGE {
        ids.push(call(proxy, Way::Chat, "gpt-5.6", tokens).await);
    }
    for way in [Way::Chat, Way::ChatStream] {
        ids.push(call(proxy, way, "gpt-4o-mini", SMALL).await);
    }
    ids.push(call(proxy, Way::Chat, "gpt-3.5-turbo", 510).await);
    run.calls_are_there(ids.len()).await;
    ids
}

/// What every command must say of that day, whoever is asked.
fn says_that_day(run: &Run, ids: &[String], running: bool) {
    let status = run.json(&["status", "--json"]);
    assert_eq!(status["running"], running, "{status}");
    let acme = &status["organizations"][0];
    assert_eq!(acme["organization"], "acme");
    let (large, small) = (&acme["groups"][0], &acme["groups"][1]);
    assert_eq!(
        (&large["group"], &small["group"]),
        (&"large".into(), &"small".into())
    );
    let taken: u64 = LARGE.iter().sum();
    assert_eq!(large["taken_tokens"], taken);
    assert_eq!(large["remaining_tokens"], 0);
    assert_eq!(small["remaining_tokens"], 10_000_000 - 2 * SMALL);
    assert_eq!(run.remaining("small"), 10_000_000 - 2 * SMALL);
    assert_eq!(run.remaining("large"), 0);
    let crossing = &large["crossing_call"];
    assert_eq!(crossing["call"], ids[3].as_str(), "{crossing}");
    assert_eq!(
        (&crossing["tokens"], &crossing["before_tokens"]),
        (&30_000.into(), &975_000.into())
    );
    assert_eq!(acme["total"]["calls"], ids.len());
    assert_eq!(acme["total"]["free_tokens"], 975_000 + 2 * SMALL);
    assert_eq!(acme["total"]["billed_tokens"], 30_800 + 510);

    let report = run.json(&["report", "--days", "2", "--json"]);
    assert_eq!(report["total"]["free_tokens"], acme["total"]["free_tokens"]);
    assert_eq!(report["total"]["cost_usd"], acme["total"]["cost_usd"]);
    assert_eq!(report["total"]["unused_free_tokens"], 25_000);
    let total = run.json(&["total", "--json"]);
    assert_eq!(
        total["organizations"][0]["groups"][0]["taken_tokens"],
        taken
    );

    let listed = run.output(&["calls", "--json"]);
    let listed: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let known: Vec<&str> = listed
        .iter()
        .filter_map(|call| call["call"].as_str())
        .collect();
    assert_eq!(known, ids.iter().map(String::as_str).collect::<Vec<_>>());
    let billed = run.output(&["calls", "--reason", "crossing-call"]);
    assert!(
        billed.contains(&ids[3]) && billed.lines().count() == 1,
        "{billed}"
    );
}

#[tokio::test]
async fn while_it_runs_and_after_it_stopped_commands_say_what_the_bill_says() {
    let run = Run::new().await;
    let mut proxy = Proxy::start(run.kept.setup());
    let ids = a_day(&run, &proxy).await;
    let bill = run.kept.simulator.bill();
    let free: u64 = bill
        .iter()
        .filter(|line| line.free)
        .map(|line| line.tokens)
        .sum();
    assert_eq!(
        free,
        975_000 + 2 * SMALL,
        "what the test expects is what is billed"
    );
    says_that_day(&run, &ids, true);

    proxy.terminate();
    assert_eq!(proxy.wait_for_exit().code(), Some(0), "{}", proxy.log());
    assert!(
        !run.kept.folder().join("control.sock").exists(),
        "a clean stop leaves no socket"
    );
    says_that_day(&run, &ids, false);
    let told = run.run(&["status"]);
    assert!(
        told.errors.contains("no proxy on this ledger; as of "),
        "{}",
        told.errors
    );

    let proxy = Proxy::start(run.kept.setup());
    says_that_day(&run, &ids, true);
    drop(proxy);
}

#[tokio::test]
async fn after_a_kill_they_say_the_same_and_the_next_start_takes_the_stale_socket() {
    let run = Run::new().await;
    let mut proxy = Proxy::start(run.kept.setup());
    let mut ids = a_day(&run, &proxy).await;
    // Nobody looks between this call and the kill: it may be in the tail alone.
    ids.push(call(&proxy, Way::Chat, "gpt-5.6", 100).await);
    command::signal(proxy.id(), "KILL");
    proxy.wait_for_exit();
    assert!(
        run.kept.folder().join("control.sock").exists(),
        "nobody removed it"
    );
    let status = run.json(&["status", "--json"]);
    assert_eq!(status["running"], false);
    assert_eq!(status["organizations"][0]["total"]["calls"], ids.len());
    let last = run.output(&["calls", ids.last().expect("an id"), "--json"]);
    assert!(last.contains("\"reason\":\"allowance-spent\""), "{last}");

    let proxy = Proxy::start(run.kept.setup());
    let status = run.json(&["status", "--json"]);
    assert_eq!(status["running"], true, "{}", proxy.log());
    assert_eq!(status["organizations"][0]["total"]["calls"], ids.len());
}

#[tokio::test]
async fn one_call_is_found_by_each_of_its_ids() {
    let run = Run::new().await;
    let proxy = Proxy::start(run.kept.setup());
    let ids = a_day(&run, &proxy).await;
    let crossing: Value =
        serde_json::from_str(&run.output(&["calls", &ids[3], "--json"])).expect("JSON");
    assert_eq!(crossing["span_before"], 975_000);
    assert_eq!(crossing["span_after"], 1_005_000);
    for id in ["response_id", "request_id"] {
        let id = crossing[id].as_str().expect("an id");
        let found: Value =
            serde_json::from_str(&run.output(&["calls", id, "--json"])).expect("JSON");
        assert_eq!(found, crossing);
    }
    let number = crossing["number"].to_string();
    let found = run.output(&["calls", &number]);
    assert!(found.contains(&format!("call\t{}\n", ids[3])), "{found}");
    let unknown = run.run(&["calls", "c_00000000000000000000000000000000"]);
    assert_eq!((unknown.code, &*unknown.output), (Some(1), ""));
    assert!(unknown.errors.contains("help: "), "{}", unknown.errors);
}

#[tokio::test]
async fn a_stated_total_holds_while_it_runs_and_while_it_does_not() {
    let run = Run::new().await;
    let mut proxy = Proxy::start(run.kept.setup());
    call(&proxy, Way::Chat, "gpt-5.6", 1_000).await;
    let stated = run.json(&[
        "total",
        "set",
        "--group",
        "large",
        "412,000",
        "--organization",
        "acme",
        "--json",
    ]);
    assert_eq!(
        (&stated["before_tokens"], &stated["tokens"]),
        (&1_000.into(), &412_000.into())
    );
    assert_eq!(
        (&stated["organization"], &stated["recorded"]),
        (&"acme".into(), &true.into())
    );
    assert_eq!(run.remaining("large"), 588_000);
    call(&proxy, Way::Chat, "gpt-5.6", 8_000).await;
    assert_eq!(run.remaining("large"), 580_000);

    proxy.terminate();
    proxy.wait_for_exit();
    assert_eq!(run.remaining("large"), 580_000);
    let stated = run.json(&[
        "total",
        "set",
        "--group",
        "large",
        "500000",
        "--organization",
        "acme",
        "--json",
    ]);
    assert_eq!(stated["before_tokens"], 420_000);
    assert_eq!(run.remaining("large"), 500_000);
    let proxy = Proxy::start(run.kept.setup());
    assert_eq!(run.remaining("large"), 500_000);
    let answer = proxy
        .exchange(&keyed(Way::Chat.request("gpt-5.6", &taking(1_000)), ACME))
        .await;
    assert_eq!(answer.header("x-tollfree-remaining-tokens"), Some("499000"));

    for wrong in [
        &["total", "set", "--group", "huge", "1"][..],
        &[
            "total",
            "set",
            "--group",
            "large",
            "1",
            "--organization",
            "nobody",
        ],
        &["total", "set", "--group", "large", "many"],
    ] {
        let ended = run.run(wrong);
        assert_eq!(ended.code, Some(64), "{wrong:?}: {ended:?}");
    }
}

#[tokio::test]
async fn files_have_every_call_and_are_well_formed() {
    let run = Run::new().await;
    let proxy = Proxy::start(run.kept.setup());
    let ids = a_day(&run, &proxy).await;
    let csv = run.output(&["export", "--days", "2"]);
    assert_eq!(csv.matches("\r\n").count(), ids.len() + 1, "{csv}");
    let lines = run.output(&["export", "--format", "jsonl"]);
    for (line, id) in lines.lines().zip(&ids) {
        let call: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(call["call"], id.as_str());
        assert!(call.get("key_hash").is_none(), "{line}");
    }
    assert_eq!(lines.lines().count(), ids.len());
    let report = run.output(&["report", "--csv"]);
    assert!(
        report.starts_with("day,organization,group,calls,"),
        "{report}"
    );
    assert_eq!(
        run.task(&["export"]).run_unread().code,
        Some(0),
        "a reader that left"
    );
    let backwards = run.run(&["export", "--from", "2026-11-22", "--to", "2026-11-21"]);
    assert_eq!(backwards.code, Some(64), "{backwards:?}");
}

#[tokio::test]
async fn watching_tells_each_change_as_it_comes() {
    let run = Run::new().await;
    let proxy = Proxy::start(run.kept.setup());
    call(&proxy, Way::Chat, "gpt-4o-mini", SMALL).await;
    run.calls_are_there(1).await;
    let mut following = run.task(&["calls", "--watch"]);
    let mut watching = run.task(&["status", "--watch"]);
    let (mut calls, mut status) = (following.spawn(), watching.spawn());
    let mut lines = BufReader::new(calls.stdout.take().expect("a pipe")).lines();
    let mut changes = BufReader::new(status.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    let mut change = || changes.next().expect("a line").expect("text");
    assert!(next().contains("gpt-4o-mini"));
    let first = [change(), change()];
    assert!(
        first[0].contains("\tlarge\t") && first[1].contains("\tsmall\t"),
        "{first:?}"
    );
    let id = call(&proxy, Way::Chat, "gpt-5.6", 1_000).await;
    assert!(next().ends_with(&id), "the new call and nothing else");
    let row = change();
    assert!(row.contains("\tlarge\t1000000\t1000\t999000\t"), "{row}");
    for child in [&mut calls, &mut status] {
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}

// The simulator answers while the command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_what_is_wrong_and_says_what_to_do() {
    let run = Run::new().await;
    let before = run.json(&["check", "--json"]);
    assert_eq!(before["exit_code"], 0, "{before}");
    let proxy = Proxy::start(run.kept.setup());
    call(&proxy, Way::Chat, "gpt-4o-mini", SMALL).await;
    run.calls_are_there(1).await;
    let lines = run.output(&["check"]);
    let items: Vec<&str> = lines
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(
        items[..7],
        [
            "config", "offer", "clock", "ledger", "ports", "ports", "upstream"
        ],
        "{lines}"
    );
    assert!(lines.ends_with("7 ok\n"), "{lines}");
    assert!(lines.contains(&format!("(pid {})", proxy.id())), "{lines}");
    assert!(lines.contains("1 call of today"), "{lines}");

    let unreachable = Task::new(["check"])
        .variable("TOLLFREE_DATA_DIR", "off")
        .variable("TOLLFREE_UPSTREAM", "http://127.0.0.1:1")
        .variable("TOLLFREE_LISTEN", &proxy.address().to_string())
        .run();
    assert_eq!(unreachable.code, Some(69), "{unreachable:?}");
    for words in ["FAIL  ports", "FAIL  upstream", "help: ", "2 failed"] {
        assert!(
            unreachable.output.contains(words),
            "{words}: {}",
            unreachable.output
        );
    }
    let mistaken = Task::new(["check"])
        .file("tollfree.toml", "usage_tier = 7\n")
        .run();
    assert_eq!(mistaken.code, Some(78), "{mistaken:?}");
    assert!(
        mistaken.output.contains("tollfree.toml:1:14"),
        "{}",
        mistaken.output
    );
}

#[tokio::test]
async fn nothing_yet_says_what_to_do_next_and_makes_no_folder() {
    let run = Run::new().await;
    for arguments in [&["status"][..], &["calls"], &["report"], &["total"]] {
        let ended = run.run(arguments);
        assert_eq!(
            (ended.code, &*ended.output),
            (Some(0), ""),
            "{arguments:?}: {ended:?}"
        );
    }
    let status = run.json(&["status", "--json"]);
    assert_eq!(status["organizations"], serde_json::json!([]));
    assert!(
        !run.kept.folder().exists(),
        "a question makes no data directory"
    );
    let off = Task::new(["status"])
        .variable("TOLLFREE_DATA_DIR", "off")
        .run();
    assert_eq!(off.code, Some(1), "{off:?}");
    assert!(off.errors.contains("help: "), "{}", off.errors);
}

#[tokio::test]
async fn the_socket_is_its_owners_alone_and_answers_what_it_knows() {
    let run = Run::new().await;
    let _proxy = Proxy::start(run.kept.setup());
    let path = run.kept.folder().join("control.sock");
    let mode = std::fs::metadata(&path)
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(&path).expect("a socket");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for (request, status) in [
        ("GET /api/v1/standing HTTP/1.0\r\n\r\n", "200"),
        ("POST /api/v1/standing HTTP/1.0\r\n\r\n", "405"),
        ("GET /api/v1/nothing HTTP/1.0\r\n\r\n", "404"),
        (
            "POST /api/v1/totals HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}",
            "400",
        ),
        (
            "POST /api/v1/totals HTTP/1.0\r\ncontent-length: 68\r\n\r\n\
             {\"organization\":\"acme\",\"group\":\"large\",\"tokens\":9223372036854775807}",
            "400",
        ),
    ] {
        let answer = ask(request);
        assert_eq!(
            answer.split(' ').nth(1),
            Some(status),
            "{request}: {answer}"
        );
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        let object: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(status == "200", object.get("error").is_none(), "{object}");
    }
}

#[test]
fn an_escape_in_a_pipe_is_nowhere() {
    for arguments in [
        &["status"][..],
        &["calls", "--header"],
        &["report", "--header"],
        &["help", "status"],
    ] {
        let ended = Task::new(arguments).run();
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        assert!(!ended.output.contains('\u{1b}'), "{arguments:?}");
    }
}
