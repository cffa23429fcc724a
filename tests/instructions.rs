//! What a call costs, guarded: the instructions of its pieces and of a whole call are held against those recorded in
//! `benches/instructions.txt`, and may be a tenth more. Instructions do not hear the neighbours, so the guard can be that
//! tight on a machine where no time could be.
//!
//! Knows how pieces are counted, not what they do. `just baseline` records what is counted now: a record is changed on
//! purpose, by whoever has a reason for the difference. The gate counts the pieces; a whole call needs the optimised
//! program and is counted by `just bench` and `just deep`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use harness::chat::{DATE, JSON};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use harness::skip::skipped;
use harness::upstream::{Upstream, sized};
use harness::{built, callgrind, foreign};

/// So many hundredths more than recorded are still passed.
const MOST_MORE: u64 = 10;
/// The pieces of `counted`, by its names for them.
const PIECES: [&str; 5] = ["settle", "request", "answer", "event", "unasked-event"];
/// A piece is done so often, twice: what the program itself takes is the same and falls out of the difference.
const TIMES: [u64; 2] = [1_000, 11_000];
/// The same for calls.
const CALLS: [u64; 2] = [500, 2_500];
/// Whole calls: their names, whether a ledger is kept, and what the log is to say. The first is what comes without a word.
const WHOLE: [(&str, bool, &str); 3] = [
    ("call", true, "info,call=off"),
    ("call-without-ledger", false, "info,call=off"),
    ("call-with-a-line-of-the-log", true, "info"),
];
/// Bytes of text in an answer.
const TEXT: usize = 900;

/// Instructions by what took them.
type Counts = BTreeMap<String, u64>;

/// One of the two tests at a time writes the record.
static RECORDING: Mutex<()> = Mutex::new(());

fn record() -> PathBuf {
    foreign::root().join("benches/instructions.txt")
}

