//! Clients that leave: in the middle of a stream, while their answer is held, before it began, and right
//! after its end. Upstream is let go at once, the call is settled, nothing is left behind.
//!
//! Knows when a connection ends at either side; how the proxy notices is its own affair.

use std::time::{Duration, Instant};

use harness::chat::{self, CHUNKED, DATE, DONE, EVENTS, JSON, MODEL, PATH, ask, completion};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{Connection, Request, chunk};
use harness::upstream::{Gate, Step, Upstream, head, sized};
use harness::watched::{Seen, Watched};
use tokio::task::JoinSet;

const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
const KEY: &str = "Bearer sk-mine";
/// A stream that asks for its usage itself, so that its bytes pass as they are.
const STREAM: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;
/// The member that bounds the output; without one a call may take as much as its model can.
const BOUND: &str = r#","max_completion_tokens":100"#;
/// What the tests allow upstream to wait for its connection's end. The promise is 100 ms; the machine
/// that runs the tests may be busy.
const MOST_LEFT_ALONE: Duration = Duration::from_secs(1);
/// Clients that leave in one test. At 128,000 tokens each, the most their model can take, any 20 of them
/// may have taken the whole allowance of 2,500,000 tokens.
const LEAVERS: usize = 50;

fn setup(upstream: &str) -> ProxySetup {
    ProxySetup::to(upstream)
        .variable("TOLLFREE_USAGE_TIER", "1")
        .declared()
}

/// A whole answer that names the organization and takes 46 tokens.
fn whole() -> Vec<u8> {
    let usage = format!(",{}", chat::usage(12, 34));
    let body = completion("chatcmpl-whole", MODEL, "Hi", &usage);
    sized(200, &[JSON, DATE, ORGANIZATION], &body)
}

/// The head and the first event of a stream.
fn begun() -> Vec<u8> {
    let mut begun = head(200, &[EVENTS, CHUNKED, DATE, ORGANIZATION]);
    begun.extend(chunk(&chat::says("chatcmpl-s", MODEL, "one")));
    begun
}

