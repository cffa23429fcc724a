//! Calls from a client through listener and connector to an upstream and back, many at once, on several threads: what a
//! proxy is made of. A wake-up lost anywhere on the way shows as a test that hangs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Raw, Serving, listener, post, text, within};
use crate::{Break, ClientBody, ConnectSettings, Connector, Peer, Scheme, Upstream, UpstreamBody};

type AnyBody = UnsyncBoxBody<Bytes, Break>;

fn connector_to(port: u16) -> Connector {
    let upstream = Upstream {
        scheme: Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port,
    };
    Connector::new(ConnectSettings::new(upstream)).unwrap()
}

/// A proxy in one line: what comes in goes on as it is.
async fn passing_on(port: u16) -> (Serving, Connector) {
    let connector = connector_to(port);
    let sender = connector.clone();
    let service = move |request: Request<ClientBody>, _: Peer| {
        let sender = sender.clone();
        async move {
            let answer: Response<AnyBody> = match sender.send(request).await {
                Ok(answer) => answer.map(UpstreamBody::boxed_unsync),
                Err(error) => Response::builder()
                    .status(502)
                    .body(
                        Full::from(error.to_string())
                            .map_err(|never: Infallible| match never {})
                            .boxed_unsync(),
                    )
                    .unwrap(),
            };
            Ok::<_, Infallible>(answer)
        }
    };
    (Serving::start(listener(|_| {}).await, service), connector)
}

/// An upstream that sends back what it is sent, as it is sent.
async fn echoing() -> Serving {
    Serving::start(
        listener(|_| {}).await,
        async |request: Request<ClientBody>, _: Peer| {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once() {
    within(async {
        let upstream = echoing().await;
        let (proxy, connections) = passing_on(upstream.address.port()).await;
        let client = Arc::new(connector_to(proxy.address.port()));
        let mut callers = JoinSet::new();
        for caller in 0..32_usize {
            let client = Arc::clone(&client);
            callers.spawn(async move {
                for call in 0..40 {
                    // From nothing over a segment to several buffers.
                    let sent = vec![b'a' + u8::try_from(caller % 26).unwrap(); call * call * 83];
                    let request = Request::post("/").body(Full::from(sent.clone())).unwrap();
                    let answer = client.send(request).await.unwrap();
                    assert_eq!(answer.status(), 200);
                    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), sent);
                }
            });
        }
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
        assert!(
            connections.figures().opened <= 32,
            "{:?}",
            connections.figures()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_both_ways() {
    within(async {
        let upstream = echoing().await;
        let (proxy, connections) = passing_on(upstream.address.port()).await;
        let client = connector_to(proxy.address.port());
        let sent = (0..16 << 20)
            .map(|at: u32| at.to_le_bytes()[at as usize % 3])
            .collect::<Bytes>();
        for _ in 0..2 {
            let answer = client
                .send(Request::post("/").body(Full::from(sent.clone())).unwrap())
                .await
                .unwrap();
            assert!(answer.into_body().collect().await.unwrap().to_bytes() == sent);
        }
        assert_eq!(connections.figures().opened, 1);
    })
    .await;
}

#[tokio::test]
async fn each_piece_of_a_stream_comes_at_once() {
    within(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (proxy, _) = passing_on(upstream.local_addr().unwrap().port()).await;
        let mut client = Raw::connect(proxy.address).await;
        client.say("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut far = Raw::accept(&upstream).await;
        far.head().await;
        far.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        client.head().await;
        for piece in ["one", "two", "six"] {
            far.say(format!("3\r\n{piece}\r\n")).await;
            assert_eq!(
                client.until(piece).await.trim_start_matches("\r\n"),
                format!("3\r\n{piece}")
            );
        }
        // The client leaves in the middle, and upstream hears of it.
        let left = std::time::Instant::now();
        drop(client);
        far.closed().await;
        assert!(
            left.elapsed() < Duration::from_millis(100),
            "{:?}",
            left.elapsed()
        );
    })
    .await;
}

#[tokio::test]
async fn a_break_stays_a_break() {
    within(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (proxy, _) = passing_on(upstream.local_addr().unwrap().port()).await;
        let client = connector_to(proxy.address.port());
        let answer = super::sending(&client, post("/", ""));
        let mut far = Raw::accept(&upstream).await;
        far.head().await;
        far.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await;
        let mut body = answer.await.unwrap().unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(far);
        assert!(body.frame().await.unwrap().is_err());
    })
    .await;
}

#[tokio::test]
async fn over_http2_to_http1() {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    within(async {
        let upstream = echoing().await;
        let (proxy, _) = passing_on(upstream.address.port()).await;
        let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = Box::pin(handshake).await.unwrap();
        tokio::spawn(connection);
        let mut calls = JoinSet::new();
        for _ in 0..20 {
            let mut sender = sender.clone();
            calls.spawn(async move {
                let request = Request::get("http://elsewhere.example/")
                    .body(Empty::<Bytes>::new())
                    .unwrap();
                sender.send_request(request).await.unwrap().status()
            });
        }
        while let Some(status) = calls.join_next().await {
            assert_eq!(status.unwrap(), 200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_dead_upstream_is_said() {
    within(async {
        let gone = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let (proxy, connections) = passing_on(gone.port()).await;
        let client = connector_to(proxy.address.port());
        let answer = client.send(post("/", "")).await.unwrap();
        assert_eq!(answer.status(), 502);
        let said = text(answer).await;
        assert!(
            said.starts_with(&format!("could not reach {gone}: connection refused")),
            "{said}"
        );
        assert_eq!(connections.figures().failed, 1);
    })
    .await;
}
