//! The listener over plain sockets: versions, limits, deadlines.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Raw, Serving, echo_path, listener, within};
use crate::{ClientBody, ListenError, ListenSettings, Listener, Peer};

const GET: &str = "GET /here HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn http1_with_nothing_added() {
    within(async {
        let serving = Serving::start(listener(|_| {}).await, echo_path);
        let mut client = Raw::connect(serving.address).await;
        for _ in 0..2 {
            client.say(GET).await;
            assert_eq!(
                client.head().await,
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
            );
            client.until("/here").await;
        }
        assert_eq!(serving.figures.accepted(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte() {
    within(async {
        let serving = Serving::start(listener(|_| {}).await, echo_path);
        // "P" and "PR" could still become the preface of HTTP/2.
        for head in [
            "POST /slow HTTP/1.1\r\nhost: x\r\n\r\n",
            "PRI /slow HTTP/1.1\r\nhost: x\r\n\r\n",
        ] {
            let mut client = Raw::connect(serving.address).await;
            client.stream.set_nodelay(true).unwrap();
            for byte in head.bytes() {
                client.say([byte]).await;
                tokio::task::yield_now().await;
            }
            client.until("/slow").await;
        }
    })
    .await;
}

#[tokio::test]
async fn http2_by_prior_knowledge() {
    within(async {
        let serving = Serving::start(listener(|_| {}).await, echo_path);
        let stream = TcpStream::connect(serving.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let uri = format!("http://{}/two", serving.address);
        let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert!(answer.headers().get("date").is_none());
        assert_eq!(
            answer.into_body().collect().await.unwrap().to_bytes(),
            "/two"
        );
        // The connection knows of the drain.
        serving.drain.begin(Duration::ZERO, Duration::from_mins(1));
        assert_eq!(serving.ended().await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_malformed_or_too_long_is_answered_and_closed() {
    let long = "a".repeat(9000);
    let many = "h: 1\r\n".repeat(100);
    let cases = [
        (
            "GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request",
        ),
        (
            "GET / SMTP/1.1\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.1\r\nh: {long}\r\n\r\n"),
            "HTTP/1.1 431 ",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            "HTTP/1.1 431 ",
        ),
    ];
    for (head, status) in cases {
        within(async {
            let listener = listener(|settings| settings.most_head_bytes = 8192).await;
            let serving = Serving::start(listener, echo_path);
            let mut client = Raw::connect(serving.address).await;
            client.say(head).await;
            let answer = client.closed().await;
            assert!(answer.starts_with(status), "{answer:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn another_limit_of_headers() {
    within(async {
        let serving = Serving::start(
            listener(|settings| settings.most_headers = 2).await,
            echo_path,
        );
        let mut client = Raw::connect(serving.address).await;
        client
            .say("GET /two HTTP/1.1\r\nhost: x\r\na: 1\r\n\r\n")
            .await;
        client.until("/two").await;
        client
            .say("GET /three HTTP/1.1\r\nhost: x\r\na: 1\r\nb: 1\r\n\r\n")
            .await;
        assert!(client.closed().await.starts_with("HTTP/1.1 431 "));
    })
    .await;
}

#[tokio::test]
async fn slow_heads_are_cut() {
    const PATIENCE: Duration = Duration::from_millis(150);
    // Nothing; half a preface; half a head; half a second head.
    for (calls, said) in [
        (0, ""),
        (0, "PRI *"),
        (0, "GET / HTTP/1.1\r\n"),
        (1, "GET /again"),
    ] {
        within(async {
            let listener = listener(|settings| settings.head_timeout = PATIENCE).await;
            let serving = Serving::start(listener, echo_path);
            let mut client = Raw::connect(serving.address).await;
            for _ in 0..calls {
                client.say(GET).await;
                client.until("/here").await;
            }
            client.say(said).await;
            let begun = Instant::now();
            client.closed().await;
            let took = begun.elapsed();
            assert!(
                took + Duration::from_millis(20) > PATIENCE,
                "{said:?} {took:?}"
            );
            assert!(took < PATIENCE * 3, "{said:?} {took:?}");
            serving.figure(crate::ListenFigures::slow_heads, 1).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_trickling_head_is_cut_too() {
    within(async {
        let patience = Duration::from_millis(150);
        let serving = Serving::start(
            listener(|settings| settings.head_timeout = patience).await,
            echo_path,
        );
        let mut client = Raw::connect(serving.address).await;
        let begun = Instant::now();
        client.say("GET / HTTP/1.1\r\nh: ").await;
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            tokio::select! {
                _ = client.closed() => break,
                _ = ticks.tick() => {}
            }
            let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, b"x").await;
        }
        assert!(begun.elapsed() < patience * 3, "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test]
async fn idle_is_not_slow_and_a_long_call_is_neither() {
    within(async {
        let patience = Duration::from_millis(60);
        let idle = Duration::from_millis(400);
        let listener = listener(|settings| {
            settings.head_timeout = patience;
            settings.idle_timeout = idle;
        })
        .await;
        let serving = Serving::start(
            listener,
            move |request: Request<ClientBody>, _: Peer| async move {
                if request.uri().path() == "/long" {
                    tokio::time::sleep(patience * 4).await;
                }
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("done")))
            },
        );
        let mut client = Raw::connect(serving.address).await;
        client.say("GET /long HTTP/1.1\r\n\r\n").await;
        client.until("done").await;
        let begun = Instant::now();
        client.closed().await;
        assert!(
            begun.elapsed() + Duration::from_millis(20) > idle,
            "{:?}",
            begun.elapsed()
        );
        assert!(begun.elapsed() < idle * 2, "{:?}", begun.elapsed());
        assert_eq!(serving.figures.slow_heads(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    within(async {
        let listener = listener(|settings| settings.write_stall = Duration::from_millis(100)).await;
        let serving = Serving::start(listener, async |_: Request<ClientBody>, _: Peer| {
            Ok::<_, Infallible>(Response::new(Endless))
        });
        let mut client = Raw::connect(serving.address).await;
        client.say(GET).await;
        client.head().await;
        serving
            .figure(crate::ListenFigures::stalled_writes, 1)
            .await;
    })
    .await;
}

/// A body without end.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

fn our_words(status: StatusCode) -> Bytes {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\nour words").into()
}

#[tokio::test]
async fn a_head_that_is_no_request_is_refused_in_our_words() {
    let long = "a".repeat(300_000);
    let cases = [
        (
            "GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        // The client has sent more than is read, and still gets its answer.
        (
            format!("GET / HTTP/1.1\r\nh: {long}\r\n\r\n"),
            "431 Request Header Fields Too Large",
        ),
        (
            "\u{16}\u{3}\u{1} hello in TLS".to_owned(),
            "400 Bad Request",
        ),
    ];
    for (head, status) in cases {
        for before in ["", GET] {
            within(async {
                let listener = listener(|settings| settings.refusal = our_words).await;
                let serving = Serving::start(listener, echo_path);
                let mut client = Raw::connect(serving.address).await;
                client.say(format!("{before}{head}")).await;
                if !before.is_empty() {
                    client.until("/here").await;
                }
                let answer = client.closed().await;
                assert_eq!(
                    answer,
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\nour words")
                );
            })
            .await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_looks_like_a_refusal_is_none() {
    let alike = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    within(async {
        let listener = listener(|settings| settings.refusal = our_words).await;
        let serving = Serving::start(listener, move |_, _| async move {
            Ok(Response::new(Full::new(Bytes::from_static(
                alike.as_bytes(),
            ))))
        });
        for _ in 0..3 {
            let mut client = Raw::connect(serving.address).await;
            client.say(GET).await;
            client.head().await;
            client.until(alike).await;
            client
                .say(GET.replace("host", "connection: close\r\nhost"))
                .await;
            assert!(client.closed().await.ends_with(alike));
        }
    })
    .await;
}

#[tokio::test]
async fn over_the_limit() {
    within(async {
        let listener = listener(|settings| {
            settings.most_connections = 1;
            settings.refusal = our_words;
        })
        .await;
        let serving = Serving::start(listener, echo_path);
        let mut first = Raw::connect(serving.address).await;
        first.say(GET).await;
        first.until("/here").await;

        let mut second = Raw::connect(serving.address).await;
        second.say(GET).await;
        assert_eq!(
            second.closed().await,
            "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\nour words"
        );
        assert_eq!(
            (serving.figures.accepted(), serving.figures.over_limit()),
            (1, 1)
        );

        // The first one is not disturbed, and its place is free once it has left.
        first.say(GET).await;
        first.until("/here").await;
        drop(first);
        loop {
            let mut third = Raw::connect(serving.address).await;
            third.say(GET).await;
            if third.head().await.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_port_is_taken() {
    let taken = listener(|_| {}).await;
    let error = Listener::bind(ListenSettings::new(taken.local_address()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ListenError::AddressInUse { .. }),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("{} is in use by another program", taken.local_address())
    );

    // Of a network that is for documentation only, so never ours.
    let error = Listener::bind(ListenSettings::new(([192, 0, 2, 1], 0).into()))
        .await
        .unwrap_err();
    assert!(matches!(error, ListenError::Bind { .. }), "{error:?}");
}

#[tokio::test]
async fn whose_body_nobody_reads_is_told_that_nothing_may_follow_it() {
    within(async {
        let serving = Serving::start(listener(|_| {}).await, echo_path);
        let mut client = Raw::connect(serving.address).await;
        // One that came with its head is out of the way.
        client
            .say("POST /whole HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc")
            .await;
        assert!(!client.head().await.contains("connection: close"));
        client.until("/whole").await;
        client
            .say("POST /later HTTP/1.1\r\ncontent-length: 3\r\n\r\n")
            .await;
        assert!(client.head().await.contains("connection: close"));
        client.until("/later").await;
        // However much still comes, the answer is not lost.
        client.say(vec![b'x'; 1 << 20]).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream)
            .await
            .unwrap();
        assert_eq!(client.closed().await, "");
    })
    .await;
}
