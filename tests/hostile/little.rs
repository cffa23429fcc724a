//! Little that would cost much: a body in chunks of one byte, interim answers without end, an end said twice.
//!
//! Knows what is sent, what the program weighs after it and what is said of the call; not how it is held.

use std::time::Duration;

use harness::chat::{self, MODEL, PATH, ask, completion};
use harness::gauge::{MIB, Weight, mib};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use harness::upstream::{Step, Upstream, sized};

/// Bytes of the body, each in a chunk of its own.
const CHUNKS: usize = 300_000;

fn before(upstream: &Upstream) -> Proxy {
    Proxy::start(ProxySetup::to(&upstream.url()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_chunks_of_one_byte_weighs_what_its_bytes_weigh() {
    let upstream = Upstream::start(|_| {
        let usage = r#","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}"#;
        let body = completion("chatcmpl-1", MODEL, "x", usage);
        vec![Step::Bytes(sized(200, &[chat::JSON], &body))]
    })
    .await;
    let proxy = before(&upstream);
    for _ in 0..20 {
        proxy.exchange(&Request::post(PATH, ask(MODEL, ""))).await;
    }
    let weight = Weight::of(proxy.id());
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    connection.send(head.as_bytes()).await.expect("sent");
    for _ in 0..CHUNKS / 1_000 {
        let chunks = b"1\r\n \r\n".repeat(1_000);
        connection.send(&chunks).await.expect("sent");
    }
    // The last of them is read by now, and none is given back.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let grown = weight.grown();
    assert!(grown < 16 * MIB, "{}", mib(grown));
}

#[tokio::test]
async fn interim_answers_without_end_are_upstreams_fault_and_the_call_unknown() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_000);
    let flood: Vec<Step> = (0..100).map(|_| Step::Bytes(interim.clone())).collect();
    let upstream = Upstream::start(move |_| flood.clone()).await;
    let proxy = before(&upstream);
    let answer = proxy.exchange(&Request::post(PATH, ask(MODEL, ""))).await;
    assert_eq!(answer.status(), 502, "{}", answer.text());
    assert!(
        answer.text().contains("upstream_broke"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("x-tollfree-verdict"), Some("unknown"));
}
