//! What a stop leaves in the ledger: a kill, a signal under open streams, a second signal; and what a service manager
//! is told meanwhile, and whoever waits for a verdict.
//!
//! Knows signals, exit codes and the documented tables.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::http1::End;
use harness::lasting::{ALLOWANCE, Lasting, Open, TOKENS, assumes, called, remaining};
use harness::patience::eventually;
use harness::proxy::{Proxy, Settled};
use harness::raw::{self, Request};
use harness::sqlite;
use tokio::task::JoinSet;

/// Streams that are open at a stop.
const STREAMS: usize = 200;
/// What the rest of a stop may take on a busy machine, far below the 25 s of a drain.
const AT_ONCE: Duration = Duration::from_secs(5);
/// The longest wait for a word to systemd.
const MOST_SILENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn calls_open_at_a_kill_may_have_taken_something() {
    let kept = Lasting::new().await;
    let first = kept.start();
    let answer = called(&first).await;
    assert!(
        !assumes(&answer, "unclean-stop"),
        "{:?}",
        answer.head.headers
    );
    let open = Open::begin(&first).await;
    first.kill();
    drop(open);
    let second = kept.start();
    let answer = called(&second).await;
    assert_eq!(answer.header("x-tollfree-verdict"), Some("free"));
    assert_eq!(answer.header("x-tollfree-certainty"), Some("assumed"));
    assert!(
        assumes(&answer, "unclean-stop"),
        "{:?}",
        answer.head.headers
    );
    // What is known of the day is known to the token.
    assert_eq!(remaining(&answer), ALLOWANCE - 2 * TOKENS);
}

#[tokio::test]
async fn a_kill_with_nothing_open_leaves_nothing_to_assume() {
    let kept = Lasting::new().await;
    let first = kept.start();
    called(&first).await;
    first.kill();
    let second = kept.start();
    let answer = called(&second).await;
    assert_eq!(remaining(&answer), ALLOWANCE - 2 * TOKENS);
    assert!(
        !assumes(&answer, "unclean-stop"),
        "{:?}",
        answer.head.headers
    );
}

async fn crowd(proxy: &Proxy) -> Vec<Open> {
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        open.push(Open::begin(proxy).await);
    }
    open
}

#[tokio::test]
async fn a_stop_under_200_open_streams_cuts_none_and_leaves_all_of_them_in_the_ledger() {
    let kept = Lasting::new().await;
    let mut proxy = kept.start();
    let open = crowd(&proxy).await;
    proxy.terminate();
    proxy.wait_for_log("stopping");
    kept.gate.open();
    let mut calls = Vec::new();
    for stream in open {
        let answer = stream.end().await;
        assert_eq!(answer.body.end, End::Complete);
        assert!(
            answer.text().ends_with("data: [DONE]\n\n"),
            "{}",
            answer.text()
        );
        let call = answer.header("x-tollfree-call").expect("a call");
        calls.push(call.to_owned());
    }
    let began = Instant::now();
    let status = proxy.wait_for_exit();
    println!("ended {:?} after the last stream", began.elapsed());
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let ledger = sqlite::read(&kept.folder()).expect("a ledger");
    let mut rows: Vec<_> = ledger.rows.iter().map(|row| row.call.clone()).collect();
    rows.sort_unstable();
    calls.sort_unstable();
    assert_eq!(rows, calls);
    assert!(
        ledger
            .rows
            .iter()
            .all(|row| row.tokens == Some(TOKENS) && row.verdict == "free")
    );
    let taken = ledger
        .rows
        .iter()
        .filter_map(|row| row.span)
        .map(|(_, after)| after)
        .max();
    assert_eq!(taken, Some(STREAMS as u64 * TOKENS));
    // Nothing is left beside the database that it would need.
    let wal = kept.folder().join("ledger.sqlite-wal");
    assert!(
        std::fs::metadata(wal).map_or(0, |about| about.len()) == 0,
        "not checkpointed"
    );
}

