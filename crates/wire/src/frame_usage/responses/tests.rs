//! Upstream's messages, interleaved, cut, hostile: what is told of each response.

use super::*;
use crate::frame_usage::written::{close, frame, message};
use meter::Usage;

fn told(socket: Socket, bytes: &[u8], step: usize) -> (Vec<SocketEvent>, bool) {
    let mut reader = SocketReader::new(socket, "/v1/realtime?x=1&model=gpt-realtime%3Afirst");
    let mut told = Vec::new();
    for bytes in bytes.chunks(step) {
        reader.push(bytes, |event| told.push(event));
    }
    (told, reader.is_unreadable())
}

fn messages(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| message(text)).collect()
}

fn usage(event: &SocketEvent) -> Option<Usage> {
    match event {
        SocketEvent::Ended {
            reading: Reading::Reported(reported),
            ..
        }
        | SocketEvent::Transcribed(Reading::Reported(reported)) => Some(reported.usage),
        _ => None,
    }
}

fn why(event: &SocketEvent) -> Option<Reason> {
    match event {
        SocketEvent::Ended {
            reading: Reading::Missing(missing),
            ..
        }
        | SocketEvent::Transcribed(Reading::Missing(missing)) => Some(missing.why),
        _ => None,
    }
}

/// Two lanes at once; usage words stand where they do not count.
const LANES: [&str; 9] = [
    r#"{"type":"response.created","response":{"id":"resp_a","model":"gpt-5-2025-08-07","status":"in_progress","usage":null,"service_tier":"auto"},"stream_id":"left"}"#,
    r#"{"type":"response.created","stream_id":"right","response":{"id":"resp_b","model":"gpt-4o-2024-08-06","usage":null}}"#,
    r#"{"type":"response.output_text.delta","delta":"{\"type\":\"response.completed\",\"usage\":{}}","stream_id":"right"}"#,
    r#"{"type":"response.in_progress","response":{"id":"resp_a","usage":{"input_tokens":9,"output_tokens":9}},"stream_id":"left"}"#,
    r#"{"type":"response.completed","response":{"id":"resp_b","model":"gpt-4o-2024-08-06","status":"completed","usage":{"input_tokens":7,"input_tokens_details":{"cached_tokens":3},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":12},"tool_usage":{"image_gen":{"input_tokens":0,"output_tokens":0,"total_tokens":0},"web_search":{"num_requests":1}},"service_tier":"default"},"stream_id":"right"}"#,
    r#"{"type":"error","status":400,"error":{"type":"invalid_request_error","code":"model_not_found"},"stream_id":"right"}"#,
    r#"{"type":"error","stream_id":"left","error":{"type":"server_error"}}"#,
    r#"{"type":"response.failed","response":{"id":"resp_a","status":"failed","usage":null,"error":{"code":"server_error"}},"stream_id":"left"}"#,
    r#"{"type":"response.incomplete","response":{"id":"resp_c","status":"incomplete","usage":{"input_tokens":1,"output_tokens":0,"total_tokens":1}}}"#,
];

#[test]
fn each_lane_is_told_by_itself_at_any_cut() {
    let bytes = messages(&LANES);
    let (whole, _) = told(Socket::Responses, &bytes, bytes.len());
    for step in [1, 2, 13, 1000] {
        assert_eq!(
            told(Socket::Responses, &bytes, step),
            (whole.clone(), false),
            "{step}"
        );
    }
    let [a, b, said, second, refused, failed, first, third] = whole.as_slice() else {
        panic!("{whole:?}")
    };
    let began = |id: &str, lane: &str, model: &str| SocketEvent::Began {
        lane: Some(lane.into()),
        response_id: id.into(),
        model: Some(model.into()),
    };
    assert_eq!(*a, began("resp_a", "left", "gpt-5-2025-08-07"));
    assert_eq!(*b, began("resp_b", "right", "gpt-4o-2024-08-06"));
    let said_so = SocketEvent::Said {
        lane: Some("right".into()),
        bytes: LANES[2].len() as u64,
    };
    assert_eq!(*said, said_so);
    let expected = Usage {
        input: 7,
        cached_input: 3,
        cache_write: 0,
        output: 5,
        reasoning: 2,
        audio: 0,
    };
    assert_eq!(usage(second), Some(expected));
    let SocketEvent::Ended {
        lane,
        reading: Reading::Reported(reported),
    } = second
    else {
        panic!("{second:?}")
    };
    assert_eq!(lane.as_deref(), Some("right"));
    assert!(reported.seen.hosted_tool);
    assert_eq!(reported.seen.service_tier.as_deref(), Some("default"));
    assert_eq!(
        *refused,
        SocketEvent::Refused {
            lane: Some("right".into())
        }
    );
    assert_eq!(
        *failed,
        SocketEvent::Failed {
            lane: Some("left".into())
        }
    );
    assert_eq!(why(first), Some(Reason::ErrorResponse));
    assert_eq!(usage(third).map(|usage| usage.tokens()), Some(1));
}

