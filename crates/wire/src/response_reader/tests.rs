//! Every shape as a fixture: read whole, cut at every byte, truncated at every byte, encoded.

use std::io::Write;

use meter::Payer;

use super::*;

type Case = (Metered, Form, &'static [u8], Expected);

/// What a fixture must read as.
struct Expected {
    outcome: Result<Usage, Reason>,
    seen: Seen,
}

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!("../../fixtures/", $path))
    };
}

/// input, cached input, cache writes, output, reasoning
fn tokens([input, cached_input, cache_write, output, reasoning]: [u64; 5]) -> Result<Usage, Reason> {
    Ok(Usage {
        input,
        cached_input,
        cache_write,
        output,
        reasoning,
    })
}

fn seen(id: &str, model: &str, tier: &str) -> Seen {
    let text = |text: &str| (!text.is_empty()).then(|| text.into());
    Seen {
        response_id: text(id),
        model: text(model),
        service_tier: text(tier),
        ..Seen::default()
    }
}

fn json_cases() -> Vec<Case> {
    let case = |endpoint, body: &'static [u8], outcome, seen| {
        (endpoint, Form::Json, body, Expected { outcome, seen })
    };
    vec![
        case(
            Metered::ChatCompletions,
            fixture!("json/chat.json"),
            tokens([1200, 1024, 128, 100, 64]),
            seen("chatcmpl-fixture1", "gpt-4o-2024-08-06", "default"),
        ),
        case(
            Metered::Completions,
            fixture!("json/completions_nothing_generated.json"),
            tokens([5, 0, 0, 0, 0]),
            seen("cmpl-fixture", "gpt-3.5-turbo-instruct:20230824-v2", ""),
        ),
        case(
            Metered::Embeddings,
            fixture!("json/embeddings.json"),
            tokens([8, 0, 0, 0, 0]),
            seen("", "text-embedding-3-small", ""),
        ),
        case(
            Metered::Responses,
            fixture!("json/responses.json"),
            tokens([4020, 0, 4012, 5, 3]),
            Seen {
                payer: Some(Payer::OpenAi),
                hosted_tool: true,
                status: Some(Status::Completed),
                completed_at: Some(1_763_700_004),
                ..seen("resp_fixture1", "gpt-5.2-2025-12-11", "default")
            },
        ),
        case(
            Metered::Responses,
            fixture!("json/responses_queued.json"),
            Err(Reason::UsageMissing),
            Seen {
                status: Some(Status::Queued),
                ..seen("resp_bg", "o3-2025-04-16", "")
            },
        ),
        case(
            Metered::ResponsesCompact,
            fixture!("json/responses_compact.json"),
            tokens([70, 0, 0, 30, 0]),
            seen("resp_c", "", ""),
        ),
        case(
            Metered::Transcriptions,
            fixture!("json/transcription_tokens.json"),
            tokens([26, 0, 0, 4, 0]),
            Seen::default(),
        ),
        case(
            Metered::Transcriptions,
            fixture!("json/transcription_duration.json"),
            Err(Reason::UsageMissing),
            Seen::default(),
        ),
        case(
            Metered::ImageGenerations,
            fixture!("json/image.json"),
            tokens([431, 0, 0, 1364, 0]),
            Seen::default(),
        ),
        case(
            Metered::ThreadRuns,
            fixture!("json/run.json"),
            tokens([381, 12, 0, 89, 0]),
            Seen {
                status: Some(Status::Completed),
                completed_at: Some(1_763_700_009),
                ..seen("run_fixture", "gpt-4o-mini", "")
            },
        ),
    ]
}