#[tokio::test]
async fn a_second_signal_cuts_them_and_the_ledger_still_knows_of_each() {
    let kept = Lasting::new().await;
    let mut proxy = kept.start();
    let open = crowd(&proxy).await;
    proxy.terminate();
    proxy.wait_for_log("stopping");
    let began = Instant::now();
    proxy.terminate();
    let status = proxy.wait_for_exit();
    println!("ended {:?} after the second signal", began.elapsed());
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    for stream in open {
        let answer = stream.end().await;
        assert!(
            matches!(answer.body.end, End::Broken(_)),
            "{:?} {}",
            answer.body.end,
            answer.text()
        );
    }
    // A second signal has no time for tables: what is not in them is in the tail, and the next start moves it.
    let again = kept.start();
    let moved = || {
        let ledger = sqlite::read(&kept.folder()).ok()?;
        (ledger.rows.len() >= STREAMS).then_some(ledger)
    };
    let ledger = eventually("each of them is in the ledger", moved).await;
    assert_eq!(ledger.rows.len(), STREAMS);
    assert!(ledger.rows.iter().all(|row| row.verdict == "unknown"));
    // What they may have taken is assumed from now on, as of calls whose usage never came.
    let answer = called(&again).await;
    assert!(
        assumes(&answer, "unknown-calls"),
        "{:?}",
        answer.head.headers
    );
    assert!(
        !assumes(&answer, "unclean-stop"),
        "{:?}",
        answer.head.headers
    );
}

#[tokio::test]
async fn a_stop_is_held_up_by_open_calls_and_not_by_who_waits_for_their_verdicts() {
    let kept = Lasting::new().await;
    let setup = kept.setup_in(&kept.folder());
    let mut proxy = Proxy::start(setup.variable("TOLLFREE_LIMITS_LOOKUP_WAITS_TOTAL", "1"));
    let open = Open::begin(&proxy).await;
    // Only one may wait: as soon as the other is refused, it does.
    let target = format!("/_tollfree/calls/{}?wait=60", open.call());
    let mut asking = JoinSet::new();
    for _ in 0..2 {
        let (address, request) = (proxy.address(), Request::get(&target));
        asking.spawn(async move { raw::exchange(address, &request).await });
    }
    let refused = asking.join_next().await.expect("two").expect("an answer");
    assert_eq!(refused.status(), 429, "{}", refused.text());
    proxy.terminate();
    let began = Instant::now();
    let told = tokio::time::timeout(AT_ONCE, asking.join_next()).await;
    let told = told.expect("an answer at once").expect("one more");
    let told = Settled::of(&told.expect("an answer"));
    println!("told {:?} after the signal", began.elapsed());
    // What the head of the stream said; nobody knows more yet.
    assert_eq!((told.verdict(), told.number("tokens")), ("pending", None));
    // The call itself has its time.
    kept.gate.open();
    assert_eq!(open.end().await.body.end, End::Complete);
    let status = proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
}

#[tokio::test]
async fn systemd_is_told_when_calls_are_taken_and_when_the_stop_begins() {
    let kept = Lasting::new().await;
    let path = kept.above().join("notify");
    let ear = UnixDatagram::bind(&path).expect("a socket");
    ear.set_read_timeout(Some(MOST_SILENCE)).expect("a timeout");
    let heard = || {
        let mut word = [0; 64];
        let read = ear.recv(&mut word).expect("a word");
        String::from_utf8_lossy(&word[..read]).into_owned()
    };
    let setup = kept
        .setup_in(Path::new("off"))
        .variable("STATE_DIRECTORY", &kept.folder().display().to_string())
        .variable("NOTIFY_SOCKET", &path.display().to_string());
    let proxy = Proxy::start(setup);
    assert_eq!(heard(), "READY=1\n");
    called(&proxy).await;
    proxy.terminate();
    assert_eq!(heard(), "STOPPING=1\n");
}