const REALTIME: [&str; 5] = [
    r#"{"type":"session.created","session":{"model":"gpt-realtime-2025-08-28","audio":{"input":{"transcription":null}}}}"#,
    r#"{"type":"session.updated","session":{"audio":{"input":{"transcription":{"model":"gpt-4o-mini-transcribe"}}}}}"#,
    r#"{"type":"response.created","response":{"id":"resp_r","object":"realtime.response","status":"in_progress","usage":null}}"#,
    r#"{"type":"response.done","response":{"id":"resp_r","status":"completed","output":[{"type":"message"}],"usage":{"total_tokens":79,"input_tokens":16,"output_tokens":63,"input_token_details":{"text_tokens":16,"audio_tokens":0,"cached_tokens":4,"cached_tokens_details":{"text_tokens":4}},"output_token_details":{"text_tokens":19,"audio_tokens":44,"reasoning_tokens":5}}}}"#,
    r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_1","transcript":"hi","usage":{"type":"tokens","total_tokens":30,"input_tokens":26,"input_token_details":{"text_tokens":5,"audio_tokens":21},"output_tokens":4}}"#,
];

#[test]
fn realtime_names_its_models_once_and_spells_its_details_in_the_singular() {
    let (told, _) = told(Socket::Realtime, &messages(&REALTIME), 50);
    let [began, done, transcribed] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        matches!(began, SocketEvent::Began { model: Some(model), .. } if &**model == "gpt-realtime-2025-08-28")
    );
    let expected = Usage {
        input: 16,
        cached_input: 4,
        cache_write: 0,
        output: 63,
        reasoning: 5,
        audio: 44,
    };
    assert_eq!(usage(done), Some(expected));
    let SocketEvent::Transcribed(Reading::Reported(reported)) = transcribed else {
        panic!("{transcribed:?}")
    };
    assert_eq!(reported.usage.tokens(), 30);
    assert_eq!(
        reported.seen.model.as_deref(),
        Some("gpt-4o-mini-transcribe")
    );
    assert_eq!(reported.seen.response_id.as_deref(), Some("item_1"));
}

#[test]
fn the_request_line_names_the_model_until_the_session_does() {
    let (told, _) = told(Socket::Realtime, &messages(&REALTIME[3..4]), 50);
    let SocketEvent::Ended {
        reading: Reading::Reported(reported),
        ..
    } = &told[0]
    else {
        panic!("{told:?}")
    };
    assert_eq!(reported.seen.model.as_deref(), Some("gpt-realtime:first"));
    for (target, model) in [
        ("/v1/realtime", None),
        ("/v1/realtime?model=", None),
        ("/v1/realtime?model=a%2", Some("a%2")),
        ("/v1/realtime?model=%ff", None),
        ("/v1/realtime?call_id=rtc_1&model=a+b", Some("a b")),
    ] {
        assert_eq!(model_asked(target).as_deref(), model, "{target}");
    }
}

#[test]
fn a_duration_is_no_usage_and_an_unbelievable_one_neither() {
    for usage in [
        r#"{"type":"duration","seconds":3}"#,
        r#"{"input_tokens":-1,"output_tokens":3}"#,
        r#"{"input_tokens":1,"output_tokens":2,"total_tokens":4}"#,
        r#""12""#,
    ] {
        let text = format!(
            r#"{{"type":"conversation.item.input_audio_transcription.completed","usage":{usage}}}"#
        );
        let (told, _) = told(Socket::Realtime, &message(&text), 50);
        assert_eq!(why(&told[0]), Some(Reason::UsageMissing), "{usage}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut bytes = message(r#"{"type":"#);
    bytes.extend(message(LANES[8]));
    let (told_after, unreadable) = told(Socket::Responses, &bytes, 9);
    assert!(
        unreadable && told_after.len() == 1,
        "what follows is read all the same"
    );
    let mut bytes = frame(0xc1, b"compressed");
    bytes.extend(message(LANES[8]));
    assert_eq!(told(Socket::Responses, &bytes, 9), (vec![], true));
    assert_eq!(told(Socket::Responses, &close(), 9), (vec![], false));
}
