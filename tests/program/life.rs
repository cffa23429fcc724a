//! The program as people, scripts and service managers meet it: how it starts and refuses to, what it
//! prints, how it reloads and how it ends.
//!
//! Knows arguments, variables, files, signals, output and exit codes; calls only where they show that
//! the proxy still serves.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use harness::chat::{self, CHUNKED, DATE, EVENTS, JSON, MODEL, PATH, ask, completion};
use harness::command::{self, Ended, Task};
use harness::http1::End;
use harness::lasting::gated_stream;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{self, Answer, Connection, Request};
use harness::upstream::{Gate, Upstream, head, sized};
use serde_json::Value;

const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
const STREAM: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;
/// Tokens free a day of the small group at usage tiers 1 and 3.
const SMALL: [(&str, u64); 2] = [("1", 2_500_000), ("3", 10_000_000)];
/// What a program that ends at once may take on a busy machine, far below the 25 s of a drain.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Lines and columns of the smallest terminal that is usual.
const SCREEN: (usize, usize) = (24, 80);

fn run(arguments: &[&str]) -> Ended {
    Task::new(arguments).run()
}

#[test]
fn a_busy_port_is_69_and_says_what_to_do() {
    let busy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = busy.local_addr().expect("an address");
    let ended = run(&["--listen", &address.to_string()]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert_eq!(ended.output, "");
    let said = format!("error: cannot listen on {address}: in use by ");
    assert!(ended.errors.contains(&said), "{}", ended.errors);
    assert!(ended.errors.contains("help: "), "{}", ended.errors);
    assert!(
        ended.errors.contains("--listen 127.0.0.1:"),
        "{}",
        ended.errors
    );
}

#[test]
fn two_mistakes_are_two_spans_in_one_run_and_78_before_any_port_is_bound() {
    // The port is taken: a program that binds before it has read everything ends with 69.
    let busy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = busy.local_addr().expect("an address");
    let file =
        format!("listen = \"{address}\"\nusage_tier = 7\n\n[streams]\n\nask_for_usgae = true\n");
    let ended = Task::new(["serve"]).file("tollfree.toml", &file).run();
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert_eq!(ended.output, "");
    for words in [
        "error: usage tier 7 does not exist",
        "--> tollfree.toml:2:14",
        "usage_tier = 7",
        "tollfree.toml:6:1",
        "ask_for_usgae = true",
        "did you mean `ask_for_usage`?",
        "2 mistakes, nothing was started",
    ] {
        assert!(
            ended.errors.contains(words),
            "{words:?} in:\n{}",
            ended.errors
        );
    }
    assert_eq!(
        ended.errors.matches("error: ").count(),
        2,
        "{}",
        ended.errors
    );
    let underlined = ended.errors.lines().filter(|line| line.contains('^'));
    assert_eq!(underlined.count(), 2, "{}", ended.errors);
    assert!(
        !ended.errors.contains('\u{1b}'),
        "colours where nobody sees them"
    );
}

#[test]
fn wrong_flags_are_64() {
    for arguments in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["--usage-tier", "7"],
        &["--listen", "nowhere"],
        &["demo", "--seconds", "soon"],
        &["--usage-tier", "3", "offer"],
        &["help", "no-such-topic"],
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert_eq!(ended.output, "", "{arguments:?}");
        assert!(
            ended.errors.starts_with("error: "),
            "{arguments:?}: {}",
            ended.errors
        );
    }
}

#[tokio::test]
async fn an_unknown_variable_is_one_warning_with_the_nearest_name() {
    let upstream = Upstream::constant(sized(200, &[JSON], b"{}")).await;
    let setup = ProxySetup::to(&upstream.url())
        .variable("TOLLFREE_USAGE_TEIR", "3")
        .variable("TOLLFREE_PORT", "tcp://10.0.0.1:8800")
        .variable("TOLLFREE_SERVICE_HOST", "10.0.0.1");
    let proxy = Proxy::start(setup);
    let log = proxy.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    for words in ["TOLLFREE_USAGE_TEIR", "did you mean TOLLFREE_USAGE_TIER?"] {
        assert!(warnings[0].contains(words), "{log}");
    }
}

