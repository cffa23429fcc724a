//! Every recorded exchange, read as the recording's own list says it must be. Skipped where the
//! recordings are not at hand: they are not part of the repository.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use base64::Engine as _;
use serde_json::Value;
use wire::{Coding, End, Endpoint, Form, Metered, Reading, RequestFacts, ResponseReader, classify};

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

#[test]
fn recorded_exchanges_are_read_as_expected() {
    let (Some(expected), Some(recorded)) =
        (lines("expected.jsonl.gz"), lines("recorded.jsonl.gz"))
    else {
        return;
    };
    let mut read_exactly = 0;
    let mut missing = 0;
    for (expected, recorded) in expected.zip(recorded) {
        let (method, path) = (&expected["method"], &expected["path"]);
        let method = method.as_str().unwrap();
        let path = path.as_str().unwrap();
        let at = format!("line {} {method} {path}", expected["line"]);
        let endpoint = match (classify(method, path).endpoint, expected["class"].as_str()) {
            (Endpoint::Metered(endpoint), class) => {
                assert_eq!(class, Some("count"), "{at}");
                endpoint
            }
            (found, Some("replay")) => {
                assert_eq!(found, Endpoint::Replay, "{at}");
                continue;
            }
            (found, _) => {
                assert_eq!(found, Endpoint::PassThrough, "{at}");
                continue;
            }
        };
        if !(200..300).contains(&expected["status"].as_u64().unwrap()) {
            continue;
        }
        let bytes = body(&recorded["response"]);
        let form = Form::of(content_type(&recorded["response"]));
        assert_eq!(
            form == Form::EventStream,
            expected["sse"].as_bool().unwrap(),
            "{at}"
        );
        let reading = read(endpoint, form, &bytes, usize::MAX);
        for size in [1, 13, 1460] {
            let cut = read(endpoint, form, &bytes, size);
            match (&reading, &cut) {
                (Reading::Reported(whole), Reading::Reported(cut)) => {
                    assert_eq!(whole.usage, cut.usage, "{at}");
                }
                (Reading::Missing(whole), Reading::Missing(cut)) => {
                    assert_eq!(whole.why, cut.why, "{at}");
                }
                _ => panic!("{at}: {reading:?} but cut at {size} {cut:?}"),
            }
        }
        let (found, seen) = match &reading {
            Reading::Reported(reported) => {
                let usage = reported.usage;
                let tokens = [
                    usage.input,
                    usage.output,
                    usage.cached_input,
                    usage.reasoning,
                ];
                (Some(tokens), &reported.seen)
            }
            Reading::Missing(missing) => (None, &missing.seen),
        };
        assert_eq!(found, tokens(&expected["usage"]), "{at}: {reading:?}");
        assert_eq!(seen.response_id.as_deref(), expected["id"].as_str(), "{at}");
        assert_eq!(
            seen.model.as_deref(),
            expected["model_response"].as_str(),
            "{at}"
        );
        assert_eq!(
            seen.service_tier.as_deref(),
            expected["service_tier"].as_str(),
            "{at}"
        );
        let request = body(&recorded["request"]);
        if let Ok(facts) = RequestFacts::read(endpoint, &request) {
            assert_eq!(
                facts.model.as_deref(),
                expected["model_request"].as_str(),
                "{at}"
            );
        }
        if found.is_some() {
            read_exactly += 1;
        } else {
            missing += 1;
        }
    }
    assert!(read_exactly > 1000, "{read_exactly} read, {missing} missing");
}
