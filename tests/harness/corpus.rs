//! The recorded exchanges of `../shared/corpus`, if that folder is there: real requests to
//! `api.openai.com`, the answers they got, and what each of them is expected to count.
//!
//! Knows the two files' form; plays nothing and judges nothing.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http1::Headers;

/// What kind of call the recording shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// It creates something: its usage counts, if it was no error.
    Count,
    /// It shows the usage of an earlier call.
    Replay,
    /// It has nothing to do with usage.
    None,
}

/// Tokens as reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// `prompt_tokens` or `input_tokens`.
    pub input: u64,
    /// `completion_tokens` or `output_tokens`, 0 if not reported.
    pub output: u64,
}

/// One recorded exchange.
#[derive(Debug)]
pub struct Recording {
    /// Its line in both files, from 0.
    pub line: usize,
    /// Where it was recorded.
    pub source: String,
    /// The request's method.
    pub method: String,
    /// The request's path and query.
    pub path: String,
    /// The request's header lines.
    pub request_headers: Headers,
    /// The request's body.
    pub request_body: Vec<u8>,
    /// The answer's status.
    pub status: u16,
    /// The answer's header lines.
    pub headers: Headers,
    /// The answer's body, decoded.
    pub body: Vec<u8>,
    /// What kind of call it is.
    pub class: Class,
    /// Whether the answer is an event stream.
    pub stream: bool,
    /// The id in the answer.
    pub id: Option<String>,
    /// The model in the answer.
    pub model: Option<String>,
    /// The usage in the answer.
    pub usage: Option<Usage>,
}

#[derive(Deserialize)]
struct RecordedLine {
    source: String,
    request: RecordedRequest,
    response: RecordedResponse,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body_b64: String,
}

#[derive(Deserialize)]
struct RecordedResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body_b64: String,
}

#[derive(Deserialize)]
struct ExpectedLine {
    line: usize,
    class: Class,
    sse: bool,
    id: Option<String>,
    model_response: Option<String>,
    usage: Option<serde_json::Value>,
}

/// All recordings in the order of the file; nothing if the folder is not there.
pub fn recordings() -> Option<&'static [Recording]> {
    static RECORDINGS: OnceLock<Option<Vec<Recording>>> = OnceLock::new();
    RECORDINGS.get_or_init(read).as_deref()
}

fn read() -> Option<Vec<Recording>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus"));
    if !folder.is_dir() {
        return None;
    }
    let recorded: Vec<RecordedLine> = lines(&folder.join("recorded.jsonl.gz"));
    let expected: Vec<ExpectedLine> = lines(&folder.join("expected.jsonl.gz"));
    assert_eq!(recorded.len(), expected.len(), "lines of the two files");
    Some(recorded.into_iter().zip(expected).map(joined).collect())
}

fn lines<T: DeserializeOwned>(file: &PathBuf) -> Vec<T> {
    let file = std::fs::File::open(file).expect("a file of the corpus");
    let decoded = BufReader::new(flate2::read::MultiGzDecoder::new(file));
    let parse = |line: &str| serde_json::from_str(line).expect("a line of the corpus");
    decoded
        .lines()
        .map(|line| parse(&line.expect("text")))
        .collect()
}

fn joined((recorded, expected): (RecordedLine, ExpectedLine)) -> Recording {
    let decode = |text: &str| STANDARD.decode(text).expect("base64");
    Recording {
        line: expected.line,
        source: recorded.source,
        method: recorded.request.method,
        path: recorded.request.path,
        request_headers: Headers(recorded.request.headers),
        request_body: decode(&recorded.request.body_b64),
        status: recorded.response.status,
        headers: Headers(recorded.response.headers),
        body: decode(&recorded.response.body_b64),
        class: expected.class,
        stream: expected.sse,
        id: expected.id,
        model: expected.model_response,
        usage: expected.usage.as_ref().and_then(usage),
    }
}

/// Tokens of a usage object in any of its shapes; nothing for seconds of audio and the like.
fn usage(usage: &serde_json::Value) -> Option<Usage> {
    let number = |name: &str| usage[name].as_u64();
    let input = number("prompt_tokens").or_else(|| number("input_tokens"))?;
    let output = number("completion_tokens").or_else(|| number("output_tokens"));
    let output = output.unwrap_or(0);
    Some(Usage { input, output })
}
