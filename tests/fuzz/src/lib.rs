//! What the fuzz targets hold against the readers: slow, obvious readings of the same bytes, and the cuts at which
//! bytes are pushed. It must not know how the readers work.

// Readers that are their crate's own affair are taken in as files, so that no crate opens a door for this alone. What
// they call by the name of their crate stands here, too.
macro_rules! taken_in {
    ($($file:literal $name:ident)*) => {
        $(#[path = $file] #[allow(dead_code, unused_imports)] mod $name;)*
    };
}
taken_in! {
    "../../../crates/app/src/config/mod.rs" config
    "../../../crates/app/src/cli/layout.rs" layout
    "../../../crates/ledger/src/tail/record.rs" record
    "../../../crates/net/src/http1/answer_head.rs" answer_head
    "../../../crates/net/src/http1/chunked_decoder.rs" chunked_decoder
    "../../../crates/net/src/http1/head.rs" head
    "../../../crates/net/src/http1/body_decoder.rs" body_decoder
    "../../../crates/net/src/http1/request_head.rs" request_head
    "../../../crates/proxy/src/call_id.rs" call_id
    "../../../crates/proxy/src/heads/clear_head.rs" clear_head
    "../../../crates/proxy/src/heads/forward.rs" forward
    "../../../crates/proxy/src/heads/hop_by_hop.rs" hop_by_hop
    "../../../crates/proxy/src/tags.rs" tags
}
mod cli {
    pub(crate) use crate::layout;
}
pub use ledger::Entry;

mod files;
pub mod heads;
pub mod messages;
mod tails;

pub use files::{listed, listed_by, offered, placed, settings, table};
pub use tails::{entries, entries_slowly, record};

use std::collections::BTreeMap;

use meter::Usage;
use serde_json::Value;
use serde_json::value::RawValue;
use wire::{
    Coding, End, Form, Metered, Reading, RequestFacts, ResponseReader, Socket, SocketEvent,
    SocketReader, SocketRequest, SocketRequests,
};

/// Every metered endpoint.
pub const ENDPOINTS: [Metered; 11] = [
    Metered::ChatCompletions,
    Metered::Completions,
    Metered::Responses,
    Metered::ResponsesCompact,
    Metered::Embeddings,
    Metered::Transcriptions,
    Metered::Speech,
    Metered::ImageGenerations,
    Metered::ImageEdits,
    Metered::ThreadRuns,
    Metered::Realtime,
];

/// Every form of a body.
pub const FORMS: [Form; 3] = [Form::Json, Form::EventStream, Form::Other];

/// Every way a body ends.
pub const ENDS: [End; 3] = [End::Complete, End::ClientGone, End::UpstreamFailed];

/// `codings`, none to three of them, as three decimal digits of `number` choose.
pub fn codings(number: u8) -> Vec<Coding> {
    let named = ["identity", "gzip", "deflate", "br", "zstd"];
    let chosen = [number % 5, number / 5 % 5, number / 25 % 5].map(usize::from);
    Coding::of(chosen.map(|one| named[one])).expect("three known names")
}

/// The pieces of `bytes`, of 1 to 17 bytes, as `seed` has it.
pub fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut seed) = (bytes, u32::from(seed));
    std::iter::from_fn(move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (1 + (seed >> 16) % 17) as usize;
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What a reader finds in an answer that is pushed in these pieces.
pub fn reading<'a>(
    mut reader: ResponseReader,
    pieces: impl Iterator<Item = &'a [u8]>,
    end: End,
) -> Reading {
    pieces.for_each(|piece| reader.push(piece));
    reader.finish(end)
}

/// What is to be the same however an answer is cut. Bytes are counted as they come; and events of a stream that pass
/// whole are only searched for, so that a hostile one may be seen or not, but never in two ways.
pub fn lasting(form: Form, one: &Reading, other: &Reading) -> bool {
    match (one, other) {
        (Reading::Reported(one), Reading::Reported(other)) => one.usage == other.usage,
        (Reading::Missing(one), Reading::Missing(other)) => {
            one.why == other.why || form == Form::EventStream
        }
        _ => form == Form::EventStream,
    }
}

