//! Answers that leave out what others have: a model that nobody can read, a content type that is not there, tokens that
//! have no price. What is known without it is still said.
//!
//! Knows what such exchanges look like; how they are read is the product's affair.

use std::time::{Duration, Instant};

use harness::chat::{self, CHUNKED, DATE, DONE, JSON, MODEL, PATH, ask, completion};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request, chunk};
use harness::upstream::{Gate, Step, Upstream, head, sized};

const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
/// A form as some recorders leave it: no reader of forms finds a model here.
const SCRUBBED: &str = "--x\nContent-Disposition: form-data; name=\"model\"\n\nwhisper-1\n--x--\n";

#[tokio::test]
async fn a_transcription_of_an_unknown_model_draws_nothing_and_says_so() {
    let by_duration = r#"{"text":"Hi","usage":{"type":"duration","seconds":4}}"#;
    let by_tokens = r#"{"text":"Hi","usage":{"type":"tokens","input_tokens":26,"output_tokens":4,"total_tokens":30}}"#;
    let upstream = Upstream::start(move |request| {
        let lines = [JSON, ORGANIZATION, DATE];
        let body = match request.target.as_str() {
            "/v1/audio/transcriptions?duration" => by_duration.as_bytes().to_vec(),
            "/v1/audio/transcriptions" => by_tokens.as_bytes().to_vec(),
            _ => completion(
                "c_1",
                MODEL,
                "Hi",
                &format!(",\"usage\":{}", chat::usage(5, 5)),
            ),
        };
        vec![Step::Bytes(sized(200, &lines, &body))]
    })
    .await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()).declared());
    let chat = Request::post(PATH, ask(MODEL, "")).header(JSON.0, JSON.1);
    let before = proxy.exchange(&chat).await;
    for target in [
        "/v1/audio/transcriptions?duration",
        "/v1/audio/transcriptions",
    ] {
        let form = "multipart/form-data; boundary=x";
        let request = Request::post(target, SCRUBBED).header("content-type", form);
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.header("x-tollfree-assumes"), None, "{target}");
    }
    let after = proxy.exchange(&chat).await;
    let said = |answer: &harness::raw::Answer| {
        ["verdict", "certainty", "assumes"].map(|name| {
            let tag = answer.header(&format!("x-tollfree-{name}"));
            tag.map(str::to_owned)
        })
    };
    assert_eq!(said(&before), said(&after));
}

