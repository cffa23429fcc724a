//! The fixtures, and what each must read as.

use meter::Payer;

use super::*;

pub(super) type Case = (Metered, Form, &'static [u8], Expected);

/// What a fixture must read as.
pub(super) struct Expected {
    pub(super) outcome: Result<Usage, Reason>,
    pub(super) seen: Seen,
}

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!("../../../fixtures/", $path))
    };
}

/// input, cached input, cache writes, output, reasoning
pub(super) fn tokens([input, cached_input, cache_write, output, reasoning]: [u64; 5]) -> Usage {
    Usage {
        input,
        cached_input,
        cache_write,
        output,
        reasoning,
        audio: 0,
    }
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

/// A fixture without its form.
type Row = (Metered, &'static [u8], Expected);

fn row(endpoint: Metered, body: &'static [u8], outcome: Result<Usage, Reason>, seen: Seen) -> Row {
    (endpoint, body, Expected { outcome, seen })
}

fn in_form(form: Form, rows: impl IntoIterator<Item = Vec<Row>>) -> Vec<Case> {
    rows.into_iter()
        .flatten()
        .map(|(endpoint, body, expected)| (endpoint, form, body, expected))
        .collect()
}

pub(super) fn json_cases() -> Vec<Case> {
    in_form(Form::Json, [flat_answers(), response_answers()])
}

pub(super) fn stream_cases() -> Vec<Case> {
    in_form(
        Form::EventStream,
        [chat_streams(), response_streams(), other_streams()],
    )
}

fn flat_answers() -> Vec<Row> {
    vec![
        row(
            Metered::ChatCompletions,
            fixture!("json/chat.json"),
            Ok(tokens([1200, 1024, 128, 100, 64])),
            seen("chatcmpl-fixture1", "gpt-4o-2024-08-06", "default"),
        ),
        row(
            Metered::Completions,
            fixture!("json/completions_nothing_generated.json"),
            Ok(tokens([5, 0, 0, 0, 0])),
            seen("cmpl-fixture", "gpt-3.5-turbo-instruct:20230824-v2", ""),
        ),
        row(
            Metered::Embeddings,
            fixture!("json/embeddings.json"),
            Ok(tokens([8, 0, 0, 0, 0])),
            seen("", "text-embedding-3-small", ""),
        ),
        row(
            Metered::Transcriptions,
            fixture!("json/transcription_tokens.json"),
            Ok(Usage {
                audio: 21,
                ..tokens([26, 0, 0, 4, 0])
            }),
            Seen::default(),
        ),
        row(
            Metered::Transcriptions,
            fixture!("json/transcription_duration.json"),
            Err(Reason::UsageMissing),
            Seen::default(),
        ),
        row(
            Metered::ImageGenerations,
            fixture!("json/image.json"),
            Ok(tokens([431, 0, 0, 1364, 0])),
            Seen::default(),
        ),
        row(
            Metered::ThreadRuns,
            fixture!("json/run.json"),
            Ok(tokens([381, 12, 0, 89, 0])),
            Seen {
                status: Some(Status::Completed),
                completed_at: Some(1_763_700_009),
                ..seen("run_fixture", "gpt-4o-mini", "")
            },
        ),
    ]
}

fn response_answers() -> Vec<Row> {
    vec![
        row(
            Metered::Responses,
            fixture!("json/responses.json"),
            Ok(tokens([4020, 0, 4012, 5, 3])),
            Seen {
                payer: Some(Payer::OpenAi),
                hosted_tool: true,
                status: Some(Status::Completed),
                completed_at: Some(1_763_700_004),
                ..seen("resp_fixture1", "gpt-5.2-2025-12-11", "default")
            },
        ),
        row(
            Metered::Responses,
            fixture!("json/responses_queued.json"),
            Err(Reason::UsageMissing),
            Seen {
                status: Some(Status::Queued),
                ..seen("resp_bg", "o3-2025-04-16", "")
            },
        ),
        row(
            Metered::ResponsesCompact,
            fixture!("json/responses_compact.json"),
            Ok(tokens([70, 0, 0, 30, 0])),
            seen("resp_c", "", ""),
        ),
    ]
}

fn chat_streams() -> Vec<Row> {
    let chat = || seen("chatcmpl-s1", "gpt-4o-mini-2024-07-18", "default");
    let completion = || seen("cmpl-1", "gpt-3.5-turbo-instruct:20230824-v2", "");
    let chat_tokens = Ok(tokens([20, 16, 0, 7, 2]));
    let missing = Err(Reason::UsageMissing);
    vec![
        row(
            Metered::ChatCompletions,
            fixture!("sse/chat_asked.sse"),
            chat_tokens,
            chat(),
        ),
        row(
            Metered::ChatCompletions,
            fixture!("sse/chat_crlf_asked.sse"),
            chat_tokens,
            chat(),
        ),
        row(
            Metered::ChatCompletions,
            fixture!("sse/chat_never_asked.sse"),
            missing,
            chat(),
        ),
        row(
            Metered::ChatCompletions,
            fixture!("sse/moderation_asked.sse"),
            chat_tokens,
            chat(),
        ),
        row(
            Metered::ChatCompletions,
            fixture!("sse/chat_error.sse"),
            Err(Reason::ErrorResponse),
            chat(),
        ),
        row(
            Metered::Completions,
            fixture!("sse/completions_asked.sse"),
            Ok(tokens([4, 0, 0, 2, 0])),
            completion(),
        ),
        row(
            Metered::Completions,
            fixture!("sse/completions_never_asked.sse"),
            missing,
            completion(),
        ),
    ]
}

fn response_streams() -> Vec<Row> {
    let response = |tier, status| Seen {
        status: Some(status),
        ..seen("resp_s1", "gpt-5.2-2025-12-11", tier)
    };
    vec![
        row(
            Metered::Responses,
            fixture!("sse/responses_completed.sse"),
            Ok(tokens([40, 8, 0, 9, 4])),
            Seen {
                payer: Some(Payer::Developer),
                hosted_tool: true,
                completed_at: Some(1_763_700_002),
                ..response("flex", Status::Completed)
            },
        ),
        row(
            Metered::Responses,
            fixture!("sse/responses_incomplete.sse"),
            Ok(tokens([40, 8, 0, 9, 4])),
            response("default", Status::Incomplete),
        ),
        row(
            Metered::Responses,
            fixture!("sse/responses_failed.sse"),
            Err(Reason::ErrorResponse),
            response("", Status::Failed),
        ),
    ]
}

fn other_streams() -> Vec<Row> {
    vec![
        row(
            Metered::ThreadRuns,
            fixture!("sse/run.sse"),
            Ok(tokens([381, 0, 0, 89, 0])),
            Seen {
                status: Some(Status::Completed),
                completed_at: Some(1_763_700_003),
                ..seen("run_s", "gpt-4o-mini", "")
            },
        ),
        row(
            Metered::Transcriptions,
            fixture!("sse/transcription.sse"),
            Ok(Usage {
                audio: 37,
                ..tokens([37, 0, 0, 12, 0])
            }),
            Seen::default(),
        ),
        row(
            Metered::ImageGenerations,
            fixture!("sse/image.sse"),
            Ok(tokens([50, 0, 0, 50, 0])),
            Seen::default(),
        ),
        row(
            Metered::Speech,
            fixture!("sse/speech.sse"),
            Ok(tokens([14, 0, 0, 101, 0])),
            Seen::default(),
        ),
    ]
}
