//! Codings that nobody asked for: streams that hardly compress, and requests that are much work.
//!
//! Knows what each side sends and sees; how it is decoded is the product's affair.

use std::fmt::Write as _;

use harness::chance::Chance;
use harness::chat::{self, DATE, DONE, EVENTS, MODEL, PATH, ask};
use harness::coding::Coding;
use harness::http1::End;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::Request;
use harness::upstream::{Upstream, chunked};

/// Events of audio or padding: each has so many digits that nobody can foresee.
const DIGITS: usize = 96;
const EVENTS_BYTES: usize = 300_000;

#[tokio::test]
async fn a_stream_that_hardly_compresses_passes_whole_in_every_coding() {
    let mut chance = Chance::of(7);
    let (mut asked, mut unasked) = (Vec::new(), Vec::new());
    while asked.len() < EVENTS_BYTES {
        let mut text = String::new();
        while text.len() < DIGITS {
            write!(text, "{:016x}", chance.word()).expect("memory");
        }
        let choices = format!(r#""choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]"#);
        let null = format!(r#"{choices},"usage":null"#);
        asked.extend(chat::event("chatcmpl-s", MODEL, &null));
        unasked.extend(chat::event("chatcmpl-s", MODEL, &choices));
    }
    let usage = format!(r#""choices":[],{}"#, chat::usage(30, 12));
    asked.extend(chat::event("chatcmpl-s", MODEL, &usage));
    for stream in [&mut asked, &mut unasked] {
        stream.extend(DONE);
    }
    for coding in Coding::ALL {
        let lines = [EVENTS, DATE, ("content-encoding", coding.name())];
        let encoded = coding.encode(&asked);
        let upstream = Upstream::constant(chunked(200, &lines, &[&encoded])).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()).declared());
        let answer = proxy
            .exchange(&Request::post(PATH, ask(MODEL, r#","stream":true"#)))
            .await;
        assert_eq!(answer.body.end, End::Complete, "{coding:?}");
        assert!(answer.body.bytes == unasked, "{coding:?}");
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.number("tokens"), Some(42), "{coding:?}");
    }
}