/// Reads `name count` from each line that is no comment.
fn read(text: &str) -> Counts {
    let line = |line: &str| {
        let (name, count) = line.split_once(' ').expect("name and count");
        (name.to_owned(), count.trim().parse().expect("a count"))
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(line).collect()
}

/// What counts are made with: others may give other counts of the same program.
fn tools() -> String {
    let output = std::process::Command::new("rustc").arg("-V").output();
    let output = output.expect("the compiler");
    format!(
        "{}, {}, {}.",
        String::from_utf8_lossy(&output.stdout).trim(),
        callgrind::version().unwrap_or_default(),
        std::env::consts::ARCH,
    )
}

fn written(counts: &Counts) -> String {
    let mut text = format!(
        "# Instructions in user space of one call and of its pieces; tests/instructions.rs says how they are counted.\n\
         # Written by `just baseline`, on purpose: the reason stands in the commit.\n\
         # {}\n",
        tools(),
    );
    for (name, count) in counts {
        let _ = writeln!(text, "{name} {count}");
    }
    text
}

/// What takes more than it may, or has no record to be held against.
fn too_many(recorded: &Counts, counted: &Counts) -> Vec<String> {
    let judge = |(name, &now): (&String, &u64)| match recorded.get(name) {
        None => Some(format!("{name}: {now} instructions, none recorded")),
        Some(&before) => {
            let is_more = now * 100 > before * (100 + MOST_MORE);
            is_more.then(|| format!("{name}: {now} instructions, {before} recorded"))
        }
    };
    counted.iter().filter_map(judge).collect()
}

/// Prints what was counted; records it where that is asked for, else holds it against the record.
fn judge(counted: &Counts) {
    let _alone = RECORDING.lock();
    let text = std::fs::read_to_string(record()).unwrap_or_default();
    let mut recorded = read(&text);
    for (name, count) in counted {
        let before = recorded.get(name).map(ToString::to_string);
        let before = before.unwrap_or_else(|| "nothing".to_owned());
        println!("{name}: {count} instructions, {before} recorded");
    }
    if std::env::var("BASELINE").is_ok_and(|baseline| baseline == "1") {
        recorded.extend(counted.clone());
        std::fs::write(record(), written(&recorded)).expect("the record");
        return;
    }
    if !text.contains(&tools()) {
        println!(
            "SKIPPED: counted with {} and recorded with others: not compared",
            tools()
        );
        return;
    }
    let found = too_many(&recorded, counted);
    assert!(
        found.is_empty(),
        "{}\nMore than {MOST_MORE} % more than recorded. help: find out why (just bench); if it has to be, record it: \
         just baseline",
        found.join("\n")
    );
}

/// Whether anything can be counted here.
fn is_here(what: &str) -> bool {
    let here = callgrind::version().is_some();
    if !here {
        skipped(&format!(
            "valgrind is not installed (Debian: apt-get install valgrind): {what} not counted"
        ));
    }
    here
}

/// What one more takes, of two numbers of them.
fn each(numbers: [u64; 2], counts: [u64; 2]) -> u64 {
    (counts[1] - counts[0]) / (numbers[1] - numbers[0])
}

#[test]
fn the_pieces_of_a_call_take_no_more_instructions_than_recorded() {
    if !is_here("the pieces of a call were") {
        return;
    }
    let program = built::program("counted", "counted", "counted");
    let count = |piece: &str| {
        let counts = TIMES.map(|times| callgrind::run(&program, &[piece, &times.to_string()]));
        (piece.to_owned(), each(TIMES, counts))
    };
    judge(&PIECES.into_iter().map(count).collect());
}

/// The instructions of the program from its start to its end, with so many calls in between.
async fn whole(calls: u64, data: &str, log_filter: &str) -> u64 {
    let usage = r#","usage":{"prompt_tokens":147,"completion_tokens":85,"total_tokens":232}"#;
    let text = "word ".repeat(TEXT / 5);
    let body = harness::chat::completion("chatcmpl-1", harness::chat::MODEL, &text, usage);
    let heads = [JSON, DATE, ("openai-organization", "acme")];
    let upstream = Upstream::constant(sized(200, &heads, &body)).await;
    let setup = ProxySetup::to(&upstream.url())
        .variable("TOLLFREE_DATA_DIR", data)
        .variable("TOKIO_WORKER_THREADS", "1")
        .argument(&format!("--log-filter={log_filter}"))
        .under(&callgrind::command());
    let mut proxy = Proxy::start(setup);
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let request = Request::post(
        harness::chat::PATH,
        harness::chat::ask(harness::chat::MODEL, r#","max_completion_tokens":400"#),
    )
    .header("authorization", "Bearer sk-counted")
    .header("user-agent", "OpenAI/Python 2.14.0");
    for _ in 0..calls {
        let answer = connection.exchange(&request).await.expect("an answer");
        assert_eq!(answer.header("x-tollfree-tokens"), Some("232"));
    }
    drop(connection);
    proxy.terminate();
    assert!(proxy.wait_for_exit().success(), "{}", proxy.log());
    callgrind::collected(&proxy.wait_for_log("Collected"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_call_takes_no_more_instructions_than_recorded() {
    if !harness::proxy::is_optimised() {
        println!("a whole call is counted in an optimised build: cargo test --release");
        return;
    }
    if !is_here("a whole call was") {
        return;
    }
    let mut counted = Counts::new();
    for (name, keeps, log_filter) in WHOLE {
        let mut counts = [0; 2];
        for (count, calls) in counts.iter_mut().zip(CALLS) {
            let folder = tempfile::tempdir().expect("a folder");
            let data = folder.path().join("data").display().to_string();
            *count = whole(calls, if keeps { &data } else { "off" }, log_filter).await;
        }
        counted.insert(name.to_owned(), each(CALLS, counts));
    }
    judge(&counted);
}

#[test]
fn a_tenth_more_is_passed_and_beyond_it_is_not() {
    let counts = |count| Counts::from([("settle".to_owned(), count)]);
    let found = |now| too_many(&counts(1_000), &counts(now));
    assert!(found(1_100).is_empty() && found(10).is_empty());
    assert_eq!(found(1_101), ["settle: 1101 instructions, 1000 recorded"]);
    let unknown = too_many(&Counts::new(), &counts(7));
    assert_eq!(unknown, ["settle: 7 instructions, none recorded"]);
}

#[test]
fn what_is_recorded_is_read_again() {
    let counts = Counts::from([("settle".to_owned(), 321), ("a-b".to_owned(), 7)]);
    assert_eq!(read("# a comment\na-b 7\nsettle 321\n"), counts);
}