#[test]
fn a_help_that_fits_the_screen_and_a_version_that_dates_the_list() {
    let short = run(&["-h"]);
    let lines: Vec<_> = short.output.lines().collect();
    let widest = lines.iter().map(|line| line.chars().count()).max();
    println!("-h: {} lines, at most {widest:?} columns", lines.len());
    assert_eq!((short.code, &*short.errors), (Some(0), ""));
    // The line that was typed and the prompt after it are on the screen too.
    assert!(lines.len() < SCREEN.0, "{} lines", lines.len());
    assert!(
        widest <= Some(SCREEN.1),
        "{widest:?} columns:\n{}",
        short.output
    );
    assert!(
        lines[0].starts_with("Example: tollfree "),
        "{}",
        short.output
    );
    let long = run(&["--help"]);
    assert_eq!((long.code, &*long.errors), (Some(0), ""));
    assert!(long.output.starts_with("Examples:\n"), "{}", long.output);
    let version = run(&["--version"]);
    assert_eq!((version.code, &*version.errors), (Some(0), ""));
    let rest = version.output.strip_prefix("tollfree ").expect("its name");
    assert_eq!(rest.lines().count(), 1, "{rest}");
    assert!(rest.contains(", model list of 20"), "{rest}");
    // The commit, where git knows one.
    let head = std::process::Command::new("git")
        .args(["rev-parse", "HEAD"])
        .output();
    if head.is_ok_and(|head| head.status.success()) {
        assert!(rest.contains(" ("), "{rest}");
    }
}

#[test]
fn the_offer_as_rows_and_as_json_says_the_same() {
    let (rows, json) = (run(&["offer"]), run(&["offer", "--json"]));
    assert_eq!(
        (rows.code, json.code),
        (Some(0), Some(0)),
        "{rows:?} {json:?}"
    );
    let object: Value = serde_json::from_str(&json.output).expect("one JSON object");
    assert_eq!(object["schema"], 1);
    let version = run(&["--version"]).output;
    let date = object["list_date"].as_str().expect("a date");
    assert!(version.trim_end().ends_with(date), "{version} {date}");
    let models = object["models"].as_array().expect("models");
    assert!(models.len() > 20, "{} models", models.len());
    assert_eq!(rows.output.lines().count(), models.len());
    for (row, model) in rows.output.lines().zip(models) {
        let cells: Vec<_> = row.split('\t').collect();
        assert_eq!(cells.len(), 9, "{row}");
        assert_eq!(
            (cells[0], cells[1]),
            (text(model, "group"), text(model, "id")),
            "{row}"
        );
        assert!(
            cells[4..].iter().all(|cell| cell.parse::<u64>().is_ok()),
            "{row}"
        );
    }
    assert!(!rows.output.contains('\u{1b}'), "colours in a pipe");
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().expect("text")
}

#[test]
fn the_demo_ends_with_the_bill_agreeing() {
    let began = Instant::now();
    let ended = run(&["demo", "--seconds", "1"]);
    println!("demo --seconds 1: {:?}", began.elapsed());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let last = ended.errors.lines().last().unwrap_or_default();
    assert!(last.ends_with("agrees on 312 of 312."), "{}", ended.errors);
    assert_eq!(ended.output.lines().count(), 312, "a row a call");
    let crossing = ended.output.matches("\tbilled\tcrossing-call\n").count();
    assert_eq!(crossing, 1, "{}", ended.output);
}

#[test]
fn a_reader_that_left_is_no_error() {
    for arguments in [
        &["offer"][..],
        &["offer", "--json"],
        &["-h"],
        &["--version"],
        &["help", "config"],
    ] {
        let ended = Task::new(arguments).run_unread();
        assert_eq!((ended.code, &*ended.errors), (Some(0), ""), "{arguments:?}");
    }
    // `tollfree demo | head -1`: the day goes on, and the comparison is still made.
    let mut task = Task::new(["demo", "--seconds", "1"]);
    let mut child = task.spawn();
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut first).expect("a line");
    drop(output);
    let mut errors = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut errors).expect("text");
    assert_eq!(command::wait(&mut child), Some(0), "{errors}");
    assert!(errors.contains("agrees on 312 of 312."), "{errors}");
}

/// What a call's tags say of the allowance: the day's, and what is taken of it.
async fn standing(proxy: &Proxy) -> (u64, u64) {
    let answer = proxy.exchange(&Request::post(PATH, ask(MODEL, ""))).await;
    let number = |name: &str| -> u64 {
        let value = answer.header(&format!("x-tollfree-{name}-tokens"));
        value.expect("a standing").parse().expect("a number")
    };
    let allowance = number("allowance");
    (allowance, allowance - number("remaining"))
}