fn stream_cases() -> Vec<Case> {
    let case = |endpoint, body: &'static [u8], outcome, seen| {
        (endpoint, Form::EventStream, body, Expected { outcome, seen })
    };
    let chat = || seen("chatcmpl-s1", "gpt-4o-mini-2024-07-18", "default");
    let completion = || seen("cmpl-1", "gpt-3.5-turbo-instruct:20230824-v2", "");
    let chat_tokens = || tokens([20, 16, 0, 7, 2]);
    let response = |tier, status| Seen {
        status: Some(status),
        ..seen("resp_s1", "gpt-5.2-2025-12-11", tier)
    };
    let missing = Err(Reason::UsageMissing);
    vec![
        case(Metered::ChatCompletions, fixture!("sse/chat_asked.sse"), chat_tokens(), chat()),
        case(Metered::ChatCompletions, fixture!("sse/chat_crlf_asked.sse"), chat_tokens(), chat()),
        case(Metered::ChatCompletions, fixture!("sse/chat_never_asked.sse"), missing, chat()),
        case(Metered::ChatCompletions, fixture!("sse/moderation_asked.sse"), chat_tokens(), chat()),
        case(
            Metered::ChatCompletions,
            fixture!("sse/chat_error.sse"),
            Err(Reason::ErrorResponse),
            chat(),
        ),
        case(
            Metered::Completions,
            fixture!("sse/completions_asked.sse"),
            tokens([4, 0, 0, 2, 0]),
            completion(),
        ),
        case(Metered::Completions, fixture!("sse/completions_never_asked.sse"), missing, completion()),
        case(
            Metered::Responses,
            fixture!("sse/responses_completed.sse"),
            tokens([40, 8, 0, 9, 4]),
            Seen {
                payer: Some(Payer::Developer),
                hosted_tool: true,
                completed_at: Some(1_763_700_002),
                ..response("flex", Status::Completed)
            },
        ),
        case(
            Metered::Responses,
            fixture!("sse/responses_incomplete.sse"),
            tokens([40, 8, 0, 9, 4]),
            response("default", Status::Incomplete),
        ),
        case(
            Metered::Responses,
            fixture!("sse/responses_failed.sse"),
            Err(Reason::ErrorResponse),
            response("", Status::Failed),
        ),
        case(
            Metered::ThreadRuns,
            fixture!("sse/run.sse"),
            tokens([381, 0, 0, 89, 0]),
            Seen {
                status: Some(Status::Completed),
                completed_at: Some(1_763_700_003),
                ..seen("run_s", "gpt-4o-mini", "")
            },
        ),
        case(
            Metered::Transcriptions,
            fixture!("sse/transcription.sse"),
            tokens([37, 0, 0, 12, 0]),
            Seen::default(),
        ),
        case(
            Metered::ImageGenerations,
            fixture!("sse/image.sse"),
            tokens([50, 0, 0, 50, 0]),
            Seen::default(),
        ),
        case(
            Metered::Speech,
            fixture!("sse/speech.sse"),
            tokens([14, 0, 0, 101, 0]),
            Seen::default(),
        ),
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = json_cases();
    cases.extend(stream_cases());
    cases
}

fn read(endpoint: Metered, form: Form, codings: &[Coding], pieces: &[&[u8]], how: End) -> Reading {
    let mut reader = ResponseReader::new(endpoint, form, codings);
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish(how)
}

/// A reading without the count of bytes, which depends on where a stream is cut.
fn parts(reading: Reading) -> (Result<Usage, Reason>, Seen) {
    let (outcome, seen) = match reading {
        Reading::Reported(Reported { usage, seen }) => (Ok(usage), seen),
        Reading::Missing(Missing { why, seen }) => (Err(why), seen),
    };
    (
        outcome,
        Seen {
            text_bytes: 0,
            ..seen
        },
    )
}

#[test]
fn every_shape_is_read_whole() {
    for (endpoint, form, body, expected) in cases() {
        let (outcome, seen) = parts(read(endpoint, form, &[], &[body], End::Complete));
        assert_eq!(outcome, expected.outcome, "{endpoint} {}", body.escape_ascii());
        assert_eq!(seen, expected.seen, "{endpoint}");
    }
}

#[test]
fn every_shape_is_read_at_every_cut() {
    for (endpoint, form, body, expected) in cases() {
        for cut in 0..=body.len() {
            let (first, second) = body.split_at(cut);
            let (outcome, seen) = parts(read(endpoint, form, &[], &[first, second], End::Complete));
            assert_eq!(outcome, expected.outcome, "{endpoint} cut at {cut}");
            assert_eq!(seen, expected.seen, "{endpoint} cut at {cut}");
        }
        for size in [1, 2, 3, 7] {
            let pieces: Vec<&[u8]> = body.chunks(size).collect();
            let (outcome, seen) = parts(read(endpoint, form, &[], &pieces, End::Complete));
            assert_eq!((outcome, seen), (expected.outcome, expected.seen.clone()));
        }
    }
}

