//! The way to upstream: over TLS, whom to believe there, and through the HTTP proxy that a company
//! may have put in between.
//!
//! Certificates are made for each test; the listener speaks plain HTTP/1.1 here, which is another
//! suite's affair.

use harness::answering::{TOKENS, answering, ask, ask_stream, unasked};
use harness::authority::{Authority, TlsFront};
use harness::chat;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, Answer};
use harness::tunnel::Tunnel;
use harness::upstream::Upstream;
use serde_json::Value;

/// `user` with the password `p@ss`, as a URL and as a header say it.
const NAMED: &str = "user:p%40ss@";
const AUTHORIZATION: &str = "Basic dXNlcjpwQHNz";
/// A host that only the proxy on the way can find.
const FAR: &str = "api.openai.test";

/// An upstream that speaks TLS with a certificate of that authority.
async fn far(authority: &Authority) -> (Upstream, TlsFront) {
    let upstream = Upstream::start(answering).await;
    let front = authority.stand_before(upstream.address()).await;
    (upstream, front)
}

fn named(host: &str, front: &TlsFront) -> String {
    format!("https://{host}:{}", front.address().port())
}

async fn exchanged(proxy: &Proxy, body: String) -> Answer {
    proxy.exchange(&raw::Request::post(chat::PATH, body)).await
}

/// A call and a stream come through.
async fn passes(proxy: &Proxy, told: &str) {
    let whole = exchanged(proxy, ask()).await;
    assert_eq!(whole.status(), 200, "{told}: {}", whole.text());
    assert_eq!(
        whole.header("x-tollfree-tokens"),
        Some(&*TOKENS.to_string()),
        "{told}"
    );
    let stream = exchanged(proxy, ask_stream()).await;
    assert_eq!(stream.body.bytes, unasked(), "{told}: {}", stream.text());
    assert_eq!(
        proxy.settled(&stream).await.number("tokens"),
        Some(TOKENS),
        "{told}"
    );
}

/// A 502 in `OpenAI`'s shape, and its message.
async fn refused(proxy: &Proxy) -> String {
    let answer = exchanged(proxy, ask()).await;
    assert_eq!(answer.status(), 502, "{}", answer.text());
    assert_eq!(answer.header("x-tollfree-verdict"), Some("none"));
    let body: Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert_eq!(body["error"]["type"], "tollfree_upstream", "{body}");
    assert_eq!(body["error"]["code"], "upstream_unreachable", "{body}");
    assert_eq!(
        body["error"].as_object().expect("an object").len(),
        4,
        "{body}"
    );
    body["error"]["message"].as_str().expect("text").to_owned()
}

