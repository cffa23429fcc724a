//! Where a secret could come to light that should not: the log at its most talkative, refusals, every file that the
//! program writes. Each secret of a call is a word that is then looked for everywhere.
//!
//! Knows the words and the places, not what writes there.

use std::path::Path;

use harness::chat::{self, EVENTS, JSON, MODEL, PATH, ask};
use harness::figures::is_deep;
use harness::http1::find;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use harness::upstream::{Step, Upstream, chunked, sized};

/// Calls in the gate and in the long run.
const CALLS: [usize; 2] = [200, 10_000];
/// What every secret has in it.
const CANARY: &str = "CANARY";

fn secret(request: Request) -> Request {
    request
        .header("authorization", "Bearer sk-CANARY1")
        .header("cookie", "__cf_bm=CANARY2")
        .header("proxy-authorization", "Basic CANARY3")
        .header(
            "sec-websocket-protocol",
            "realtime, openai-insecure-api-key.CANARY4",
        )
}

/// Files of this folder, and of those in it, that hold the word.
fn holding(folder: &Path, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holding(&path, word));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let holds = !bytes.is_empty() && find(&bytes, word.as_bytes()).is_some();
            found.extend(holds.then(|| path.display().to_string()));
        }
    }
    found
}

#[tokio::test]
async fn no_secret_comes_to_light() {
    let says = "CANARY6 is what the model says";
    let whole = chat::completion(
        "chatcmpl-c",
        MODEL,
        says,
        &format!(",{}", chat::usage(12, 34)),
    );
    let upstream = Upstream::start(move |received| {
        let cookie = ("set-cookie", "__cf_bm=CANARY5");
        let stream = String::from_utf8_lossy(&received.body).contains(r#""stream":true"#);
        let answer = if stream {
            let says = chat::says("chatcmpl-c", MODEL, says);
            chunked(200, &[EVENTS, cookie], &[&says, chat::DONE])
        } else {
            sized(200, &[JSON, cookie], &whole)
        };
        vec![Step::Bytes(answer)]
    })
    .await;
    let setup = ProxySetup::to(&upstream.url()).config("[log]\nfilter = \"trace\"");
    let mut proxy = Proxy::start(setup);
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let prompt = r#","user":"CANARY7""#;
    for number in 0..CALLS[usize::from(is_deep())] {
        let stream = [prompt.to_owned(), format!(r#"{prompt},"stream":true"#)];
        let request = match number % 4 {
            0 | 1 => Request::post(PATH, ask(MODEL, &stream[number % 2])),
            2 => Request::get("/v1/models?api_key=CANARY8"),
            _ => Request::post("/v1/files", "CANARY9"),
        };
        let answer = connection
            .exchange(&secret(request))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    // Refusals speak of the request, but not of what it kept secret.
    for line in [
        "connection: authorization\r\n",
        "transfer-encoding: gzip\r\n",
        "x bad: 1\r\n",
    ] {
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\n{line}authorization: Bearer CANARY\r\n\r\n"
        );
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        connection.send(head.as_bytes()).await.expect("sent");
        let refused = connection.head("POST").await.expect("an answer");
        assert_eq!(refused.status, 400, "{line}");
        let body = connection.body(&refused).await;
        assert!(find(&body.bytes, CANARY.as_bytes()).is_none(), "{line}");
    }
    let found = holding(&proxy.folder(), CANARY);
    assert!(found.is_empty(), "while it runs: {found:?}");
    proxy.terminate();
    assert!(proxy.wait_for_exit().success());
    let found = holding(&proxy.folder(), CANARY);
    assert!(found.is_empty(), "after it stopped: {found:?}");
    let log = proxy.log();
    assert!(log.len() > 10_000, "it talks: {}", log.len());
    let line = log.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None);
}
