//! The ways to upstream that fail, and the way through a proxy.

use std::time::Duration;

use http::Request;
use http_body_util::Full;

use super::{Raw, connector, post, sending, text, upstream, within};
use crate::{Cause, ConnectSettings, ConnectSettingsError, Connector, Scheme, SendError, Upstream};

async fn error(settings: ConnectSettings) -> SendError {
    within(async { connector(settings).send(post("/", "")).await.unwrap_err() }).await
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, settings) = upstream().await;
    drop(listener);
    let address = format!("127.0.0.1:{}", settings.upstream.port);
    let error = error(settings).await;
    assert!(
        matches!(
            error,
            SendError::Unreachable {
                cause: Cause::Refused,
                ..
            }
        ),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(
        said.starts_with(&format!(
            "could not reach {address}: connection refused (after "
        )),
        "{said}"
    );
}

#[tokio::test]
async fn the_name_does_not_exist() {
    let (_, mut settings) = upstream().await;
    settings.upstream.host = "nothing.invalid".to_owned();
    let error = error(settings).await;
    assert!(
        matches!(
            error,
            SendError::Unreachable {
                cause: Cause::NameNotFound,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("nothing.invalid"), "{error}");
    assert!(
        error.to_string().contains(": name not found (after "),
        "{error}"
    );
}

#[tokio::test]
async fn upstream_takes_the_connection_and_says_nothing() {
    let (_listener, mut settings) = upstream().await;
    settings.upstream.scheme = Scheme::Https;
    settings.connect_timeout = Duration::from_millis(50);
    let error = error(settings).await;
    assert!(
        matches!(error, SendError::ConnectTimedOut { .. }),
        "{error:?}"
    );
    assert!(error.is_timeout());
    assert!(
        error.to_string().ends_with(": no connection within 50 ms"),
        "{error}"
    );
}

#[tokio::test]
async fn upstream_does_not_speak_tls() {
    within(async {
        let (listener, mut settings) = upstream().await;
        settings.upstream.scheme = Scheme::Https;
        let answer = sending(&connector(settings), post("/", ""));
        Raw::accept(&listener)
            .await
            .say("HTTP/1.1 400 Bad Request\r\n\r\n")
            .await;
        let error = answer.await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::Tls { .. }), "{error:?}");
        assert!(error.is_not_tls(), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(": upstream did not answer in TLS (after "),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_proxy_on_the_way() {
    within(async {
        let (proxy, mut settings) = upstream().await;
        let at = proxy.local_addr().unwrap();
        settings.upstream = Upstream {
            scheme: Scheme::Http,
            host: "api.invalid".to_owned(),
            port: 80,
        };
        settings.proxy.http_proxy = Some(format!("http://user:p%40ss@{at}"));
        settings.proxy.no_proxy = Some("other.invalid".to_owned());
        let connector = connector(settings);
        let answer = sending(&connector, post("/through", ""));
        let mut far = Raw::accept(&proxy).await;
        let head = far.head().await;
        assert!(
            head.starts_with("CONNECT api.invalid:80 HTTP/1.1\r\n"),
            "{head}"
        );
        // user:p@ss
        assert!(
            head.contains("proxy-authorization: Basic dXNlcjpwQHNz\r\n"),
            "{head}"
        );
        far.say("HTTP/1.1 200 OK\r\n\r\n").await;
        let head = far.head().await;
        assert!(head.starts_with("POST /through HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: api.invalid\r\n"), "{head}");
        far.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");

        // The tunnel is kept warm like any connection.
        let answer = sending(&connector, post("/again", ""));
        assert!(far.head().await.starts_with("POST /again"));
        far.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
        answer.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_says_no_or_is_not_there() {
    within(async {
        let (proxy, mut settings) = upstream().await;
        let at = proxy.local_addr().unwrap();
        settings.upstream.host = "api.invalid".to_owned();
        settings.proxy.url = Some(format!("http://user:secret@{at}"));
        let answer = sending(&connector(settings.clone()), post("/", ""));
        let mut far = Raw::accept(&proxy).await;
        far.head().await;
        far.say("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            .await;
        let error = answer.await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::Proxy { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&format!("the proxy {at} said no: 407")),
            "{error}"
        );

        drop(proxy);
        let error = connector(settings).send(post("/", "")).await.unwrap_err();
        assert!(
            matches!(
                error,
                SendError::Unreachable {
                    cause: Cause::Refused,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains(&at.to_string()), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("secret"),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn which_proxy() {
    let (_, mut settings) = upstream().await;
    settings.upstream = Upstream {
        scheme: Scheme::Https,
        host: "api.example.com".to_owned(),
        port: 443,
    };
    let set = |value: &str| Some(value.to_owned());
    let refused = |settings: &ConnectSettings| match Connector::new(settings.clone()) {
        Err(ConnectSettingsError::Proxy { name }) => name,
        Err(other) => panic!("{other}"),
        Ok(_) => "",
    };
    // An impossible proxy shows which one was chosen.
    settings.proxy.http_proxy = set("socks5://x:1");
    assert_eq!(refused(&settings), "");
    settings.proxy.all_proxy = set("socks5://x:1");
    assert_eq!(refused(&settings), "ALL_PROXY or all_proxy");
    settings.proxy.https_proxy = set("https://x:1");
    assert_eq!(refused(&settings), "HTTPS_PROXY or https_proxy");
    let mut plain = settings.clone();
    plain.upstream.scheme = Scheme::Http;
    assert_eq!(refused(&plain), "http_proxy");
    settings.proxy.no_proxy = set("example.com");
    assert_eq!(refused(&settings), "");
    settings.proxy.url = set("not a url");
    assert_eq!(refused(&settings), "the configured proxy");
    settings.proxy.url = set("");
    assert_eq!(refused(&settings), "");
    assert!(!format!("{:?}", settings.proxy).contains("x:1"));
}

#[tokio::test]
async fn hosts() {
    within(async {
        let listener = match tokio::net::TcpListener::bind("[::1]:0").await {
            Ok(listener) => listener,
            // A machine without IPv6 has nothing to show here.
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => return,
            Err(error) => panic!("{error}"),
        };
        let port = listener.local_addr().unwrap().port();
        let upstream = Upstream {
            scheme: Scheme::Http,
            host: "::1".to_owned(),
            port,
        };
        let connector = connector(ConnectSettings::new(upstream.clone()));
        let answer = sending(&connector, Request::get("/").body(Full::default()).unwrap());
        let mut far = Raw::accept(&listener).await;
        let head = far.head().await;
        assert!(head.contains(&format!("host: [::1]:{port}\r\n")), "{head}");
        far.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        answer.await.unwrap().unwrap();

        for host in ["", "a b", "a/b", "user@host"] {
            let settings = ConnectSettings::new(Upstream {
                host: host.to_owned(),
                ..upstream.clone()
            });
            let refused = Connector::new(settings).unwrap_err();
            assert!(
                matches!(refused, ConnectSettingsError::Host { .. }),
                "{host:?}: {refused}"
            );
        }
    })
    .await;
}