#[test]
fn streams_come_event_by_event() {
    // As they really come: each push is whole events, which is what may pass unread.
    for (endpoint, form, body, expected) in stream_cases() {
        let text = std::str::from_utf8(body).unwrap();
        let pieces: Vec<&[u8]> = text
            .split_inclusive("\n\n")
            .flat_map(|events| events.split_inclusive("\r\n\r\n"))
            .map(str::as_bytes)
            .collect();
        let (outcome, seen) = parts(read(endpoint, form, &[], &pieces, End::Complete));
        assert_eq!(outcome, expected.outcome, "{endpoint}");
        assert_eq!(seen, expected.seen, "{endpoint}");
    }
}

#[test]
fn truncation_never_books_wrong() {
    for (endpoint, form, body, expected) in cases() {
        for end in 0..body.len() {
            for how in [End::Complete, End::ClientGone, End::UpstreamFailed] {
                let cut = &body[..end];
                let (outcome, _) = parts(read(endpoint, form, &[], &[cut], how));
                match outcome {
                    Ok(usage) => assert_eq!(Ok(usage), expected.outcome, "{endpoint} {end}"),
                    Err(why) => assert!(
                        match how {
                            End::Complete => true,
                            End::ClientGone =>
                                matches!(why, Reason::ClientGone) || expected.outcome == Err(why),
                            End::UpstreamFailed =>
                                matches!(why, Reason::UpstreamBroke)
                                    || expected.outcome == Err(why),
                        },
                        "{endpoint} {end} {how:?} {why:?}"
                    ),
                }
                // A JSON answer is whole or it is nothing.
                if form == Form::Json && end + 2 < body.len() {
                    assert!(outcome.is_err());
                }
            }
        }
    }
}

fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Identity => body.to_vec(),
        Coding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        Coding::Deflate => {
            let mut writer =
                flate2::write::ZlibEncoder::new(vec![], flate2::Compression::default());
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        Coding::Brotli => {
            let mut out = vec![];
            brotli::CompressorWriter::new(&mut out, 4096, 5, 22)
                .write_all(body)
                .unwrap();
            out
        }
        Coding::Zstd => zstd::encode_all(body, 3).unwrap(),
    }
}

#[test]
fn every_shape_is_read_through_every_coding() {
    const EVERY: [Coding; 4] = [
        Coding::Gzip,
        Coding::Deflate,
        Coding::Brotli,
        Coding::Zstd,
    ];
    for (endpoint, form, body, expected) in cases() {
        for coding in EVERY {
            let wrapped = encoded(coding, body);
            for size in [1, 5, 100, wrapped.len()] {
                let pieces: Vec<&[u8]> = wrapped.chunks(size).collect();
                let (outcome, seen) =
                    parts(read(endpoint, form, &[coding], &pieces, End::Complete));
                assert_eq!(outcome, expected.outcome, "{endpoint} {coding:?} {size}");
                assert_eq!(seen, expected.seen, "{endpoint} {coding:?} {size}");
            }
            let stacked = encoded(Coding::Gzip, &wrapped);
            let codings = [coding, Coding::Gzip];
            let (outcome, _) =
                parts(read(endpoint, form, &codings, &[&stacked], End::Complete));
            assert_eq!(outcome, expected.outcome, "{endpoint} {coding:?} in gzip");
            for end in (0..wrapped.len()).step_by(7) {
                let cut = &wrapped[..end];
                let (outcome, _) = parts(read(endpoint, form, &[coding], &[cut], End::Complete));
                assert!(outcome.is_err() || outcome == expected.outcome);
            }
        }
    }
}

#[test]
fn a_stream_tells_its_own_end() {
    for (endpoint, form, body, _) in stream_cases() {
        let mut reader = ResponseReader::new(endpoint, form, &[]);
        let before_end = body.len() - 3;
        reader.push(&body[..before_end]);
        // A run's end is told by its own event, before the last line.
        assert_eq!(reader.ended(), endpoint == Metered::ThreadRuns);
        reader.push(&body[before_end..]);
        let has_end = !std::str::from_utf8(body).unwrap().contains("had an error");
        assert_eq!(reader.ended(), has_end, "{endpoint}");
    }
}

