//! Every recorded exchange, read as the recording's own list says it must be. Skipped where the
//! recordings are not at hand: they are not part of the repository.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use base64::Engine as _;
use meter::{Reason, Usage};
use serde_json::Value;
use wire::{
    Coding, End, Endpoint, Form, Metered, Reading, RequestFacts, ResponseReader, Seen, classify,
};

#[expect(
    clippy::disallowed_methods,
    reason = "the recordings lie beside the repository"
)]
fn lines(name: &str) -> Option<impl Iterator<Item = Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let file = std::fs::File::open(folder.join(name)).ok()?;
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

fn body(message: &Value) -> Vec<u8> {
    let text = message["body_b64"].as_str().unwrap_or_default();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

fn content_type(message: &Value) -> Option<&str> {
    message["headers"].as_array()?.iter().find_map(|header| {
        let is_it = header[0].as_str()?.eq_ignore_ascii_case("content-type");
        is_it.then(|| header[1].as_str())?
    })
}

/// The expected input, output, cached and reasoning tokens.
fn tokens(usage: &Value) -> Option<[u64; 4]> {
    let number = |names: &[&str]| names.iter().find_map(|name| usage.pointer(name)?.as_u64());
    Some([
        number(&["/prompt_tokens", "/input_tokens"])?,
        number(&["/completion_tokens", "/output_tokens"]).unwrap_or(0),
        number(&[
            "/prompt_tokens_details/cached_tokens",
            "/prompt_token_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
        ])
        .unwrap_or(0),
        number(&[
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
        ])
        .unwrap_or(0),
    ])
}

fn read(endpoint: Metered, form: Form, bytes: &[u8], size: usize) -> Reading {
    let mut reader = ResponseReader::new(endpoint, form, &[] as &[Coding]);
    for piece in bytes.chunks(size) {
        reader.push(piece);
    }
    reader.finish(End::Complete)
}

/// The creating endpoint of an exchange, if it is one, and the list agrees.
fn endpoint(expected: &Value, at: &str) -> Option<Metered> {
    let method = expected["method"].as_str().unwrap();
    let endpoint = classify(method, expected["path"].as_str().unwrap()).endpoint;
    match (endpoint, expected["class"].as_str().unwrap()) {
        (Endpoint::Metered(endpoint), class) => {
            assert_eq!(class, "count", "{at}");
            return Some(endpoint);
        }
        // The list counts deletions among them; nothing is shown by those.
        (endpoint, "replay") => {
            assert!(
                matches!(endpoint, Endpoint::Replay(_)) || method == "DELETE",
                "{at}"
            );
        }
        (endpoint, _) => assert_eq!(endpoint, Endpoint::PassThrough, "{at}"),
    }
    None
}

fn parts(reading: Reading) -> (Result<Usage, Reason>, Seen) {
    match reading {
        Reading::Reported(reported) => (Ok(reported.usage), reported.seen),
        Reading::Missing(missing) => (Err(missing.why), missing.seen),
    }
}

/// Reads the answer and says whether its usage was reported.
fn check(endpoint: Metered, expected: &Value, recorded: &Value, at: &str) -> bool {
    let bytes = body(&recorded["response"]);
    let form = Form::of(content_type(&recorded["response"]));
    let is_stream = expected["sse"].as_bool().unwrap();
    assert_eq!(form == Form::EventStream, is_stream, "{at}");
    let (found, seen) = parts(read(endpoint, form, &bytes, usize::MAX));
    for size in [7, 1460] {
        let (cut, cut_seen) = parts(read(endpoint, form, &bytes, size));
        assert_eq!(cut, found, "{at} cut at {size}");
        assert_eq!(cut_seen.response_id, seen.response_id, "{at}");
    }
    let tokens_found = found.ok().map(|usage| {
        [
            usage.input,
            usage.output,
            usage.cached_input,
            usage.reasoning,
        ]
    });
    assert_eq!(tokens_found, tokens(&expected["usage"]), "{at}");
    for (found, name) in [
        (&seen.response_id, "id"),
        (&seen.model, "model_response"),
        (&seen.service_tier, "service_tier"),
    ] {
        assert_eq!(found.as_deref(), expected[name].as_str(), "{at}");
    }
    if let Ok(facts) = RequestFacts::read(endpoint, &body(&recorded["request"])) {
        let model = expected["model_request"].as_str();
        assert_eq!(facts.model.as_deref(), model, "{at}");
    }
    found.is_ok()
}

#[test]
fn recorded_exchanges_are_read_as_expected() {
    let (Some(expected), Some(recorded)) = (lines("expected.jsonl.gz"), lines("recorded.jsonl.gz"))
    else {
        return;
    };
    let mut reported = 0;
    for (expected, recorded) in expected.zip(recorded) {
        let at = format!("line {} {}", expected["line"], expected["path"]);
        let Some(endpoint) = endpoint(&expected, &at) else {
            continue;
        };
        let status = expected["status"].as_u64().unwrap();
        if (200..300).contains(&status) && check(endpoint, &expected, &recorded, &at) {
            reported += 1;
        }
    }
    assert!(reported > 1000, "only {reported} usages read");
}
