//! A data directory that outlives the proxies on it, and an upstream whose every call takes the same: what remains
//! says how many were counted.
//!
//! It must not know how a proxy ends, or what the ledger looks like.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::chat::{self, CHUNKED, DONE, EVENTS, JSON, MODEL, PATH, ask, completion};
use crate::proxy::{Proxy, ProxySetup};
use crate::raw::{Answer, AnswerHead, Connection, Request, chunk};
use crate::upstream::{Gate, Received, Script, Step, Upstream, head, sized};

const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
const STREAM: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;
/// Tokens free a day, of a small model at usage tier 1.
pub const ALLOWANCE: u64 = 2_500_000;
/// Tokens of each call.
pub const TOKENS: u64 = 46;

/// What stays while proxies come and go.
#[derive(Debug)]
pub struct Lasting {
    above: TempDir,
    /// The upstream.
    pub upstream: Upstream,
    /// Streams end when this is open.
    pub gate: Gate,
}

impl Lasting {
    /// An upstream whose streams do not end yet, and no data directory yet.
    pub async fn new() -> Lasting {
        let gate = Gate::closed();
        let behind = gate.clone();
        let answering = move |asked: &Received| {
            let streamed = String::from_utf8_lossy(&asked.body).contains("\"stream\":true");
            if streamed {
                gated_stream(head(200, &[EVENTS, CHUNKED, ORGANIZATION]), &behind)
            } else {
                whole()
            }
        };
        Lasting {
            above: TempDir::new().expect("a temporary folder"),
            upstream: Upstream::start(answering).await,
            gate,
        }
    }

    /// A folder that is there.
    pub fn above(&self) -> &Path {
        self.above.path()
    }

    /// The data directory, which nobody has made yet.
    pub fn folder(&self) -> PathBuf {
        self.above.path().join("some/where")
    }

    /// A proxy on this data directory. Everything is declared, so that only what the ledger does not know is assumed.
    pub fn setup_in(&self, folder: &Path) -> ProxySetup {
        ProxySetup::to(&self.upstream.url())
            .variable("TOLLFREE_DATA_DIR", &folder.display().to_string())
            .variable("TOLLFREE_USAGE_TIER", "1")
            .declared()
    }

    /// Starts one on the data directory.
    pub fn start(&self) -> Proxy {
        Proxy::start(self.setup_in(&self.folder()))
    }
}

/// An answer in one piece that took [`TOKENS`].
pub fn whole() -> Script {
    let usage = format!(",{}", chat::usage(12, 34));
    let body = completion("chatcmpl-1", MODEL, "Hi", &usage);
    vec![Step::Bytes(sized(200, &[JSON, ORGANIZATION], &body))]
}

/// A stream behind this head whose end waits for the gate and took [`TOKENS`].
pub fn gated_stream(head: Vec<u8>, gate: &Gate) -> Script {
    let mut first = head;
    first.extend(chunk(&chat::says("chatcmpl-s", MODEL, "one")));
    let mut last = chunk(&chat::counts("chatcmpl-s", MODEL, &chat::usage(12, 34)));
    last.extend(chunk(DONE));
    last.extend(b"0\r\n\r\n");
    vec![
        Step::Bytes(first),
        Step::Until(gate.clone()),
        Step::Bytes(last),
    ]
}

/// A call with these members in its body.
fn request(rest: &str) -> Request {
    Request::post(PATH, ask(MODEL, rest)).header("authorization", "Bearer sk-lasting")
}

/// Makes a call with an answer in one piece.
pub async fn called(proxy: &Proxy) -> Answer {
    let answer = proxy.exchange(&request("")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

/// What remains of the day's allowance after a call.
pub fn remaining(answer: &Answer) -> u64 {
    let value = answer.header("x-tollfree-remaining-tokens");
    value.expect("a standing").parse().expect("a number")
}

/// Whether a call's verdict assumes this.
pub fn assumes(answer: &Answer, word: &str) -> bool {
    let all = answer.header("x-tollfree-assumes").unwrap_or_default();
    all.split(',').any(|one| one.trim() == word)
}

/// A stream whose first event has come.
#[derive(Debug)]
pub struct Open {
    connection: Connection,
    head: AnswerHead,
}

impl Open {
    /// Begins one.
    pub async fn begin(proxy: &Proxy) -> Open {
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        connection
            .send(&request(STREAM).bytes())
            .await
            .expect("sent");
        connection.until("one").await;
        let head = connection.head("POST").await.expect("a head");
        Open { connection, head }
    }

    /// Our id of the call.
    pub fn call(&self) -> &str {
        let call = self.head.headers.get("x-tollfree-call");
        call.expect("a call")
    }

    /// Reads all of it, to its end.
    pub async fn end(self) -> Answer {
        let Open {
            mut connection,
            head,
        } = self;
        let body = connection.body(&head).await;
        Answer { head, body }
    }
}

/// Stops it, which must end well.
pub fn stopped(mut proxy: Proxy) {
    proxy.terminate();
    let status = proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
}
