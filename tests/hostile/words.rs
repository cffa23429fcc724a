//! Clients and operators that take a wrong turn: no key, TLS to a plain port, an upstream that is the proxy itself. Each
//! is told where to look, once.
//!
//! Knows the words; not what makes them.

use std::time::Duration;

use harness::chat::{MODEL, PATH, ask};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, Request};
use harness::upstream::{Upstream, sized};
use serde_json::Value;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_client_without_a_key_is_told_of_once() {
    let refusal = br#"{"error":{"message":"no key","type":"invalid_request_error","param":null,"code":null}}"#;
    let upstream = Upstream::constant(sized(401, &[JSON], refusal)).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let call = Request::post(PATH, ask(MODEL, "")).header("user-agent", "OpenAI/Python 2.1");
    // With a key, and where none is needed to count: nothing is said.
    for quiet in [
        call.clone().header("authorization", "Bearer sk-a"),
        Request::get("/v1/models"),
    ] {
        assert_eq!(proxy.exchange(&quiet).await.status(), 401);
    }
    assert!(!proxy.log().contains("Authorization"), "{}", proxy.log());
    for _ in 0..3 {
        assert_eq!(proxy.exchange(&call).await.body.bytes, refusal);
    }
    let line = proxy.wait_for_log("calls without Authorization are arriving");
    for words in [
        "(last: OpenAI/Python 2.1, 127.0.0.1)",
        "help: set OPENAI_API_KEY where the client runs",
    ] {
        assert!(line.contains(words), "{line}");
    }
    assert_eq!(
        proxy.log().matches("calls without Authorization").count(),
        1
    );
}

#[tokio::test]
async fn tls_to_a_plain_port_is_told_once_and_answered() {
    let upstream = Upstream::constant(sized(200, &[JSON], b"{}")).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    for _ in 0..3 {
        let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 300]].concat();
        let came = raw::bytes(proxy.address(), &hello, Duration::from_secs(10)).await;
        assert!(came.starts_with(b"HTTP/1.1 400 "), "{came:?}");
    }
    let port = proxy.address().port();
    let line = proxy.wait_for_log("spoke TLS");
    let words = format!("a client spoke TLS to http port {port}. help: use http://");
    assert!(line.contains(&words), "{line}");
    assert_eq!(proxy.log().matches("spoke TLS").count(), 1);
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_its_own_upstream_says_so_instead_of_calling_itself_for_ever() {
    let upstream = Upstream::constant(sized(200, &[JSON], b"{}")).await;
    let url = |url: &str| format!("[upstream]\nurl = \"{url}\"\n");
    let proxy = Proxy::start(ProxySetup::default().config(&url(&upstream.url())));
    assert_eq!(
        proxy.exchange(&Request::get("/v1/models")).await.status(),
        200
    );
    // Its port is known only now, so no configuration could have shown it.
    let own = format!("http://{}", proxy.address());
    let file = proxy.folder().join("tollfree.toml");
    std::fs::write(file, url(&own)).expect("a file");
    proxy.wait_for_log("configuration reloaded");
    let (get, call) = (
        Request::get("/v1/models"),
        Request::post(PATH, ask(MODEL, "")),
    );
    for request in [get, call] {
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 508, "{}", answer.text());
        let error: Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(error["error"]["code"], "proxy_loop", "{error}");
        let message = error["error"]["message"].as_str().expect("text");
        for words in [
            "is this proxy",
            "help: remove TOLLFREE_UPSTREAM, or name the real API",
        ] {
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(answer.header("x-tollfree-verdict"), Some("none"));
    }
    assert_eq!(upstream.received().len(), 1);
    eventually("it is not busy with itself", || {
        (harness::gauge::descriptors(proxy.id()) < 100).then_some(())
    })
    .await;
}
