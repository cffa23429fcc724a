//! An upstream that plays recorded exchanges: the recording's status, header lines and body, cut at
//! random places, in any content coding.
//!
//! A request says in `x-replay-*` headers what it wants to hear; the proxy forwards headers it does
//! not know, so the same request can be sent directly and through it. Must not know the proxy.

use serde_json::Value;

use crate::coding::Coding;
use crate::corpus::{Recording, Usage};
use crate::http1::find;
use crate::raw::{Request, chunk};
use crate::upstream::{Received, Script, Step, Upstream, head};

/// Header lines that belong to one connection or one framing: not played as recorded.
const REFRAMED: [&str; 4] = [
    "connection",
    "content-encoding",
    "content-length",
    "transfer-encoding",
];
/// The most pieces into which a body is cut, and the most writes of a whole answer.
const MOST_CUTS: u64 = 8;

/// What an upstream does when a stream is asked for its usage though the recorded one was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAsked {
    /// It adds what `OpenAI` adds: `"usage":null` in every event and one event with the usage.
    Answer,
    /// It stays silent about usage.
    Ignore,
}

/// How one recording is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// Decides where bodies and writes are cut.
    pub seed: u64,
    /// The content coding of the body.
    pub coding: Option<Coding>,
    /// What to do for a stream that is asked for its usage.
    pub when_asked: WhenAsked,
}

/// The request of a recording, as the client sent it. `exchange` marks it at the upstream.
pub fn request(recording: &Recording, play: Play, exchange: &str) -> Request {
    let mut request = Request::new(&recording.method, &recording.path);
    let own = ["connection", "host", "content-length"];
    for (name, value) in &recording.request_headers.0 {
        let coded = play.coding.is_some() && name.eq_ignore_ascii_case("accept-encoding");
        if !coded && !own.contains(&&*name.to_ascii_lowercase()) {
            request = request.header(name, value);
        }
    }
    if let Some(coding) = play.coding {
        request = request
            .header("accept-encoding", coding.name())
            .header("x-replay-coding", coding.name());
    }
    if play.when_asked == WhenAsked::Answer {
        request = request.header("x-replay-usage", "answer");
    }
    request.body.clone_from(&recording.request_body);
    request
        .header(
            "authorization",
            &format!("Bearer sk-line-{}", recording.line),
        )
        .header("x-replay-line", &recording.line.to_string())
        .header("x-replay-seed", &play.seed.to_string())
        .header("x-replay-exchange", exchange)
}

/// Plays `recordings` to whoever asks.
pub async fn start(recordings: &'static [Recording]) -> Upstream {
    Upstream::start(move |received| {
        let number = |name| -> u64 {
            let value = received.headers.get(name).expect("a replay header");
            value.parse().expect("a number")
        };
        let line = usize::try_from(number("x-replay-line")).expect("a line");
        script(&recordings[line], received, number("x-replay-seed"))
    })
    .await
}

fn script(recording: &Recording, received: &Received, seed: u64) -> Script {
    let mut random = Random::new(seed);
    let answers = received.headers.has("x-replay-usage");
    let mut body = recording.body.clone();
    if answers && recording.stream && is_unasked(recording) && is_asked(&received.body) {
        body = with_usage(recording);
    }
    let kept = |line: &&(String, String)| !REFRAMED.contains(&&*line.0.to_ascii_lowercase());
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for (name, value) in recording.headers.0.iter().filter(kept) {
        lines.push((name, value));
    }
    let coding = received.headers.get("x-replay-coding");
    if let Some(coding) = coding {
        body = Coding::named(coding).expect("a coding").encode(&body);
        lines.push(("content-encoding", coding));
    }
    let length = body.len().to_string();
    let mut bytes = Vec::new();
    if recording.status == 204 {
        bytes.extend(head(recording.status, &lines));
    } else if recording.headers.has("content-length") {
        lines.push(("content-length", &length));
        bytes.extend(head(recording.status, &lines));
        bytes.extend(&body);
    } else {
        lines.push(("transfer-encoding", "chunked"));
        bytes.extend(head(recording.status, &lines));
        for piece in random.cut(&body) {
            bytes.extend(chunk(piece));
        }
        bytes.extend(b"0\r\n\r\n");
    }
    let pieces = random.cut(&bytes).into_iter();
    pieces.map(|piece| Step::Bytes(piece.to_vec())).collect()
}