/// An upstream each of whose answers takes 46 tokens of the small group.
async fn counting() -> Upstream {
    let usage = format!(",{}", chat::usage(12, 34));
    let whole = completion("chatcmpl-1", MODEL, "Hi", &usage);
    Upstream::constant(sized(200, &[JSON, DATE, ORGANIZATION], &whole)).await
}

fn write(folder: &Path, usage_tier: &str) {
    let text = format!("usage_tier = {usage_tier}\nenrolled = true\ncoverage = \"all\"\n");
    // As editors do it: a new file in the old one's place.
    let new = folder.join("new.toml");
    std::fs::write(&new, text).expect("a file");
    std::fs::rename(new, folder.join("tollfree.toml")).expect("a file");
}

async fn logged(proxy: &Proxy, words: &str, times: usize) {
    let what = format!("{times} times {words:?} in the log");
    let many = || (proxy.log().matches(words).count() >= times).then_some(());
    eventually(&what, many).await;
}

#[tokio::test]
async fn a_changed_file_is_reloaded_a_broken_one_is_not_and_totals_stay() {
    let upstream = counting().await;
    let setup = ProxySetup::to(&upstream.url()).config("usage_tier = 1");
    let proxy = Proxy::start(setup);
    proxy.exchange(&Request::get("/v1/models")).await;
    let [(_, low), (_, high)] = SMALL;
    assert_eq!(standing(&proxy).await, (low, 46));
    write(&proxy.folder(), "3");
    logged(&proxy, "configuration reloaded, totals stay", 1).await;
    assert_eq!(standing(&proxy).await, (high, 92));
    write(&proxy.folder(), "7");
    logged(&proxy, "the configuration was not reloaded", 1).await;
    let log = proxy.log();
    assert!(log.contains("usage tier 7 does not exist"), "{log}");
    assert!(log.contains("tollfree.toml:1:14"), "{log}");
    assert_eq!(standing(&proxy).await, (high, 138));
    write(&proxy.folder(), "1");
    logged(&proxy, "configuration reloaded, totals stay", 2).await;
    assert_eq!(standing(&proxy).await, (low, 184));
}

#[tokio::test]
async fn sighup_reloads_what_no_watcher_saw() {
    let upstream = counting().await;
    // What a link points to changes in another folder: nobody is told but by the signal.
    let elsewhere = tempfile::TempDir::new().expect("a temporary folder");
    let here = tempfile::TempDir::new().expect("a temporary folder");
    write(elsewhere.path(), "1");
    let link = here.path().join("linked.toml");
    std::os::unix::fs::symlink(elsewhere.path().join("tollfree.toml"), &link).expect("a link");
    let setup =
        ProxySetup::to(&upstream.url()).variable("TOLLFREE_CONFIG", link.to_str().expect("text"));
    let proxy = Proxy::start(setup);
    proxy.exchange(&Request::get("/v1/models")).await;
    let [(_, low), (_, high)] = SMALL;
    assert_eq!(standing(&proxy).await, (low, 46));
    write(elsewhere.path(), "3");
    command::signal(proxy.id(), "HUP");
    logged(&proxy, "configuration reloaded, totals stay", 1).await;
    assert_eq!(standing(&proxy).await, (high, 92));
}

#[tokio::test]
async fn a_list_with_other_groups_waits_for_a_restart_and_totals_stay_with_their_group() {
    let upstream = counting().await;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/offer.toml");
    let shipped = std::fs::read_to_string(shipped).expect("a file");
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("offer.toml");
    std::fs::write(&file, &shipped).expect("a file");
    let setup = ProxySetup::to(&upstream.url())
        .variable("TOLLFREE_OFFER_FILE", file.to_str().expect("text"));
    let proxy = Proxy::start(setup);
    proxy.exchange(&Request::get("/v1/models")).await;
    let [(_, low), _] = SMALL;
    assert_eq!(standing(&proxy).await, (low, 46));
    let more = shipped.replace("\nsmall = [", "\nmedium = [1, 1, 1, 1, 1]\nsmall = [");
    let more = more + "\n[models.medium]\nsome-model = {}\n";
    std::fs::write(&file, more).expect("a file");
    command::signal(proxy.id(), "HUP");
    logged(
        &proxy,
        "it has large, medium, small. help: restart tollfree",
        1,
    )
    .await;
    assert_eq!(standing(&proxy).await, (low, 92));
}