/// The usage that a reader believes of a whole chat answer without coding.
pub fn believed(form: Form, body: &[u8]) -> Option<Usage> {
    let reader = ResponseReader::new(Metered::ChatCompletions, form, &[]);
    match reading(reader, std::iter::once(body), End::Complete) {
        Reading::Reported(reported) => Some(reported.usage),
        Reading::Missing(_) => None,
    }
}

/// The counts that `serde_json` sees in a chat object, where they are whole, not absurd, and add up. Bytes that are no
/// text, and control characters in strings, do not matter for them; nor do other numbers, however large.
pub fn counts(json: &[u8]) -> Option<(u64, u64)> {
    type Members = BTreeMap<String, Box<RawValue>>;
    let text = String::from_utf8_lossy(json).replace(|one: char| one < ' ', " ");
    let object: Members = serde_json::from_str(&text).ok()?;
    let usage: Members = serde_json::from_str(object.get("usage")?.get()).ok()?;
    let number = |one: &RawValue| serde_json::from_str::<u64>(one.get()).ok();
    let count = |one: &RawValue| number(one).filter(|one| *one <= Usage::MAX);
    let input = count(usage.get("prompt_tokens")?)?;
    let output = count(usage.get("completion_tokens")?)?;
    let total = usage.get("total_tokens");
    let is_sum = total.is_none_or(|total| number(total) == Some(input + output));
    is_sum.then_some((input, output))
}

/// The data of each server-sent event, read slowly: the whole stream, line by line.
pub fn events(stream: &[u8]) -> Vec<Vec<u8>> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let text: Vec<u8> = stream.to_vec();
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let is_pair = byte == b'\r' && text.get(at + 1) == Some(&b'\n');
        at += 1 + usize::from(is_pair);
        match byte {
            b'\r' | b'\n' => lines.push(Vec::new()),
            _ => lines.last_mut().expect("a line").push(byte),
        }
    }
    let mut events = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    for line in lines.iter().chain([&Vec::new()]) {
        if line.is_empty() {
            events.extend(data.take());
        } else if let Some(value) = value_of(line) {
            let joined = data.take().map(|held| [&held[..], b"\n", value].concat());
            data = Some(joined.unwrap_or_else(|| value.to_vec()));
        }
    }
    events
}

/// The value of a line of data.
fn value_of(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Holds a request's facts against what `serde_json` reads of the same object.
pub fn agree(facts: &RequestFacts, body: &[u8]) {
    let Ok(object) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let object = object
        .as_object()
        .expect("facts are read from objects only");
    if facts.stream {
        assert_eq!(object.get("stream"), Some(&Value::Bool(true)));
    }
    if let Some(model) = &facts.model {
        assert_eq!(object.get("model").and_then(Value::as_str), Some(&**model));
    }
}

/// Whether `asked` is the object of `body` with its usage asked for, and else as it was.
pub fn is_asked(body: &[u8], asked: &[u8]) -> bool {
    let before: Value = serde_json::from_slice(body).expect("only JSON is asked");
    let mut after: Value = serde_json::from_slice(asked).expect("JSON again");
    let options = after["stream_options"].as_object_mut().expect("an object");
    let is_true = options.remove("include_usage") == Some(Value::Bool(true));
    let mut expected = before.clone();
    match expected
        .get_mut("stream_options")
        .and_then(Value::as_object_mut)
    {
        Some(options) => drop(options.remove("include_usage")),
        None => expected["stream_options"] = Value::Object(serde_json::Map::new()),
    }
    is_true && after == expected
}

/// Both WebSockets on which calls are made.
pub const SOCKETS: [Socket; 2] = [Socket::Responses, Socket::Realtime];

/// What the same bytes tell as upstream's direction of a WebSocket and as the client's.
pub fn told(
    socket: Socket,
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> (Vec<SocketEvent>, Vec<SocketRequest>) {
    let (mut events, mut requests) = (Vec::new(), Vec::new());
    let mut reader = SocketReader::new(socket, "/v1/realtime?model=gpt-realtime");
    let mut client = SocketRequests::new();
    for piece in pieces {
        reader.push(piece, |event| events.push(event));
        client.push(piece, |request| requests.push(request));
    }
    (events, requests)
}
