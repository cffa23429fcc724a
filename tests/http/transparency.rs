//! Heads, paths and framing between a raw client and a raw upstream: remove the proxy and neither
//! side notices, but for the documented exceptions.
//!
//! Knows bytes on sockets and what the product promises of them; when bytes come is another suite.

use harness::compare;
use harness::findings::Findings;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, Request};
use harness::upstream::{Script, Step, Upstream, chunked, head, sized};

/// A chat completion with usage, as short as they come.
const CHAT: &[u8] = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini-2024-07-18","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}"#;
const ASK: &str = r#"{"model":"gpt-4o-mini","messages":[]}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

/// Plays each exchange directly and through the proxy; whatever one side could notice fails.
async fn unnoticed(exchanges: Vec<(Request, Script)>) {
    let scripts: Vec<Script> = exchanges.iter().map(|(_, script)| script.clone()).collect();
    let upstream = Upstream::start(move |received| {
        let number: usize = received
            .headers
            .get("x-number")
            .expect("x")
            .parse()
            .expect("x");
        scripts[number].clone()
    })
    .await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let mut findings = Findings::default();
    for (number, (request, _)) in exchanges.iter().enumerate() {
        let what = format!("{} {} ({number})", request.method, request.target);
        let way = |way: &str| {
            let numbered = request.clone().header("x-number", &number.to_string());
            numbered.header("x-replay-exchange", way)
        };
        let direct = raw::exchange(upstream.address(), &way("direct")).await;
        let through = proxy.exchange(&way("through")).await;
        let mut found = compare::answers(&direct, &through);
        found.extend(compare::marks(&direct, &through));
        let arrived = |way| upstream.take("x-replay-exchange", way);
        match (arrived("direct"), arrived("through")) {
            (Some(sent), Some(came)) => found.extend(compare::requests(&sent, &came, false)),
            other => found.push(format!("what arrived: {other:?}")),
        }
        findings.add(&what, found);
    }
    assert!(findings.is_empty(), "\n{findings}");
}

/// The same bytes for one exchange.
fn says(bytes: Vec<u8>) -> Script {
    vec![Step::Bytes(bytes)]
}

/// A proxy in front of an upstream that always gives this answer.
async fn between(answer: Vec<u8>) -> (Upstream, Proxy) {
    let upstream = Upstream::constant(answer).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    (upstream, proxy)
}