/// Whether a request body asks for usage in its stream.
pub fn is_asked(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    body.is_some_and(|body| body["stream_options"]["include_usage"] == Value::Bool(true))
}

/// Whether the recorded request wants a stream that reports usage only if asked, and does not ask.
pub fn is_unasked(recording: &Recording) -> bool {
    let path = recording.path.split('?').next().unwrap_or_default();
    let askable = ["/v1/chat/completions", "/v1/completions"].contains(&path);
    let body: Option<Value> = serde_json::from_slice(&recording.request_body).ok();
    let stream = body.is_some_and(|body| body["stream"] == Value::Bool(true));
    askable && stream && !is_asked(&recording.request_body)
}

/// The usage that [`WhenAsked::Answer`] reports for a stream recorded without one.
pub fn invented_usage(recording: &Recording) -> Usage {
    let line = recording.line as u64;
    let (input, output) = (1_000 + line, 10 + line % 50);
    Usage { input, output }
}

/// A stream recorded without usage as it would have come had it been asked: the member
/// `"usage":null` in each event, in one of the places where recordings have it, and one event with
/// the usage before the end.
fn with_usage(recording: &Recording) -> Vec<u8> {
    let mut asked = Vec::new();
    let mut first = None;
    for event in recording.body.split_inclusive(|byte| *byte == b'\n') {
        if event.starts_with(b"data: [DONE]") {
            asked.extend(usage_event(
                recording,
                first.expect("an event before the end"),
            ));
        }
        if !event.starts_with(b"data: {") {
            asked.extend(event);
            continue;
        }
        first = first.or(Some(event));
        let choices = find(event, b"\"choices\"").unwrap_or(b"data: {".len());
        let (place, member): (usize, &[u8]) = match recording.line % 3 {
            0 => (event.len() - b"}\n".len(), b",\"usage\":null"),
            1 => (choices, b"\"usage\":null,"),
            _ => (b"data: {".len(), b"\"usage\":null,"),
        };
        asked.extend(&event[..place]);
        asked.extend(member);
        asked.extend(&event[place..]);
    }
    asked
}

fn usage_event(recording: &Recording, first: &[u8]) -> Vec<u8> {
    let Usage { input, output } = invented_usage(recording);
    let total = input + output;
    let choices = find(first, b"\"choices\"").expect("choices");
    let mut event = first[..choices].to_vec();
    let rest = format!(
        "\"choices\":[],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output},\
         \"total_tokens\":{total},\"prompt_tokens_details\":{{\"cached_tokens\":0,\"audio_tokens\":0}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0}}}},\
         \"obfuscation\":\"kQ2\"}}\n\n"
    );
    event.extend(rest.into_bytes());
    event
}

/// A small generator whose seed makes a failure repeatable.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Any odd constant serves: a xorshift must not start at 0.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// `bytes` in up to [`MOST_CUTS`] pieces, none of them empty.
    fn cut<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = Vec::new();
        for _ in 1..=self.below(MOST_CUTS) {
            let place = self.below(bytes.len() as u64 + 1);
            places.push(usize::try_from(place).expect("an index"));
        }
        places.push(bytes.len());
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for place in places {
            if place > from {
                pieces.push(&bytes[from..place]);
            }
            from = place;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn cutting_loses_nothing_and_depends_on_the_seed() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut shapes = std::collections::HashSet::new();
        for seed in 0..200 {
            let pieces = Random::new(seed).cut(&bytes);
            assert_eq!(pieces.concat(), bytes);
            shapes.insert(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>());
        }
        assert!(shapes.len() > 100, "only {} ways of cutting", shapes.len());
        assert!(Random::new(1).cut(b"").is_empty());
    }
}
