//! What is not believed, and why nothing was found.

use super::cases::tokens;
use super::*;

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
    assert_eq!(read(&stream, End::Complete), Ok(tokens([1, 0, 0, 8, 0])));
    // A count on the way is not the last word if the stream was cut.
    assert_eq!(read(&stream, End::ClientGone), Err(Reason::ClientGone));
    let reported = event("[]", 9);
    assert_eq!(
        read(&reported, End::ClientGone),
        Ok(tokens([1, 0, 0, 8, 0]))
    );
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
    assert_eq!(chat(good), Ok(tokens([2, 0, 0, 3, 0])));
    let zero = r#""usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    assert_eq!(chat(zero), Ok(tokens([0, 0, 0, 0, 0])));
    let most = r#""usage":{"prompt_tokens":1099511627776,"completion_tokens":0}"#;
    assert_eq!(chat(most), Ok(tokens([1 << 40, 0, 0, 0, 0])));
    let no_total = r#""usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":null}"#;
    assert_eq!(chat(no_total), Ok(tokens([2, 0, 0, 3, 0])));
    let detail = r#""usage":{"prompt_tokens":2,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":-1}}"#;
    assert_eq!(chat(detail), Ok(tokens([2, 0, 0, 3, 0])));
    let both = r#""usage":{"prompt_tokens":2,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":1},"prompt_token_details":{"cached_tokens":1}}"#;
    assert_eq!(chat(both), Ok(tokens([2, 1, 0, 3, 0])));
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
        r#""usage":{"prompt_tokens":2,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":1},"prompt_token_details":{"cached_tokens":2}}"#,
        r#""usage":{"usage":{"prompt_tokens":2,"completion_tokens":3}}"#,
        r#""usage":{"prompt_tokens":2}"#,
        r#""usage":{"prompt_tokens":2,"total_tokens":2}"#,
        r#""usage":{"completion_tokens":3,"total_tokens":5}"#,
        r#""usage":{"total_tokens":5}"#,
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
fn output_is_left_out_only_where_there_is_none() {
    let read = |endpoint, usage: &str| {
        let body = format!(r#"{{"model":"m","usage":{usage}}}"#);
        let pieces = [body.as_bytes()];
        parts(read(endpoint, Form::Json, &[], &pieces, End::Complete)).0
    };
    let (alone, summed) = (
        r#"{"prompt_tokens":2}"#,
        r#"{"prompt_tokens":2,"total_tokens":2}"#,
    );
    let input = Ok(tokens([2, 0, 0, 0, 0]));
    let missing = Err(Reason::UsageMissing);
    assert_eq!(read(Metered::Embeddings, alone), input);
    assert_eq!(read(Metered::Embeddings, summed), input);
    assert_eq!(read(Metered::Completions, alone), missing);
    assert_eq!(read(Metered::Completions, summed), input);
    assert_eq!(read(Metered::ChatCompletions, alone), missing);
    assert_eq!(read(Metered::ChatCompletions, summed), missing);
}

#[test]
fn a_run_says_whether_it_was_offered_a_hosted_tool() {
    for (tools, hosted) in [
        ("[]", false),
        (r#"[{"type":"function"}]"#, false),
        (r#"[{"type":"function"},{"type":"file_search"}]"#, true),
    ] {
        let run = format!(
            r#"{{"id":"run_1","object":"thread.run","status":"completed","model":"m","tools":{tools},"usage":{{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}}}"#
        );
        let pieces = [run.as_bytes()];
        let (usage, seen) = parts(read(
            Metered::ThreadRuns,
            Form::Json,
            &[],
            &pieces,
            End::Complete,
        ));
        assert_eq!(usage, Ok(tokens([2, 0, 0, 3, 0])));
        assert_eq!(seen.hosted_tool, hosted, "{tools}");
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
    assert_eq!(read(&good), Ok(tokens([2, 0, 0, 3, 0])));
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
fn a_responses_stream_ends_with_any_event_that_ends_a_response() {
    let usage = r#""usage":{"input_tokens":2,"output_tokens":3,"total_tokens":5}"#;
    let read = |data: &str| {
        let stream = format!("data: {data}\n\n");
        let mut reader = ResponseReader::new(Metered::Responses, Form::EventStream, &[]);
        reader.push(stream.as_bytes());
        (reader.ended(), parts(reader.finish(End::Complete)).0)
    };
    for kind in ["response.cancelled", "response.done"] {
        let data = format!(r#"{{"type":"{kind}","response":{{"id":"r",{usage}}}}}"#);
        assert_eq!(read(&data), (true, Ok(tokens([2, 0, 0, 3, 0]))), "{kind}");
    }
    // A name that is not known here, and what it says.
    for (said, ends) in [
        (format!(r#""status":"cancelled",{usage}"#), true),
        (format!(r#""status":"in_progress",{usage}"#), false),
        (r#""status":"cancelled","usage":null"#.to_owned(), false),
        (r#""status":"completed""#.to_owned(), false),
    ] {
        let data = format!(r#"{{"type":"response.expired","response":{{{said}}}}}"#);
        let (has_ended, outcome) = read(&data);
        assert_eq!(has_ended, ends, "{said}");
        assert_eq!(outcome.is_ok(), ends, "{said}");
    }
}

#[test]
fn a_key_with_escapes_is_read_at_every_cut() {
    for (endpoint, first, last) in [
        (
            Metered::ChatCompletions,
            r#"{"id":"c","choices":[]}"#,
            r#"{"choices":[],"\u0075sage":{"prompt_tokens":2,"completion_tokens":3}}"#,
        ),
        (
            Metered::Responses,
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.completed","r\u0065sponse":{"usage":{"input_tokens":2,"output_tokens":3}}}"#,
        ),
    ] {
        let stream = format!("data: {first}\n\ndata: {last}\n\n");
        for cut in 0..stream.len() {
            let (before, after) = stream.as_bytes().split_at(cut);
            let pieces = [before, after];
            let reading = read(endpoint, Form::EventStream, &[], &pieces, End::Complete);
            assert_eq!(parts(reading).0, Ok(tokens([2, 0, 0, 3, 0])), "{cut}");
        }
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
        parts(read(
            Metered::ChatCompletions,
            Form::Json,
            &[],
            &[body],
            how,
        ))
        .0
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
    assert_eq!(
        parts(not_asked.finish(End::Complete)).0,
        Err(Reason::NotAsked)
    );
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
    assert_eq!(
        parts(other.finish(End::Complete)).0,
        Err(Reason::UsageMissing)
    );
}

#[test]
fn forms_are_told_by_content_type() {
    for (content_type, form) in [
        (None, Form::Json),
        (Some("application/json"), Form::Json),
        (Some("Application/JSON; charset=utf-8"), Form::Json),
        (Some("application/problem+json"), Form::Json),
        (Some("text/json"), Form::Json),
        (Some("text/event-stream; charset=utf-8"), Form::EventStream),
        (Some("text/plain"), Form::Other),
        (Some("audio/mpeg"), Form::Other),
    ] {
        assert_eq!(Form::of(content_type), form, "{content_type:?}");
    }
}