/// An upstream that begins to answer the requests that ask for a stream or are marked, and answers the
/// others; and a proxy before it that knows the day and whose key it is.
async fn leaving(beginning: Vec<u8>) -> (Watched, Proxy) {
    let begins = move |body: &[u8]| {
        let text = String::from_utf8_lossy(body);
        let marked = text.contains(r#""stream":true"#) || text.contains(r#""user":"leaver""#);
        marked.then(|| beginning.clone())
    };
    let upstream = Watched::start(whole(), begins).await;
    let proxy = Proxy::start(setup(&upstream.url()));
    // The first answer tells the day, so that no later call began on another one.
    for _ in 0..2 {
        let answer = proxy.exchange(&asks("")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    (upstream, proxy)
}

fn asks(rest: &str) -> Request {
    Request::post(PATH, ask(MODEL, rest)).header("authorization", KEY)
}

async fn sent(proxy: &Proxy, request: &Request) -> Connection {
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    connection.send(&request.bytes()).await.expect("sent");
    connection
}

/// A stream whose first event came, and its call's id.
async fn streaming(proxy: &Proxy, rest: &str) -> (Connection, String) {
    let mut connection = sent(proxy, &asks(rest)).await;
    connection.until("one").await;
    let head = connection.head("POST").await.expect("a head");
    let call = head.headers.get("x-tollfree-call").expect("a call");
    (connection, call.to_owned())
}

async fn lookup(proxy: &Proxy, call: &str) -> Settled {
    let request = Request::get(&format!("/_tollfree/calls/{call}?wait=10"));
    Settled::of(&proxy.exchange(&request).await)
}

/// When upstream's connection ended that brought the request number `number`.
async fn left(upstream: &Watched, number: usize) -> Instant {
    let left = |seen: Vec<Seen>| seen.get(number).and_then(|seen| seen.left);
    eventually("upstream is let go", || left(upstream.seen())).await
}

/// What a later free verdict assumes.
async fn assumed(proxy: &Proxy) -> (String, Vec<String>) {
    let answer = proxy.exchange(&asks("")).await;
    let tag = |name: &str| answer.header(&format!("x-tollfree-{name}"));
    assert_eq!(tag("verdict"), Some("free"), "{:#?}", answer.head);
    let certainty = tag("certainty").expect("a certainty").to_owned();
    let words = tag("assumes").unwrap_or_default().split(',');
    let words = words.map(|word| word.trim().to_owned());
    (certainty, words.filter(|word| !word.is_empty()).collect())
}

fn open_files(proxy: &Proxy) -> usize {
    let folder = format!("/proc/{}/fd", proxy.id());
    std::fs::read_dir(folder).expect("the process").count()
}

/// Waits until the process has no more open files than before, and the connections of this test's own
/// look-ups are closed.
async fn nothing_leaked(proxy: &Proxy, before: usize) {
    let few = || (open_files(proxy) <= before).then_some(());
    eventually("as many open files as before", few).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_is_let_go_when_a_client_leaves_its_stream_and_the_call_is_unknown() {
    let (upstream, proxy) = leaving(begun()).await;
    let before = open_files(&proxy);
    assert_eq!(assumed(&proxy).await, ("final".to_owned(), vec![]));
    // One after the other, each measured alone.
    let mut alone = Vec::new();
    for number in 0..LEAVERS {
        let (connection, call) = streaming(&proxy, &format!("{STREAM}{BOUND}")).await;
        let leaving = Instant::now();
        drop(connection);
        alone.push(
            left(&upstream, number)
                .await
                .saturating_duration_since(leaving),
        );
        let settled = lookup(&proxy, &call).await;
        assert_eq!(settled.verdict(), "unknown", "{settled:?}");
        assert_eq!(settled.text("reason"), Some("client-gone"), "{settled:?}");
        assert_eq!(settled.number("tokens"), None, "{settled:?}");
    }
    alone.sort_unstable();
    let (middle, worst) = (alone[LEAVERS / 2], alone[LEAVERS - 1]);
    println!("let go after {middle:?} (median), {worst:?} (worst of {LEAVERS}, one by one)");
    assert!(worst < MOST_LEFT_ALONE, "{worst:?}");
    nothing_leaked(&proxy, before).await;
    // Bounded calls may have taken little: the allowance holds even so, and nothing is assumed.
    assert_eq!(assumed(&proxy).await, ("final".to_owned(), vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_leave_at_once_and_what_they_may_have_taken_is_assumed_from_then_on() {
    let (upstream, proxy) = leaving(begun()).await;
    let before = open_files(&proxy);
    let mut arriving = JoinSet::new();
    let proxy = std::sync::Arc::new(proxy);
    for _ in 0..LEAVERS {
        let proxy = std::sync::Arc::clone(&proxy);
        arriving.spawn(async move { streaming(&proxy, STREAM).await });
    }
    let streams = arriving.join_all().await;
    let (connections, calls): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
    let leaving = Instant::now();
    drop(connections);
    let mut worst = Duration::ZERO;
    for number in 0..LEAVERS {
        worst = worst.max(
            left(&upstream, number)
                .await
                .saturating_duration_since(leaving),
        );
    }
    println!("let go after {worst:?} (worst of {LEAVERS} at once)");
    assert!(worst < MOST_LEFT_ALONE, "{worst:?}");
    for call in calls {
        let settled = lookup(&proxy, &call).await;
        assert_eq!(settled.verdict(), "unknown", "{settled:?}");
        assert_eq!(settled.text("reason"), Some("client-gone"), "{settled:?}");
    }
    let unsure = ("assumed".to_owned(), vec!["unknown-calls".to_owned()]);
    assert_eq!(assumed(&proxy).await, unsure);
    nothing_leaked(&proxy, before).await;
}

#[tokio::test]
async fn a_fin_alone_is_leaving() {
    let (upstream, proxy) = leaving(begun()).await;
    let (mut connection, call) = streaming(&proxy, STREAM).await;
    let leaving = Instant::now();
    connection.finish_sending().await.expect("sent");
    let took = left(&upstream, 0).await.saturating_duration_since(leaving);
    println!("let go {took:?} after a FIN");
    assert!(took < MOST_LEFT_ALONE, "{took:?}");
    let settled = lookup(&proxy, &call).await;
    assert_eq!(settled.text("reason"), Some("client-gone"), "{settled:?}");
}

#[tokio::test]
async fn a_client_that_leaves_while_its_answer_is_held_or_awaited_is_settled_too() {
    let answer = whole();
    for (what, beginning) in [
        ("held", answer[..answer.len() - 10].to_vec()),
        ("awaited", Vec::new()),
    ] {
        let (upstream, proxy) = leaving(beginning).await;
        let before = open_files(&proxy);
        assert_eq!(
            assumed(&proxy).await,
            ("final".to_owned(), vec![]),
            "{what}"
        );
        for number in 0..LEAVERS {
            let connection = sent(&proxy, &asks(r#","user":"leaver""#)).await;
            let arrived = || (upstream.seen().len() > number).then_some(());
            eventually("the request is at the upstream", arrived).await;
            let leaving = Instant::now();
            drop(connection);
            let took = left(&upstream, number).await;
            let took = took.saturating_duration_since(leaving);
            assert!(took < MOST_LEFT_ALONE, "{what}: {took:?}");
        }
        let unsure = ("assumed".to_owned(), vec!["unknown-calls".to_owned()]);
        assert_eq!(assumed(&proxy).await, unsure, "{what}");
        nothing_leaked(&proxy, before).await;
    }
}

#[tokio::test]
async fn a_close_right_after_done_is_a_normal_end() {
    // Upstream never ends the body: whoever stops reading at [DONE] has all there is.
    let gate = Gate::closed();
    let script = {
        let mut bytes = begun();
        bytes.extend(chunk(&chat::counts(
            "chatcmpl-s",
            MODEL,
            &chat::usage(12, 34),
        )));
        bytes.extend(chunk(DONE));
        vec![Step::Bytes(bytes), Step::Until(gate)]
    };
    let upstream = Upstream::start(move |_| script.clone()).await;
    let proxy = Proxy::start(setup(&upstream.url()));
    for asking in [STREAM, r#","stream":true"#] {
        for _ in 0..10 {
            let mut connection = sent(&proxy, &asks(asking)).await;
            connection.until("[DONE]").await;
            let head = connection.head("POST").await.expect("a head");
            drop(connection);
            let call = head.headers.get("x-tollfree-call").expect("a call");
            let settled = lookup(&proxy, call).await;
            assert_eq!(settled.verdict(), "free", "{settled:?}");
            assert_eq!(settled.number("tokens"), Some(46), "{settled:?}");
            assert_eq!(settled.text("reason"), Some("within-allowance"));
        }
    }
}

/// A stream that takes 400 tokens in and 100 out; its last events wait for the gate where the request says so.
async fn taught(gate: Gate, switch: (&str, &str)) -> (Upstream, Proxy) {
    let upstream = Upstream::start(move |received| {
        let says = |text| chunk(&chat::says("chatcmpl-e", MODEL, text));
        let mut script = vec![Step::Bytes({
            let mut begun = head(200, &[EVENTS, CHUNKED, DATE, ORGANIZATION]);
            (0..50).for_each(|_| begun.extend(says("word ")));
            begun
        })];
        if received.method == "GET" {
            let usage = format!(",{}", chat::usage(400, 100));
            let body = completion("chatcmpl-e", MODEL, "Hi", &usage);
            return vec![Step::Bytes(sized(200, &[JSON, DATE, ORGANIZATION], &body))];
        }
        if String::from_utf8_lossy(&received.body).contains("leaver") {
            script.push(Step::Until(gate.clone()));
        }
        let mut end: Vec<u8> = (0..50).flat_map(|_| says("word ")).collect();
        let usage = chat::usage(400, 100);
        end.extend(chunk(&chat::counts("chatcmpl-e", MODEL, &usage)));
        end.extend(chunk(DONE));
        end.extend(b"0\r\n\r\n");
        script.push(Step::Bytes(end));
        script
    })
    .await;
    let proxy = Proxy::start(setup(&upstream.url()).variable(switch.0, switch.1));
    (upstream, proxy)
}

fn stream(user: &str) -> Request {
    let rest = format!(r#"{STREAM}{BOUND},"user":"{user}""#);
    Request::post(PATH, ask(MODEL, &rest)).header("authorization", KEY)
}

#[tokio::test]
async fn a_stream_that_was_left_is_estimated_from_streams_of_its_model_and_corrected_when_seen_whole()
 {
    let gate = Gate::closed();
    let (_upstream, proxy) = taught(gate, ("TOLLFREE_STREAMS_CLIENT_GONE", "cancel")).await;
    let remaining = async || {
        let answer = proxy.exchange(&stream("reader")).await;
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.number("tokens"), Some(500));
        settled.number("remaining-tokens").expect("a standing")
    };
    for _ in 0..4 {
        remaining().await;
    }
    let before = remaining().await;
    let mut leaver = Connection::open(proxy.address())
        .await
        .expect("a connection");
    leaver
        .send(&stream("leaver").bytes())
        .await
        .expect("a socket");
    let head = leaver.head("POST").await.expect("a head");
    let call = head
        .headers
        .get("x-tollfree-call")
        .expect("an id")
        .to_owned();
    leaver.until("word ").await;
    drop(leaver);
    let look_up = Request::get(&format!("/_tollfree/calls/{call}?wait=10"));
    let settled = Settled::of(&proxy.exchange(&look_up).await);
    assert_eq!(
        (settled.verdict(), settled.text("certainty")),
        ("free", Some("estimated"))
    );
    let estimate = settled.number("tokens").expect("an estimate");
    // All of the input, and the half of the output that was seen; never more than was taken.
    assert!((300..=500).contains(&estimate), "{estimate}");
    let after = remaining().await;
    assert_eq!(after, before - estimate - 500, "the estimate was taken");
    let whole = Request::get("/v1/chat/completions/chatcmpl-e").header("authorization", KEY);
    for _ in 0..2 {
        assert_eq!(proxy.exchange(&whole).await.status(), 200);
    }
    let settled = Settled::of(&proxy.exchange(&look_up).await);
    assert_eq!(
        (settled.verdict(), settled.number("tokens")),
        ("free", Some(500))
    );
    assert_eq!(
        settled.text("certainty"),
        Some("estimated"),
        "the verdict stays"
    );
    assert_eq!(
        remaining().await,
        after - (500 - estimate) - 500,
        "corrected once"
    );
}

#[tokio::test]
async fn a_stop_waits_for_a_stream_that_is_finished() {
    let gate = Gate::closed();
    let finish = ("TOLLFREE_STREAMS_CLIENT_GONE", "finish");
    let (_upstream, mut proxy) = taught(gate.clone(), finish).await;
    let mut leaver = Connection::open(proxy.address())
        .await
        .expect("a connection");
    leaver
        .send(&stream("leaver").bytes())
        .await
        .expect("a socket");
    leaver.until("word ").await;
    drop(leaver);
    // A stop waits for what is read on.
    proxy.terminate();
    gate.open();
    assert!(proxy.wait_for_exit().success());
}

#[tokio::test]
async fn a_finished_stream_is_settled_from_its_usage() {
    let gate = Gate::closed();
    let finish = ("TOLLFREE_STREAMS_CLIENT_GONE", "finish");
    let (_upstream, proxy) = taught(gate.clone(), finish).await;
    let mut leaver = Connection::open(proxy.address())
        .await
        .expect("a connection");
    leaver
        .send(&stream("leaver").bytes())
        .await
        .expect("a socket");
    let head = leaver.head("POST").await.expect("a head");
    let call = head
        .headers
        .get("x-tollfree-call")
        .expect("an id")
        .to_owned();
    leaver.until("word ").await;
    drop(leaver);
    let look_up = |query: &str| Request::get(&format!("/_tollfree/calls/{call}{query}"));
    let open = Settled::of(&proxy.exchange(&look_up("?wait=1")).await);
    assert_eq!(open.number("tokens"), None, "upstream has not ended yet");
    gate.open();
    let settled = Settled::of(&proxy.exchange(&look_up("?wait=10")).await);
    assert_eq!(
        (settled.verdict(), settled.number("tokens")),
        ("free", Some(500))
    );
    assert_ne!(settled.text("certainty"), Some("estimated"));
}

#[tokio::test]
async fn a_stream_shows_its_verdict_as_a_comment_where_that_is_wanted() {
    let comment = ("TOLLFREE_STREAMS_COMMENT", "true");
    let (_upstream, proxy) = taught(Gate::closed(), comment).await;
    let answer = proxy.exchange(&stream("reader")).await;
    let text = answer.text();
    let (_, last) = text
        .rsplit_once("data: [DONE]\n: x-tollfree ")
        .expect("a comment");
    let shown: serde_json::Value = serde_json::from_str(last.trim_end()).expect("JSON");
    assert!(last.ends_with("}\n\n"), "{last:?}");
    let settled = proxy.settled(&answer).await;
    assert_eq!(shown["verdict"], settled.verdict());
    assert_eq!(shown["tokens"], 500);
    assert_eq!(
        Some(shown["call"].as_str().expect("an id")),
        answer.header("x-tollfree-call")
    );
}