#[test]
fn only_the_last_usage_of_a_chat_counts() {
    let event = |choices: &str, total: u64| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":{choices},\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":{},\"total_tokens\":{total}}}}}\n\n",
            total - 1
        )
    };
    let stream = event("[{}]", 5) + &event("[{}]", 9);
    let read = |stream: &str, how| {
        parts(read(
            Metered::ChatCompletions,
            Form::EventStream,
            &[],
            &[stream.as_bytes()],
            how,
        ))
        .0
    };
    assert_eq!(read(&stream, End::Complete), tokens([1, 0, 0, 8, 0]));
    // A count on the way is not the last word if the stream was cut.
    assert_eq!(read(&stream, End::ClientGone), Err(Reason::ClientGone));
    let reported = event("[]", 9);
    assert_eq!(read(&reported, End::ClientGone), tokens([1, 0, 0, 8, 0]));
}

#[test]
fn a_hostile_usage_is_not_believed() {
    let chat = |usage: &str| {
        let body = format!("{{\"id\":\"c\",\"model\":\"m\",\"choices\":[],{usage}}}");
        let stream = format!("data: {body}\n\ndata: [DONE]\n\n");
        let json = parts(read(
            Metered::ChatCompletions,
            Form::Json,
            &[],
            &[body.as_bytes()],
            End::Complete,
        ));
        let events = parts(read(
            Metered::ChatCompletions,
            Form::EventStream,
            &[],
            &[stream.as_bytes()],
            End::Complete,
        ));
        assert_eq!(json.0, events.0, "{usage}");
        json.0
    };
    let good = r#""usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}"#;
    assert_eq!(chat(good), tokens([2, 0, 0, 3, 0]));
    let zero = r#""usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    assert_eq!(chat(zero), tokens([0, 0, 0, 0, 0]));
    let most = r#""usage":{"prompt_tokens":1099511627776,"completion_tokens":0}"#;
    assert_eq!(chat(most), tokens([1 << 40, 0, 0, 0, 0]));
    let detail = r#""usage":{"prompt_tokens":2,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":-1}}"#;
    assert_eq!(chat(detail), tokens([2, 0, 0, 3, 0]));
    for odd in [
        r#""usage":{"prompt_tokens":-2,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":2.0,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":2e0,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":"2","completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":[2],"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":null,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":2,"completion_tokens":null}"#,
        r#""usage":{"prompt_tokens":1099511627777,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":99999999999999999999999,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":6}"#,
        r#""usage":{"prompt_tokens":2,"prompt_tokens":2,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":2,"prompt_\u0074okens":9,"completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5},"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}"#,
        r#""usage":null,"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}"#,
        r#""usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5},"\u0075sage":null"#,
        r#""usage":{"prompt_tokens":2,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":1},"prompt_token_details":{"cached_tokens":1}}"#,
        r#""usage":{"usage":{"prompt_tokens":2,"completion_tokens":3}}"#,
        r#""usage":{"input_tokens":2,"output_tokens":3}"#,
        r#""usage":[{"prompt_tokens":2,"completion_tokens":3}]"#,
        r#""usage":"5""#,
        r#""usage":5"#,
        r#""usage":{}"#,
        r#""usage":null"#,
        r#""x":{"usage":{"prompt_tokens":2,"completion_tokens":3}}"#,
        r#""tool_usage":{"prompt_tokens":2,"completion_tokens":3}"#,
    ] {
        assert_eq!(chat(odd), Err(Reason::UsageMissing), "{odd}");
    }
}

