//! Requests: what they say, what bounds them, and how they are asked for usage.

use super::*;
use crate::ask_for_usage;

fn read(endpoint: Metered, body: &str) -> RequestFacts {
    RequestFacts::read(endpoint, body.as_bytes()).unwrap()
}

fn chat(body: &str) -> RequestFacts {
    read(Metered::ChatCompletions, body)
}

#[test]
fn a_chat_request_says_what_it_is() {
    let body = r#"{"messages":[{"role":"user","content":"{\"model\":\"x\",\"stream\":true}"}],"model":"gpt-4o","n":3,"max_tokens":50,"service_tier":"flex","tools":[{"type":"function","function":{"name":"f","parameters":{"model":"y","type":"object"}}}]}"#;
    let facts = chat(body);
    assert_eq!(facts.model.as_deref(), Some("gpt-4o"));
    assert!(!facts.stream && !facts.hosted_tool);
    assert_eq!(facts.usage_asked, UsageAsked::NotAStream);
    assert_eq!(facts.service_tier.as_deref(), Some("flex"));
    assert_eq!(facts.choices, 3);
    assert_eq!(facts.bound, Some(body.len() as u64 + 150));
    assert_eq!(chat("{}"), RequestFacts::default());
}

/// Bodies with a bound, and what it is beyond their bytes.
const BOUNDED: &[(Metered, &str, u64)] = &[
    (Metered::ChatCompletions, r#"{"max_tokens":7}"#, 7),
    (
        Metered::ChatCompletions,
        r#"{"max_completion_tokens":9,"max_tokens":7,"n":null}"#,
        9,
    ),
    (
        Metered::ChatCompletions,
        r#"{"max_tokens":7,"messages":[{"content":[{"type":"text","text":"x"},{"type":"refusal"}]}],"tools":[{"type":"custom"}],"prediction":null}"#,
        7,
    ),
    (
        Metered::Completions,
        r#"{"max_tokens":7,"n":2,"best_of":5,"prompt":"x"}"#,
        35,
    ),
    (
        Metered::Completions,
        r#"{"max_tokens":7,"n":2,"prompt":["a","b",[1,2]]}"#,
        42,
    ),
    (
        Metered::Completions,
        r#"{"max_tokens":7,"prompt":[1,2,3]}"#,
        7,
    ),
    (
        Metered::Responses,
        r#"{"max_output_tokens":16,"input":"x","previous_response_id":null}"#,
        16,
    ),
    (
        Metered::Responses,
        r#"{"max_output_tokens":16,"input":[{"role":"user","content":"x"},{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"function_call","arguments":"{}"},{"type":"function_call_output","output":[{"type":"input_text"}]},{"type":"custom_tool_call_output","output":"x"}]}"#,
        16,
    ),
];

/// Members that leave a body without a bound.
const UNBOUNDED: &[(Metered, &str)] = &[
    (
        Metered::ChatCompletions,
        r#""messages":[{"content":[{"type":"text"},{"type":"image_url"}]}]"#,
    ),
    (
        Metered::ChatCompletions,
        r#""messages":[{"content":[{"text":"x"}]}]"#,
    ),
    (
        Metered::ChatCompletions,
        r#""messages":[{"content":["x"]}]"#,
    ),
    (
        Metered::ChatCompletions,
        r#""messages":[{"content":[{"type":"file","type":"text"}]}]"#,
    ),
    (
        Metered::ChatCompletions,
        r#""messages":[{"audio":{"id":"audio_1"}}]"#,
    ),
    (Metered::ChatCompletions, r#""web_search_options":{}"#),
    (
        Metered::ChatCompletions,
        r#""prediction":{"type":"content"}"#,
    ),
    (Metered::ChatCompletions, r#""audio":{"voice":"alloy"}"#),
    (Metered::ChatCompletions, r#""tools":[{"function":{}}]"#),
    (Metered::ChatCompletions, r#""n":"2""#),
    (Metered::ChatCompletions, r#""n":-1"#),
    (Metered::ChatCompletions, r#""n":1,"n":2"#),
    (Metered::ChatCompletions, r#""max_tokens":7,"max_tokens":8"#),
    (Metered::Responses, r#""previous_response_id":"resp_1""#),
    (Metered::Responses, r#""conversation":"conv_1""#),
    (Metered::Responses, r#""prompt":{"id":"pmpt_1"}"#),
    (Metered::Responses, r#""context_management":[]"#),
    (Metered::Responses, r#""multi_agent":{"enabled":true}"#),
    (Metered::Responses, r#""input":[{"id":"msg_1"}]"#),
    (
        Metered::Responses,
        r#""input":[{"type":"item_reference","id":"msg_1"}]"#,
    ),
    (
        Metered::Responses,
        r#""input":[{"type":"reasoning","id":"rs_1"}]"#,
    ),
    (
        Metered::Responses,
        r#""input":[{"role":"user","content":[{"type":"input_file"}]}]"#,
    ),
    (
        Metered::Responses,
        r#""input":[{"type":"function_call_output","output":[{"type":"input_image"}]}]"#,
    ),
    (Metered::Responses, r#""tools":[{"type":"namespace"}]"#),
    (
        Metered::Responses,
        r#""tools":[{"type":"function"},{"type":"mcp"}]"#,
    ),
];

#[test]
fn bounds_are_given_only_where_they_hold() {
    for &(endpoint, body, more) in BOUNDED {
        let bound = body.len() as u64 + more;
        assert_eq!(read(endpoint, body).bound, Some(bound), "{body}");
    }
    for &(endpoint, member) in UNBOUNDED {
        let body = if member.contains("max_tokens") {
            format!("{{{member}}}")
        } else {
            format!(r#"{{"max_tokens":7,"max_output_tokens":7,{member}}}"#)
        };
        assert_eq!(read(endpoint, &body).bound, None, "{body}");
    }
    for body in [
        "{}",
        r#"{"max_tokens":1099511627777}"#,
        r#"{"max_tokens":1099511627776,"n":1099511627776}"#,
        r#"{"max_tokens":"7"}"#,
    ] {
        assert_eq!(chat(body).bound, None, "{body}");
    }
    assert_eq!(read(Metered::Embeddings, r#"{"max_tokens":7}"#).bound, None);
}

#[test]
fn hosted_tools_are_told_from_the_clients_own() {
    let hosted = |kind: &str| {
        read(
            Metered::Responses,
            &format!(r#"{{"tools":[{{"type":"function"}},{{"type":"{kind}"}}]}}"#),
        )
        .hosted_tool
    };
    for kind in [
        "web_search",
        "web_search_preview",
        "file_search",
        "code_interpreter",
        "image_generation",
        "mcp",
        "tool_search",
    ] {
        assert!(hosted(kind), "{kind}");
    }
    for kind in [
        "function",
        "custom",
        "namespace",
        "local_shell",
        "computer_use_preview",
    ] {
        assert!(!hosted(kind), "{kind}");
    }
    assert!(chat(r#"{"web_search_options":{}}"#).hosted_tool);
    let agents = read(Metered::Responses, r#"{"multi_agent":{"enabled":true}}"#);
    assert!(agents.hosted_tool, "each agent fills a context of its own");
}

#[test]
fn usage_is_asked_by_one_edit() {
    for (before, after) in [
        (
            r#"{"stream":true}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            "{ \"stream\" : true , \"model\":\"m\" }",
            "{ \"stream\" : true,\"stream_options\":{\"include_usage\":true} , \"model\":\"m\" }",
        ),
        (
            r#"{"stream_options":null,"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{ "include_obfuscation":false}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true, "include_obfuscation":false}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"a":{"include_usage":true},"include_usage" : false }}"#,
            r#"{"stream":true,"stream_options":{"a":{"include_usage":true},"include_usage" : true }}"#,
        ),
        (
            r#"{"messages":[{"stream":false,"content":"\"stream_options\":{}é"}],"\u0073tream":true}"#,
            r#"{"messages":[{"stream":false,"content":"\"stream_options\":{}é"}],"\u0073tream":true,"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        for endpoint in [Metered::ChatCompletions, Metered::Completions] {
            let facts = read(endpoint, before);
            assert!(facts.stream);
            assert_eq!(facts.usage_asked, UsageAsked::NotAsked, "{before}");
            let asked = ask_for_usage(before.as_bytes(), &facts).unwrap();
            assert_eq!(std::str::from_utf8(&asked).unwrap(), after);
            let again = RequestFacts::read(endpoint, &asked).unwrap();
            assert_eq!(again.usage_asked, UsageAsked::Asked);
            assert_eq!(ask_for_usage(&asked, &again), None);
        }
        let facts = read(Metered::Responses, before);
        assert_eq!(facts.usage_asked, UsageAsked::Asked);
        assert_eq!(ask_for_usage(before.as_bytes(), &facts), None);
    }
}

#[test]
fn anything_odd_is_forwarded_as_it_came() {
    for (body, expected) in [
        (r#"{"stream":false}"#, UsageAsked::NotAStream),
        (r#"{"stream":null}"#, UsageAsked::NotAStream),
        (
            r#"{"stream_options":{"include_usage":false}}"#,
            UsageAsked::NotAStream,
        ),
        (r#"{"stream":"true"}"#, UsageAsked::Odd),
        (r#"{"stream":1}"#, UsageAsked::Odd),
        (r#"{"stream":[true]}"#, UsageAsked::Odd),
        (r#"{"stream":true,"stream":true}"#, UsageAsked::Odd),
        (r#"{"stream":false,"str\u0065am":true}"#, UsageAsked::Odd),
        (r#"{"stream":true,"stream_options":7}"#, UsageAsked::Odd),
        (r#"{"stream":true,"stream_options":[]}"#, UsageAsked::Odd),
        (
            r#"{"stream":true,"stream_options":{},"stream_options":{}}"#,
            UsageAsked::Odd,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
            UsageAsked::Odd,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":0}}"#,
            UsageAsked::Odd,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}"#,
            UsageAsked::Odd,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            UsageAsked::Asked,
        ),
    ] {
        let facts = chat(body);
        assert_eq!(facts.usage_asked, expected, "{body}");
        assert_eq!(ask_for_usage(body.as_bytes(), &facts), None);
    }
}

#[test]
fn what_stands_behind_a_byte_order_mark_is_read_and_left_as_it_is() {
    let body = "\u{feff}{\"model\":\"m\",\"stream\":true}";
    let facts = chat(body);
    assert_eq!(facts.model.as_deref(), Some("m"));
    assert_eq!(facts.usage_asked, UsageAsked::NotAsked);
    assert_eq!(ask_for_usage(body.as_bytes(), &facts), None);
}

#[test]
fn bodies_that_cannot_be_read_say_so() {
    let read = |body: &[u8]| RequestFacts::read(Metered::ChatCompletions, body).unwrap_err();
    assert_eq!(read(b""), Unreadable::NotJson(ScanError::Truncated));
    assert_eq!(read(b"{} x"), Unreadable::NotJson(ScanError::Malformed));
    assert_eq!(read(b"[{}]"), Unreadable::NotAnObject);
    assert_eq!(read(b"7"), Unreadable::NotAnObject);
    assert_eq!(read(b"--x\r\n"), Unreadable::NotJson(ScanError::Malformed));
    let long = vec![b' '; MOST_REQUEST_BYTES + 1];
    assert_eq!(read(&long), Unreadable::TooLong);
}

#[test]
fn a_form_says_model_and_stream() {
    let form = "--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b\r\n\
        Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n";
    let facts = read(Metered::Transcriptions, form);
    assert_eq!(facts.model.as_deref(), Some("whisper-1"));
    assert!(facts.stream);
    assert_eq!(facts.usage_asked, UsageAsked::Asked);
}

#[test]
fn a_form_that_is_too_long_says_what_stands_at_its_beginning() {
    let beginning = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\n\
        Content-Disposition: form-data; name=\"prompt\"\r\n\r\nThis is c";
    let begun = |endpoint| RequestFacts::begun(endpoint, beginning.as_bytes());
    let facts = begun(Metered::Transcriptions).unwrap();
    assert_eq!(facts.model.as_deref(), Some("whisper-1"));
    assert_eq!(begun(Metered::ChatCompletions), None);
    let cut = &beginning.as_bytes()[..60];
    let facts = RequestFacts::begun(Metered::Transcriptions, cut).unwrap();
    assert_eq!(facts.model, None, "it may go on");
}