#[tokio::test]
async fn upstream_is_believed_by_a_root_of_ones_own() {
    let authority = Authority::of(&["localhost", "127.0.0.1"]);
    let root = authority.root();
    for host in ["localhost", "127.0.0.1"] {
        let (upstream, front) = far(&authority).await;
        let setup = || ProxySetup::to(&named(host, &front));
        let ways = [
            (
                "ca_file",
                setup().config(&format!("[upstream]\nca_file = {root:?}")),
            ),
            (
                "its variable",
                setup().variable("TOLLFREE_UPSTREAM_CA_FILE", &root),
            ),
            ("SSL_CERT_FILE", setup().variable("SSL_CERT_FILE", &root)),
        ];
        for (told, setup) in ways {
            passes(&Proxy::start(setup), told).await;
        }
        let received = upstream.received();
        assert_eq!(received.len(), 2 * 3);
        let authority = format!("{host}:{}", front.address().port());
        assert_eq!(received[0].headers.get("host"), Some(&*authority));
        assert_eq!(front.refused(), 0);
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_be_believed_is_a_clear_502() {
    let authority = Authority::of(&["localhost"]);
    let (upstream, front) = far(&authority).await;
    let stranger = Authority::of(&["localhost"]);
    let trusting = |setup: ProxySetup, authority: &Authority| {
        setup.config(&format!("[upstream]\nca_file = {:?}", authority.root()))
    };
    let cases = [
        (
            "UnknownIssuer",
            "localhost",
            ProxySetup::to(&named("localhost", &front)),
        ),
        (
            "UnknownIssuer",
            "localhost",
            trusting(ProxySetup::to(&named("localhost", &front)), &stranger),
        ),
        (
            "certificate not valid for name",
            "127.0.0.1",
            trusting(ProxySetup::to(&named("127.0.0.1", &front)), &authority),
        ),
    ];
    for (why, host, setup) in cases {
        let proxy = Proxy::start(setup);
        let message = refused(&proxy).await;
        let address = format!("{host}:{}", front.address().port());
        assert!(message.contains(&address), "{message}");
        assert!(
            message.contains("certificate") && message.contains(why),
            "{message}"
        );
    }
    // Each handshake failed on the other side too, which may hear of it a moment later.
    eventually("three refusals", || (front.refused() == 3).then_some(())).await;
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn the_way_leads_through_the_proxy_that_is_named() {
    let authority = Authority::of(&[FAR]);
    let (upstream, front) = far(&authority).await;
    let tunnel = Tunnel::to(front.address(), Some(AUTHORIZATION)).await;
    let url = format!("http://{NAMED}{}", tunnel.address());
    let root = authority.root();
    let setup = || {
        let trusting = ProxySetup::to(&format!("https://{FAR}"));
        trusting.variable("SSL_CERT_FILE", &root)
    };
    let secret = authority.file("proxy.url");
    std::fs::write(&secret, format!("{url}\n")).expect("a file");
    let ways = [
        (
            "upstream.proxy",
            setup().config(&format!("[upstream]\nproxy = {url:?}")),
        ),
        (
            "its variable",
            setup().variable("TOLLFREE_UPSTREAM_PROXY", &url),
        ),
        (
            "its file",
            setup().variable("TOLLFREE_UPSTREAM_PROXY_FILE", &secret),
        ),
        ("HTTPS_PROXY", setup().variable("HTTPS_PROXY", &url)),
        ("https_proxy", setup().variable("https_proxy", &url)),
        ("ALL_PROXY", setup().variable("ALL_PROXY", &url)),
        (
            "NO_PROXY for others",
            setup()
                .variable("HTTPS_PROXY", &url)
                .variable("NO_PROXY", "localhost,.else.test"),
        ),
        (
            "NO_PROXY is for variables",
            setup()
                .config(&format!("[upstream]\nproxy = {url:?}"))
                .variable("NO_PROXY", FAR),
        ),
    ];
    for (number, (told, setup)) in ways.into_iter().enumerate() {
        let proxy = Proxy::start(setup);
        passes(&proxy, told).await;
        let asked = tunnel.asked();
        // Both calls on one tunnel.
        assert_eq!(asked.len(), number + 1, "{told}: {asked:?}");
        let line = format!("CONNECT {FAR}:443 HTTP/1.1\r\n");
        assert!(asked[number].starts_with(&line), "{told}: {asked:?}");
        assert!(!proxy.log().contains("p%40ss"), "{told}: {}", proxy.log());
    }
    for received in upstream.received() {
        assert_eq!(received.headers.get("host"), Some(FAR));
        assert!(!received.headers.has("proxy-authorization"), "{received:?}");
    }
}

#[tokio::test]
async fn a_plain_upstream_is_reached_through_a_tunnel_too() {
    let upstream = Upstream::start(answering).await;
    let tunnel = Tunnel::to(upstream.address(), None).await;
    let url = format!("http://{}", tunnel.address());
    let setup = ProxySetup::to(&format!("http://{FAR}")).variable("http_proxy", &url);
    passes(&Proxy::start(setup), "http_proxy").await;
    assert!(
        tunnel.asked()[0].starts_with(&format!("CONNECT {FAR}:80 ")),
        "{:?}",
        tunnel.asked()
    );
}

#[tokio::test]
async fn no_proxy_is_respected() {
    let authority = Authority::of(&["localhost"]);
    let (upstream, front) = far(&authority).await;
    let tunnel = Tunnel::to(front.address(), None).await;
    let url = format!("http://{}", tunnel.address());
    let root = authority.root();
    for (name, except) in [
        ("NO_PROXY", "localhost"),
        ("NO_PROXY", "*"),
        ("no_proxy", "a.test, localhost"),
    ] {
        let setup = ProxySetup::to(&named("localhost", &front))
            .variable("SSL_CERT_FILE", &root)
            .variable("HTTPS_PROXY", &url)
            .variable("ALL_PROXY", &url)
            .variable(name, except);
        passes(&Proxy::start(setup), except).await;
    }
    assert!(tunnel.asked().is_empty(), "{:?}", tunnel.asked());
    assert_eq!(upstream.received().len(), 2 * 3);
}

#[tokio::test]
async fn a_proxy_that_says_no_is_named_and_the_password_is_not() {
    let upstream = Upstream::start(answering).await;
    let tunnel = Tunnel::to(upstream.address(), Some(AUTHORIZATION)).await;
    let url = format!("http://user:wrong-secret@{}", tunnel.address());
    let setup = ProxySetup::to(&format!("http://{FAR}")).variable("TOLLFREE_UPSTREAM_PROXY", &url);
    let proxy = Proxy::start(setup);
    let message = refused(&proxy).await;
    assert!(message.contains(&tunnel.address().to_string()), "{message}");
    assert!(message.contains("407"), "{message}");
    for text in [message, proxy.log()] {
        assert!(!text.contains("wrong-secret"), "{text}");
    }
    assert!(upstream.received().is_empty());
}