#[tokio::test]
async fn a_stream_that_was_asked_for_is_read_without_its_content_type_and_with_an_odd_one() {
    let says = chat::says("c_1", MODEL, "Hi");
    let counts = chat::counts("c_1", MODEL, &chat::usage(12, 34));
    let stream = [&says[..], &counts, DONE].concat();
    let unasked = [&says[..], DONE].concat();
    for odd in [
        None,
        Some("text/plain"),
        Some("application/octet-stream"),
        Some("application/json"),
    ] {
        let mut headers = vec![ORGANIZATION, DATE];
        headers.extend(odd.map(|odd| ("content-type", odd)));
        let upstream = Upstream::constant(sized(200, &headers, &stream)).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        let wanting = ask(
            MODEL,
            r#","stream":true,"stream_options":{"include_usage":true}"#,
        );
        let answer = proxy.exchange(&Request::post(PATH, wanting)).await;
        assert_eq!(answer.body.bytes, stream);
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.number("tokens"), Some(46), "{odd:?}: {settled:?}");
        // Taken out again is only what was asked for by us, whatever its type says.
        let answer = proxy
            .exchange(&Request::post(PATH, ask(MODEL, r#","stream":true"#)))
            .await;
        assert_eq!(answer.body.bytes, unasked, "{odd:?}");
    }
}

#[tokio::test]
async fn an_answer_is_read_as_what_it_is_where_its_content_type_says_another() {
    const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
    let usage =
        r#""usage":{"type":"tokens","input_tokens":12,"output_tokens":34,"total_tokens":46}"#;
    let spoken = format!(r#"{{"text":"Hi",{usage}}}"#);
    let streamed =
        format!("data: {{\"type\":\"transcript.text.done\",\"text\":\"Hi\",{usage}}}\n\n");
    let streaming = SCRUBBED
        .replace("model", "stream")
        .replace("whisper-1", "true");
    let completed = completion("c_1", MODEL, "Hi", &format!(",{}", chat::usage(12, 34)));
    let unasked = ask(MODEL, r#","stream":true"#);
    for (path, asked, named, body) in [
        (
            PATH,
            &ask(MODEL, "")[..],
            "text/event-stream",
            &completed[..],
        ),
        (PATH, &unasked, "text/event-stream", &completed),
        (PATH, &unasked, "application/json", &completed),
        (TRANSCRIPTIONS, SCRUBBED, "text/json", spoken.as_bytes()),
        (
            TRANSCRIPTIONS,
            &streaming.replace('\n', "\r\n"),
            "text/plain",
            streamed.as_bytes(),
        ),
    ] {
        let headers = [ORGANIZATION, DATE, ("content-type", named)];
        let upstream = Upstream::constant(sized(200, &headers, body)).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        let answer = proxy.exchange(&Request::post(path, asked)).await;
        assert_eq!(answer.body.bytes, body, "{path} {named}");
        assert_eq!(answer.header("content-type"), Some(named));
        let settled = proxy.settled(&answer).await;
        assert_eq!(
            settled.number("tokens"),
            Some(46),
            "{path} {named}: {settled:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_calls_itself_json_is_held_until_its_first_byte() {
    let says = chat::says("c_1", MODEL, "Hi");
    let counts = chat::counts("c_1", MODEL, &chat::usage(12, 34));
    let gate = Gate::closed();
    let mut begun = head(200, &[JSON, CHUNKED, ORGANIZATION, DATE]);
    begun.extend(chunk(&says));
    let mut rest = chunk(&[&counts[..], DONE].concat());
    rest.extend(chunk(b""));
    let script = vec![
        Step::Bytes(begun),
        Step::Until(gate.clone()),
        Step::Bytes(rest),
    ];
    let upstream = Upstream::start(move |_| script.clone()).await;
    let setup = ProxySetup::to(&upstream.url()).config("[limits]\nheld_answer_time = \"1 min\"");
    let proxy = Proxy::start(setup);
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let request = Request::post(PATH, ask(MODEL, r#","stream":true"#));
    connection.send(&request.bytes()).await.expect("sent");
    let sent = Instant::now();
    let head = connection.head("POST").await.expect("a head");
    assert!(sent.elapsed() < Duration::from_secs(40), "{head:?}");
    gate.open();
    let body = connection.body(&head).await;
    assert_eq!(body.bytes, [&says[..], DONE].concat());
}

#[tokio::test]
async fn a_form_too_long_to_be_held_still_names_its_model() {
    let spoken = r#"{"text":"Hi","usage":{"type":"tokens","input_tokens":12,"output_tokens":34,"total_tokens":46}}"#;
    let upstream = Upstream::constant(sized(200, &[JSON, ORGANIZATION, DATE], spoken.as_bytes()));
    let upstream = upstream.await;
    let setup = ProxySetup::to(&upstream.url());
    let proxy = Proxy::start(setup.config("[limits]\nrequest_inspect_bytes = \"1 KiB\""));
    let field = SCRUBBED
        .replace('\n', "\r\n")
        .replace("--x--\r\n", "--x\r\n");
    let file = "content-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let form = format!("{field}{file}{}\r\n--x--\r\n", "R".repeat(100_000));
    for framing in ["content-length", "transfer-encoding"] {
        let mut request = Request::post("/v1/audio/transcriptions", form.clone());
        if framing == "transfer-encoding" {
            request = request.header(framing, "chunked");
        }
        let answer = proxy.exchange(&request).await;
        let received = upstream.received().pop().expect("a request");
        assert!(received.body == form.as_bytes(), "{framing}");
        assert!(received.headers.has(framing), "{received:?}");
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.text("model"), Some("whisper-1"), "{settled:?}");
    }
}

#[tokio::test]
async fn tokens_of_sound_are_counted_and_have_no_price() {
    let usage = r#"{"prompt_tokens":17,"completion_tokens":60,"total_tokens":77,"completion_tokens_details":{"audio_tokens":44}}"#;
    let body = completion(
        "c_1",
        "gpt-4o-audio-preview-2025-06-03",
        "Hi",
        &format!(",\"usage\":{usage}"),
    );
    let upstream = Upstream::constant(sized(200, &[JSON, ORGANIZATION, DATE], &body)).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let answer = proxy
        .exchange(&Request::post(PATH, ask("gpt-4o-audio-preview", "")))
        .await;
    assert_eq!(answer.header("x-tollfree-verdict"), Some("billed"));
    assert_eq!(answer.header("x-tollfree-tokens"), Some("77"));
    assert_eq!(answer.header("x-tollfree-cost-usd"), None);
}