#[tokio::test]
async fn repeated_and_odd_header_values_keep_their_order() {
    let lines = [
        JSON,
        ("Set-Cookie", "b=1; Path=/"),
        ("access-control-expose-headers", "X-Request-ID"),
        ("set-cookie", "a=2"),
        ("x-empty", ""),
        ("X-Latin", "J\u{f6}rg"),
        ("Set-Cookie", "b=3"),
        ("access-control-expose-headers", "CF-Ray, CF-Ray"),
        ("alt-svc", "h3=\":443\"; ma=86400"),
    ];
    let asking = |request: Request| {
        let named = request.header("x-many", "2").header("x-other", "between");
        let named = named.header("X-Many", "1").header("cookie", "__cf_bm=a");
        named.header("x-empty", "").header("x-latin", "J\u{f6}rg")
    };
    let pieces: [&[u8]; 3] = [&CHAT[..10], &CHAT[10..11], &CHAT[11..]];
    unnoticed(vec![
        (
            asking(Request::get("/v1/models")),
            says(sized(200, &lines, b"{}")),
        ),
        (
            asking(Request::post("/v1/chat/completions", ASK)),
            says(sized(200, &lines, CHAT)),
        ),
        (
            asking(Request::post("/v1/chat/completions", ASK)),
            says(chunked(200, &lines, &pieces)),
        ),
        (
            asking(Request::post("/v1/chat/completions", ASK)),
            says(sized(401, &lines, br#"{"error":{}}"#)),
        ),
    ])
    .await;
}

#[tokio::test]
async fn answers_without_a_body_stay_without() {
    let length = ("content-length", "42");
    let tag = ("etag", "\"1\"");
    let created = ("location", "/v1/realtime/calls/rtc_u0_1");
    unnoticed(vec![
        (
            Request::new("HEAD", "/v1/models"),
            says(head(200, &[JSON, length])),
        ),
        (
            Request::new("DELETE", "/v1/files/f"),
            says(head(204, &[tag])),
        ),
        (Request::get("/v1/models"), says(head(304, &[tag]))),
        (Request::get("/v1/models"), says(head(304, &[tag, length]))),
        (
            Request::post("/v1/traces/ingest", "{}"),
            says(head(204, &[])),
        ),
        (Request::post("/v1/uploads", ""), says(sized(200, &[], b""))),
        (
            Request::post("/v1/chat/completions", ASK),
            says(sized(500, &[], b"")),
        ),
        (
            Request::post("/v1/chat/completions", ASK),
            says(chunked(200, &[JSON], &[])),
        ),
        (
            Request::post("/v1/realtime/calls", "v=0"),
            says(sized(201, &[created], b"v=0")),
        ),
    ])
    .await;
}

#[tokio::test]
async fn every_status_passes() {
    let html = ("content-type", "text/html; charset=UTF-8");
    let retry = [JSON, ("retry-after-ms", "20"), ("x-should-retry", "false")];
    let moved = [("location", "https://elsewhere.example/v1/models")];
    let mut exchanges = Vec::new();
    for status in [200, 201, 299, 400, 403, 404, 409, 413, 418, 451, 500, 599] {
        let error = sized(status, &[JSON], br#"{"error":{"message":"x"}}"#);
        exchanges.push((Request::post("/v1/responses", "{}"), says(error)));
    }
    for status in [502, 520, 524] {
        let page = chunked(status, &[html], &[b"<html>", b"</html>"]);
        exchanges.push((Request::post("/v1/embeddings", "{}"), says(page)));
    }
    for status in [301, 307, 308] {
        exchanges.push((Request::get("/v1/models"), says(sized(status, &moved, b""))));
    }
    let slower = sized(429, &retry, b"{}");
    exchanges.push((Request::post("/v1/completions", "{}"), says(slower)));
    unnoticed(exchanges).await;
}

#[tokio::test]
async fn methods_paths_and_queries_arrive_byte_for_byte() {
    let answer = || says(sized(200, &[JSON], b"{}"));
    let methods = [
        "OPTIONS", "PATCH", "PUT", "DELETE", "PURGE", "QUERY", "M-SEARCH",
    ];
    let targets = [
        "/",
        "/v1",
        "/v1/models?a=%2F&b=%41+x&&=;&a=2",
        "/v1/models/ft:gpt-4.1-mini-2025-04-14:org::BkaILRSh",
        "/v1/%63hat/completions?",
        "/v1/files/a%2fb/../c/./d//e/",
        "/v1//chat/completions",
        "/v1/chat/completions/?x",
        "/v1/v1/unknown",
        "//unknown//",
        "/v2/chat/completions",
        "/v1/agents/sessions?q=[1]{2}|^`",
        "/_tollfreedom",
        "/favicon.ico?url=http://elsewhere.example/v1/x",
    ];
    let mut exchanges = Vec::new();
    for method in methods {
        let mut request = Request::new(method, "/v1/unknown/thing").header("content-type", "a/b");
        request.body = b"some bytes".to_vec();
        exchanges.push((request, answer()));
    }
    for target in targets {
        exchanges.push((Request::get(target), answer()));
        exchanges.push((Request::post(target, "{}"), answer()));
    }
    unnoticed(exchanges).await;
}

#[tokio::test]
async fn bodies_pass_whatever_they_are() {
    let answer = || says(sized(200, &[JSON], CHAT));
    let chat = |body: &[u8]| Request::post("/v1/chat/completions", body);
    let form = "multipart/form-data; boundary=x";
    let upload =
        b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x--\r\n";
    let mut transcription = Request::new("POST", "/v1/audio/transcriptions");
    transcription.body = upload.to_vec();
    let packed = harness::coding::Coding::Gzip.encode(ASK.as_bytes());
    let odd = br#"{"model":"a","model":"b","stream":"true","n":1e400}"#;
    let event = ("content-type", "text/event-stream");
    let late = vec![
        Step::Bytes(head(200, &[JSON, ("connection", "close")])),
        Step::Bytes(CHAT.to_vec()),
        Step::Close,
    ];
    unnoticed(vec![
        (chat(b""), answer()),
        (chat(b"not JSON"), answer()),
        (chat(odd), answer()),
        (chat(&[0xff; 1000]), answer()),
        (
            chat(ASK.as_bytes()).header("transfer-encoding", "chunked"),
            answer(),
        ),
        (chat(&packed).header("content-encoding", "gzip"), answer()),
        (chat(b"{").header("content-encoding", "gzip"), answer()),
        (chat(&packed).header("content-encoding", "exotic"), answer()),
        (transcription.header("content-type", form), answer()),
        (chat(ASK.as_bytes()), says(sized(200, &[JSON], &CHAT[..50]))),
        (chat(ASK.as_bytes()), says(sized(200, &[], CHAT))),
        (
            chat(ASK.as_bytes()),
            says(chunked(200, &[event], &[b"data: {\"a\":", b"1}\r\r"])),
        ),
        (
            chat(ASK.as_bytes()),
            says(sized(200, &[JSON, ("content-encoding", "gzip")], CHAT)),
        ),
        (
            chat(ASK.as_bytes()),
            says(sized(200, &[JSON, ("content-encoding", "a, b")], CHAT)),
        ),
        (Request::get("/v1/files/f/content"), late),
    ])
    .await;
}

#[tokio::test]
async fn base_urls_in_the_wild_reach_v1() {
    let (upstream, proxy) = between(sized(200, &[JSON], CHAT)).await;
    for (sent, arrives) in [
        ("/chat/completions", "/v1/chat/completions"),
        ("//v1/chat/completions", "/v1/chat/completions"),
        (
            "/v1/v1/chat/completions?a=%2F/v1/v1/",
            "/v1/chat/completions?a=%2F/v1/v1/",
        ),
        ("/responses?beta=true", "/v1/responses?beta=true"),
        ("/models", "/v1/models"),
    ] {
        let request = Request::post(sent, ASK).header("x-sent", sent);
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 200, "{sent}");
        let received = upstream.take("x-sent", sent).expect("a request");
        assert_eq!(received.target, arrives, "{sent}");
        if sent.contains("chat") {
            assert_eq!(
                proxy.settled(&answer).await.number("tokens"),
                Some(46),
                "{sent}"
            );
        }
    }
}

#[tokio::test]
async fn what_belongs_to_a_connection_stays_on_it() {
    let secret = [
        JSON,
        ("connection", "x-secret, keep-alive"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("x-kept", "1"),
    ];
    let (upstream, proxy) = between(sized(200, &secret, b"{}")).await;
    let request = Request::get("/v1/models")
        .header("connection", "keep-alive, X-Private")
        .header("x-private", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-connection", "keep-alive")
        .header("proxy-authorization", "Basic eDp5")
        .header("te", "trailers")
        .header("x-kept", "1");
    let answer = proxy.exchange(&request).await;
    let mut arrived: Vec<_> = upstream.only().headers.0;
    arrived.retain(|(name, _)| name != "host");
    assert_eq!(arrived, [("x-kept".to_owned(), "1".to_owned())]);
    for name in ["x-secret", "keep-alive", "proxy-authenticate"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-kept"), Some("1"));
}

#[tokio::test]
async fn a_connection_header_removes_nothing_the_call_needs() {
    let (upstream, proxy) = between(sized(200, &[JSON], b"{}")).await;
    for name in [
        "authorization",
        "Host",
        "content-type",
        "OpenAI-Organization",
        "x-tollfree-call",
    ] {
        let request = Request::post("/v1/chat/completions", ASK).header("connection", name);
        let request = request.header("authorization", "Bearer sk-1");
        assert_eq!(proxy.exchange(&request).await.status(), 400, "{name}");
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

#[tokio::test]
async fn methods_for_proxies_are_refused_here() {
    let (upstream, proxy) = between(sized(200, &[JSON], b"{}")).await;
    for request in [
        Request::new("TRACE", "/v1/models"),
        Request::new("CONNECT", "localhost:1"),
    ] {
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 405, "{}", request.method);
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

#[tokio::test]
async fn nobody_else_speaks_in_our_name() {
    let spoofed = [
        JSON,
        ("x-tollfree-verdict", "free"),
        ("X-Tollfree-Call", "theirs"),
        ("x-tollfree-invented", "1"),
    ];
    let (upstream, proxy) = between(sized(200, &spoofed, CHAT)).await;
    for request in [
        Request::get("/v1/models"),
        Request::post("/v1/chat/completions", ASK),
    ] {
        let request = request.header("x-tollfree-verdict", "free");
        let answer = proxy
            .exchange(&request.header("X-Tollfree-Anything", "1"))
            .await;
        let headers = &answer.head.headers;
        assert_eq!(headers.all("x-tollfree-call").len(), 1, "{headers:?}");
        assert_ne!(headers.get("x-tollfree-call"), Some("theirs"));
        assert_eq!(headers.all("x-tollfree-verdict").len(), 1, "{headers:?}");
        assert!(!headers.has("x-tollfree-invented"));
    }
    for received in upstream.received() {
        let ours = |(name, _): &(String, String)| name.to_lowercase().starts_with("x-tollfree");
        assert!(
            !received.headers.0.iter().any(ours),
            "{:?}",
            received.headers
        );
    }
}

#[tokio::test]
async fn accepted_codings_are_cut_to_those_we_decode() {
    let (upstream, proxy) = between(sized(200, &[JSON], b"{}")).await;
    for (sent, arrives) in [
        ("gzip, deflate, br, zstd", "gzip, deflate, br, zstd"),
        (
            "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
            "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
        ),
        ("br;q=0.5, exotic, gzip;q=0.1, dcb", "br;q=0.5, gzip;q=0.1"),
        ("identity", "identity"),
        ("compress", "identity"),
        ("GZIP", "GZIP"),
    ] {
        let request = Request::post("/v1/chat/completions", ASK).header("accept-encoding", sent);
        proxy.exchange(&request.header("x-sent", sent)).await;
        let received = upstream.take("x-sent", sent).expect("a request");
        let members = |text: &str| -> Vec<String> {
            let parts = text.split(',');
            parts.map(|part| part.trim().to_lowercase()).collect()
        };
        let arrived = members(&received.headers.members("accept-encoding").join(","));
        assert_eq!(arrived, members(arrives), "{sent}");
    }
    let any = Request::post("/v1/chat/completions", ASK).header("accept-encoding", "*");
    proxy.exchange(&any.header("x-sent", "*")).await;
    let mut listed = upstream
        .take("x-sent", "*")
        .expect("x")
        .headers
        .members("accept-encoding");
    listed.sort_unstable();
    assert_eq!(listed, ["br", "deflate", "gzip", "zstd"]);
    proxy
        .exchange(&Request::post("/v1/chat/completions", ASK))
        .await;
    assert!(!upstream.only().headers.has("accept-encoding"));
}

#[tokio::test]
async fn nothing_is_added_that_upstream_did_not_say() {
    let (_upstream, proxy) = between(sized(200, &[JSON], b"{}")).await;
    let answer = proxy.exchange(&Request::get("/v1/models")).await;
    let lines = answer.head.headers.0.into_iter();
    let others = lines.filter(|(name, _)| !name.starts_with("x-tollfree-"));
    let mut names: Vec<_> = others.map(|(name, _)| name.to_lowercase()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type"]);
}
