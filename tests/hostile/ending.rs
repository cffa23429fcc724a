//! Upstreams that say more once a stream has ended: it passes at once and in order.
//!
//! Knows what each side sends and sees, and how long pieces take beside one another on the same machine.

use std::time::{Duration, Instant};

use harness::chat::{self, CHUNKED, DONE, EVENTS, MODEL, PATH, ask};
use harness::http1::End;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Answer, Connection, Request, chunk};
use harness::upstream::{Gate, Step, Upstream, head};

const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
const STREAM: &str = r#","stream":true"#;
/// A stream that asks for its usage itself, so that its bytes pass as they are.
const ASKED_STREAM: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;
/// Tokens of each answer.
const TOKENS: u64 = 46;

fn says(text: &str) -> Vec<u8> {
    chat::says("chatcmpl-s", MODEL, text)
}

fn counts() -> Vec<u8> {
    chat::counts("chatcmpl-s", MODEL, &chat::usage(12, TOKENS - 12))
}

/// Pieces on either side of a stream's end, each sent when the one before came. After the end, half of those of a kind
/// take at most so much longer than half of those before it do, on the same busy machine: half of what it would be if
/// each waited for upstream's end, 20 ms, as the first one does.
const LATE_PIECES: usize = 200;
const MOST_LATER: Duration = Duration::from_millis(10);
/// A wait of ours is there each time; one that others made on a busy machine is not.
const MOST_RUNS: usize = 5;

fn early_piece(number: usize) -> Vec<u8> {
    says(&format!("before {number}."))
}

fn late_piece(number: usize) -> Vec<u8> {
    let after = format!("after {number}.");
    match number % 2 {
        0 => format!(": {after}\n\n").into_bytes(),
        _ => [DONE, &*says(&after)].concat(),
    }
}

/// Opens the gates one by one, each when the piece behind the one before came, and says how long each piece took.
async fn passing(connection: &mut Connection, gates: &[Gate], word: &str) -> Vec<Duration> {
    let mut took = Vec::new();
    for (number, gate) in gates.iter().enumerate() {
        let began = Instant::now();
        gate.open();
        connection.until(&format!("{word} {number}.")).await;
        took.push(began.elapsed());
    }
    took
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

/// A stream with pieces on either side of its end, whole and in order: how long half of them took at most, before it and
/// of each kind after it.
async fn around_the_end(rest: &str) -> (Duration, [Duration; 2]) {
    let gates = || (0..LATE_PIECES).map(|_| Gate::closed()).collect::<Vec<_>>();
    let (early, late, end) = (gates(), gates(), Gate::closed());
    let begin = head(200, &[EVENTS, CHUNKED, ORGANIZATION]);
    let mut script = vec![Step::Bytes(begin)];
    let mut behind = |gate: &Gate, bytes: &[u8]| {
        script.push(Step::Until(gate.clone()));
        script.push(Step::Bytes(chunk(bytes)));
    };
    for (number, gate) in early.iter().enumerate() {
        behind(gate, &early_piece(number));
    }
    behind(&end, &[&*counts(), DONE].concat());
    for (number, gate) in late.iter().enumerate() {
        behind(gate, &late_piece(number));
    }
    script.push(Step::Bytes(b"0\r\n\r\n".to_vec()));
    let upstream = Upstream::start(move |_| script.clone()).await;
    let setup = ProxySetup::to(&upstream.url()).variable("TOLLFREE_USAGE_TIER", "1");
    let proxy = Proxy::start(setup.declared());
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let request = Request::post(PATH, ask(MODEL, rest)).header("authorization", "Bearer sk-mine");
    connection.send(&request.bytes()).await.expect("sent");
    let before = median(passing(&mut connection, &early, "before").await);
    end.open();
    connection.until("[DONE]").await;
    let after = passing(&mut connection, &late, "after").await;
    let kinds = [0, 1].map(|kind| after.iter().copied().skip(kind).step_by(2).collect());
    let head = connection.head("POST").await.expect("a head");
    let body = connection.body(&head).await;
    assert_eq!(body.end, End::Complete, "{rest}");
    let counted = if rest == STREAM { Vec::new() } else { counts() };
    let mut expected: Vec<u8> = (0..LATE_PIECES).flat_map(early_piece).collect();
    expected.extend([&*counted, DONE].concat());
    expected.extend((0..LATE_PIECES).flat_map(late_piece));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&body.bytes), text(&expected), "{rest}");
    let settled = proxy.settled(&Answer { head, body }).await;
    assert_eq!(settled.verdict(), "free", "{rest}: {settled:?}");
    assert_eq!(settled.number("tokens"), Some(TOKENS), "{rest}");
    (before, kinds.map(median))
}

#[tokio::test]
async fn what_follows_the_end_of_a_stream_passes_at_once_and_in_order() {
    for rest in [STREAM, ASKED_STREAM] {
        let mut runs = Vec::new();
        loop {
            let (before, after) = around_the_end(rest).await;
            if after.iter().all(|after| *after < before + MOST_LATER) {
                break;
            }
            runs.push((before, after));
            assert!(runs.len() < MOST_RUNS, "{rest}: before, after: {runs:?}");
        }
    }
}
