//! The simplest upstream of chat calls: it answers each one alike, whole or as a stream, as asked.
//!
//! It must not know who asks, or on which way.

use crate::chat::{self, DONE, EVENTS, JSON, MODEL};
use crate::upstream::{Received, Script, Step, chunked, sized};

/// Tokens of each answer, input and output together.
pub const TOKENS: u64 = 46;
/// A cookie in two lines, as `OpenAI` sets them.
const COOKIES: [(&str, &str); 2] = [("set-cookie", "a=1"), ("set-cookie", "b=2")];

/// Answers a chat call.
pub fn answering(request: &Received) -> Script {
    let usage = chat::usage(12, TOKENS - 12);
    let [one, other] = COOKIES;
    let asked = String::from_utf8_lossy(&request.body).into_owned();
    let answer = if asked.contains(r#""stream":true"#) {
        let events = [says(), chat::counts("s", MODEL, &usage), DONE.to_vec()];
        let pieces: Vec<&[u8]> = events.iter().map(|event| &**event).collect();
        chunked(200, &[EVENTS, one, other], &pieces)
    } else {
        let body = chat::completion("j", MODEL, "Hi", &format!(",{usage}"));
        sized(200, &[JSON, one, other], &body)
    };
    vec![Step::Bytes(answer)]
}

/// The stream as a client sees it that did not ask for its usage.
pub fn unasked() -> Vec<u8> {
    [says(), DONE.to_vec()].concat()
}

fn says() -> Vec<u8> {
    chat::says("s", MODEL, "Hi")
}

/// The body of a call that is answered whole.
pub fn ask() -> String {
    chat::ask(MODEL, "")
}

/// The body of a call that is answered as a stream.
pub fn ask_stream() -> String {
    chat::ask(MODEL, r#","stream":true"#)
}