/// A stream whose first event came, behind a gate, and the proxy it came through.
struct Streaming {
    gate: Gate,
    _upstream: Upstream,
    proxy: Proxy,
    connection: Connection,
}

impl Streaming {
    async fn begin() -> Streaming {
        let gate = Gate::closed();
        let script = gated_stream(head(200, &[EVENTS, CHUNKED, ORGANIZATION]), &gate);
        let upstream = Upstream::start(move |_| script.clone()).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        let request = Request::post(PATH, ask(MODEL, STREAM));
        connection.send(&request.bytes()).await.expect("sent");
        connection.until("one").await;
        Streaming {
            gate,
            _upstream: upstream,
            proxy,
            connection,
        }
    }

    async fn read(&mut self) -> Answer {
        let head = self.connection.head("POST").await.expect("a head");
        let body = self.connection.body(&head).await;
        Answer { head, body }
    }
}

#[tokio::test]
async fn sigterm_lets_an_open_stream_finish_and_ends_with_0() {
    let mut open = Streaming::begin().await;
    open.proxy.terminate();
    open.proxy.wait_for_log("stopping");
    let address = open.proxy.address();
    let refused = || TcpStream::connect(address).is_err().then_some(());
    eventually("no new connections are taken", refused).await;
    open.gate.open();
    let answer = open.read().await;
    assert_eq!(answer.body.end, End::Complete);
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
    let began = Instant::now();
    let status = open.proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", open.proxy.log());
    println!("ended {:?} after the stream", began.elapsed());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_second_sigterm_cuts_the_stream_and_ends_at_once() {
    let mut open = Streaming::begin().await;
    open.proxy.terminate();
    open.proxy.wait_for_log("stopping");
    let began = Instant::now();
    open.proxy.terminate();
    let status = open.proxy.wait_for_exit();
    println!(
        "ended {:?} after the second signal, {status}",
        began.elapsed()
    );
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(0), "{}", open.proxy.log());
    let answer = open.read().await;
    assert!(
        matches!(answer.body.end, End::Broken(_)),
        "{:?}",
        answer.body.end
    );
}

#[tokio::test]
async fn without_open_calls_either_signal_ends_it_at_once_with_0() {
    let upstream = counting().await;
    for name in ["INT", "TERM"] {
        let mut proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        // An idle connection holds nobody up.
        let mut idle = Connection::open(proxy.address()).await.expect("a listener");
        let request = Request::post(PATH, ask(MODEL, ""));
        idle.exchange(&request).await.expect("an answer");
        let began = Instant::now();
        command::signal(proxy.id(), name);
        let status = proxy.wait_for_exit();
        println!("{name}: ended after {:?}", began.elapsed());
        assert_eq!(status.code(), Some(0), "{name}: {}", proxy.log());
        assert!(began.elapsed() < AT_ONCE, "{name}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_stands_in_no_calls_way() {
    let upstream = counting().await;
    let mut task = Task::new(["--listen", "127.0.0.1:0", "--log-filter", "trace"])
        .variable("TOLLFREE_UPSTREAM", &upstream.url());
    let mut child = task.spawn();
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("text"), 0, "it ended");
    }
    let port = line.split("127.0.0.1:").nth(1).expect("an address");
    let end = port
        .find(|digit: char| !digit.is_ascii_digit())
        .expect("an end");
    let port: u16 = port[..end].parse().expect("a port");
    drop(log);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..10 {
        let answer = raw::exchange(address, &Request::post(PATH, ask(MODEL, ""))).await;
        assert_eq!(answer.header("x-tollfree-tokens"), Some("46"));
        let call = answer.header("x-tollfree-call").expect("a call");
        let lookup = Request::get(&format!("/_tollfree/calls/{call}"));
        let settled = Settled::of(&raw::exchange(address, &lookup).await);
        assert_eq!(settled.number("tokens"), Some(46), "{settled:?}");
    }
    command::signal(child.id(), "TERM");
    assert_eq!(command::wait(&mut child), Some(0));
}