#[test]
fn a_hostile_responses_event_is_not_believed() {
    let usage = r#""usage":{"input_tokens":2,"output_tokens":3,"total_tokens":5}"#;
    let read = |data: &str| {
        let stream = format!("event: response.completed\ndata: {data}\n\n");
        parts(read(
            Metered::Responses,
            Form::EventStream,
            &[],
            &[stream.as_bytes()],
            End::Complete,
        ))
        .0
    };
    let good = format!(r#"{{"response":{{{usage}}},"type":"response.completed"}}"#);
    assert_eq!(read(&good), tokens([2, 0, 0, 3, 0]));
    for odd in [
        format!(r#"{{"type":"response.created","response":{{{usage}}}}}"#),
        format!(r#"{{"type":"response.completed","type":"x","response":{{{usage}}}}}"#),
        format!(r#"{{"type":"response.completed","response":{{{usage}}},"response":{{}}}}"#),
        format!(r#"{{"type":"response.completed","response":{{}},"response":{{{usage}}}}}"#),
        format!(r#"{{"type":"response.completed","response":{{"x":{{{usage}}}}}}}"#),
        format!(r#"{{"type":"response.completed","response":[{{{usage}}}]}}"#),
        format!(r#"{{"type":"response.completed",{usage}}}"#),
    ] {
        assert_eq!(read(&odd), Err(Reason::UsageMissing), "{odd}");
    }
}

#[test]
fn texts_are_short_and_unescaped() {
    let read = |model: &str| {
        let body = format!("{{\"model\":{model}}}");
        parts(read(
            Metered::ChatCompletions,
            Form::Json,
            &[],
            &[body.as_bytes()],
            End::Complete,
        ))
        .1
        .model
    };
    assert_eq!(read(r#""gpt\u002d4o""#).as_deref(), Some("gpt-4o"));
    let longest = "m".repeat(256);
    assert_eq!(read(&format!("\"{longest}\"")).as_deref(), Some(&*longest));
    for odd in [
        format!("\"{longest}m\""),
        r#""""#.to_owned(),
        "7".to_owned(),
        "null".to_owned(),
        r#""\ud800""#.to_owned(),
        r#""a","model":"b""#.to_owned(),
    ] {
        assert_eq!(read(&odd), None, "{odd}");
    }
}

#[test]
fn reasons_say_what_was_wrong() {
    let json = |body: &[u8], how| {
        parts(read(Metered::ChatCompletions, Form::Json, &[], &[body], how)).0
    };
    assert_eq!(json(b"<html>", End::Complete), Err(Reason::UnreadableBody));
    assert_eq!(json(b"{} {}", End::Complete), Err(Reason::UnreadableBody));
    assert_eq!(json(b"{", End::ClientGone), Err(Reason::ClientGone));
    assert_eq!(json(b"{", End::UpstreamFailed), Err(Reason::UpstreamBroke));
    assert_eq!(json(b"{}", End::Complete), Err(Reason::UsageMissing));
    assert_eq!(
        json(b"{\"error\":{}}", End::Complete),
        Err(Reason::ErrorResponse)
    );
    let not_asked =
        ResponseReader::new(Metered::ChatCompletions, Form::EventStream, &[]).not_asked();
    assert_eq!(parts(not_asked.finish(End::Complete)).0, Err(Reason::NotAsked));
    let mut unreadable = ResponseReader::unreadable();
    unreadable.push(b"x");
    assert_eq!(
        parts(unreadable.finish(End::ClientGone)).0,
        Err(Reason::UnreadableBody)
    );
    let mut broken = ResponseReader::new(Metered::Responses, Form::Json, &[Coding::Gzip]);
    broken.push(b"no gzip");
    assert_eq!(
        parts(broken.finish(End::Complete)).0,
        Err(Reason::UnreadableBody)
    );
    let other = ResponseReader::new(Metered::Speech, Form::Other, &[]);
    assert_eq!(parts(other.finish(End::Complete)).0, Err(Reason::UsageMissing));
}

#[test]
fn a_bomb_ends_unreadable() {
    let zeros = vec![b' '; 8 * 1024 * 1024];
    let bomb = encoded(Coding::Gzip, &zeros);
    let mut reader = ResponseReader::new(Metered::Responses, Form::Json, &[Coding::Gzip]);
    reader.push(&bomb);
    assert!(reader.seen().text_bytes < 4 * 1024 * 1024);
    assert_eq!(
        parts(reader.finish(End::Complete)).0,
        Err(Reason::UnreadableBody)
    );
}

#[test]
fn forms_are_told_by_content_type() {
    for (content_type, form) in [
        (None, Form::Json),
        (Some("application/json"), Form::Json),
        (Some("Application/JSON; charset=utf-8"), Form::Json),
        (Some("application/problem+json"), Form::Json),
        (Some("text/event-stream; charset=utf-8"), Form::EventStream),
        (Some("text/plain"), Form::Other),
        (Some("audio/mpeg"), Form::Other),
    ] {
        assert_eq!(Form::of(content_type), form, "{content_type:?}");
    }
}
