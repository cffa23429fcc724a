//! The connector over plain sockets: what is reused, what is not, and that nothing is sent twice.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};

use super::{Raw, connector, post, sending, sockets_seen, text, upstream, within};
use crate::SendError;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn counts_go_on_where_a_reload_left_them() {
    within(async {
        let (listener, settings) = upstream().await;
        let before = connector(settings.clone());
        drop(listener);
        assert!(before.send(post("/", "")).await.is_err());
        let after = connector(settings);
        after.replaces(&before);
        assert!(after.send(post("/", "")).await.is_err());
        assert_eq!(after.figures().failed, 2);
        assert_eq!(before.figures().failed, 1);
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_used_again() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let answer = sending(&connector, post("/v1//a?b=%7E", "one"));
        let mut far = Raw::accept(&listener).await;
        let head = far.head().await;
        assert!(head.starts_with("POST /v1//a?b=%7E HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: {}\r\n", connector.address())), "{head}");
        assert!(head.contains("content-length: 3\r\n"), "{head}");
        far.until("one").await;
        far.say(OK).await;
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
        assert_eq!(connector.figures().idle, 1);

        // Bodies of every kind of end give the connection back: chunked, none, and that of HEAD.
        let ends = [
            ("POST", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
            ("POST", "HTTP/1.1 204 No Content\r\n\r\n", ""),
            ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", ""),
            ("POST", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        ];
        for (method, said, body) in ends {
            let request = Request::builder().method(method).uri("/").body(Full::default()).unwrap();
            let answer = sending(&connector, request);
            far.head().await;
            far.say(said).await;
            assert_eq!(text(answer.await.unwrap().unwrap()).await, body);
            assert_eq!(connector.figures().idle, 1, "after {said:?}");
        }
        assert_eq!(connector.figures().opened, 1);
    })
    .await;
}

#[tokio::test]
async fn the_future_of_a_call_is_small() {
    let (_listener, settings) = upstream().await;
    let connector = connector(settings);
    // It is moved into place for every call.
    let size = size_of_val(&connector.send(post("/", "")));
    assert!(size <= 1280, "{size} bytes");
}

#[tokio::test]
async fn whatever_the_request_says_it_goes_to_the_configured_upstream() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let request = Request::get("http://evil.example/v1/models?x=%2F")
            .version(http::Version::HTTP_2)
            .header("host", "a@evil.example")
            .body(Full::default())
            .unwrap();
        let answer = sending(&connector, request);
        let mut far = Raw::accept(&listener).await;
        let head = far.head().await;
        assert!(
            head.starts_with("GET /v1/models?x=%2F HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("host: {}\r\n", connector.address())),
            "{head}"
        );
        assert!(!head.contains("evil"), "{head}");
        far.say(OK).await;
        answer.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    within(async {
        let (listener, mut settings) = upstream().await;
        settings.idle_timeout = Duration::from_millis(80);
        let connector = connector(settings);
        let answer = sending(&connector, post("/", ""));
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        far.say(OK).await;
        text(answer.await.unwrap().unwrap()).await;
        let idle = Instant::now();
        far.closed().await;
        let idle = idle.elapsed();
        assert!(idle >= Duration::from_millis(70), "closed after {idle:?}");
        assert!(idle <= Duration::from_millis(400), "closed after {idle:?}");
        assert_eq!(connector.figures().idle, 0);

        // The next call finds its way all the same.
        let answer = sending(&connector, post("/", ""));
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        far.say(OK).await;
        answer.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_pool_is_bounded_and_the_last_one_in_is_the_first_one_out() {
    within(async {
        let (listener, mut settings) = upstream().await;
        settings.most_idle = 2;
        let connector = connector(settings);
        let mut far = Vec::new();
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(sending(&connector, post("/", "")));
            let mut one = Raw::accept(&listener).await;
            one.head().await;
            far.push(one);
        }
        for (one, answer) in far.iter_mut().zip(answers) {
            one.say(OK).await;
            text(answer.await.unwrap().unwrap()).await;
        }
        far[0].closed().await;
        let figures = connector.figures();
        assert_eq!(
            (figures.opened, figures.idle, figures.turned_away),
            (3, 2, 1)
        );

        let answer = sending(&connector, post("/last", ""));
        assert!(far[2].head().await.starts_with("POST /last"));
        far[2].say(OK).await;
        answer.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_upstream_closed_or_soiled_is_not_used_and_nothing_is_sent_twice() {
    for last_words in [
        "",
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n",
    ] {
        within(async {
            let (listener, settings) = upstream().await;
            let connector = connector(settings);
            let mut stale = Vec::new();
            let mut answers = Vec::new();
            for _ in 0..3 {
                answers.push(sending(&connector, post("/", "")));
                let mut far = Raw::accept(&listener).await;
                far.head().await;
                stale.push(far);
            }
            for (far, answer) in stale.iter_mut().zip(answers) {
                far.say(OK).await;
                text(answer.await.unwrap().unwrap()).await;
            }
            assert_eq!(connector.figures().idle, 3);
            for far in &mut stale {
                far.say(last_words).await;
            }
            if last_words.is_empty() {
                stale.clear();
            }
            sockets_seen().await;

            let answer = sending(&connector, post("/once", ""));
            let mut far = Raw::accept(&listener).await;
            assert!(far.head().await.starts_with("POST /once"));
            far.say(OK).await;
            assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
            assert_eq!(connector.figures().opened, 4);
            for mut far in stale {
                assert_eq!(far.closed().await, "");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_that_was_written_is_never_sent_again() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let answer = sending(&connector, post("/", ""));
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        far.say(OK).await;
        text(answer.await.unwrap().unwrap()).await;

        // The pooled connection breaks while upstream works on the second call.
        let answer = sending(&connector, post("/paid", "x"));
        far.until("x").await;
        drop(far);
        match answer.await.unwrap() {
            Err(SendError::Broke { sent: true, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(connector.figures().opened, 1);
        assert_eq!(connector.figures().idle, 0);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_not_http_breaks_the_call() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let answer = sending(&connector, post("/", ""));
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        far.say("220 mail.example ESMTP\r\n\r\n").await;
        let error = answer.await.unwrap().unwrap_err();
        assert!(
            matches!(error, SendError::Broke { sent: true, .. }),
            "{error:?}"
        );
        assert!(!error.is_timeout());
        far.closed().await;
    })
    .await;
}

#[tokio::test]
async fn connections_that_upstream_ends_are_not_kept() {
    let endings = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokSTRAY",
    ];
    for said in endings {
        within(async {
            let (listener, settings) = upstream().await;
            let connector = connector(settings);
            let answer = sending(&connector, post("/", ""));
            let mut far = Raw::accept(&listener).await;
            far.head().await;
            far.say(said).await;
            assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
            far.closed().await;
            assert_eq!(connector.figures().idle, 0, "after {said:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_body_dropped_unread_closes_its_connection_at_once() {
    let unfinished = [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\n\r\nok",
    ];
    for said in unfinished {
        within(async {
            let (listener, settings) = upstream().await;
            let connector = connector(settings);
            let answer = sending(&connector, post("/", ""));
            let mut far = Raw::accept(&listener).await;
            far.head().await;
            far.say(said).await;
            let mut body = answer.await.unwrap().unwrap().into_body();
            let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(first, "ok");
            let dropped = Instant::now();
            drop(body);
            far.closed().await;
            assert!(
                dropped.elapsed() < Duration::from_millis(100),
                "{:?}",
                dropped.elapsed()
            );
            assert_eq!(connector.figures().idle, 0);
        })
        .await;
    }
}

#[tokio::test]
async fn a_call_dropped_before_its_answer_closes_its_connection_at_once() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let call = sending(&connector, post("/", ""));
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        let dropped = Instant::now();
        call.abort();
        far.closed().await;
        assert!(
            dropped.elapsed() < Duration::from_millis(100),
            "{:?}",
            dropped.elapsed()
        );
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_says_so() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let answer = sending(&connector, post("/", ""));
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        far.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
            .await;
        let mut body = answer.await.unwrap().unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(far);
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
        assert_eq!(connector.figures().idle, 0);
    })
    .await;
}

#[tokio::test]
async fn length_and_end_are_those_of_upstream() {
    use http_body::Body;
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let mut far = None;
        let exact = [
            ("content-length: 2", Some(2), "ok"),
            ("transfer-encoding: chunked", None, "2\r\nok\r\n0\r\n\r\n"),
        ];
        for (framing, length, bytes) in exact {
            let answer = sending(&connector, post("/", ""));
            if far.is_none() {
                far = Some(Raw::accept(&listener).await);
            }
            let far = far.as_mut().unwrap();
            far.head().await;
            far.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{bytes}"))
                .await;
            let mut body = answer.await.unwrap().unwrap().into_body();
            assert_eq!(body.size_hint().exact(), length);
            assert!(!body.is_end_stream());
            body.frame().await.unwrap().unwrap();
            // A known length says at once that nothing follows, so the last bytes and the end go out together.
            assert_eq!(body.is_end_stream(), length.is_some());
            assert!(body.frame().await.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn an_early_answer_does_not_leave_half_a_request_in_the_pool() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        // More than the sockets' buffers hold.
        let request = Request::post("/")
            .body(Full::from(Bytes::from(vec![b'x'; 64 << 20])))
            .unwrap();
        let answer = sending(&connector, request);
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        far.say("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            .await;
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), 413);
        assert_eq!(text(answer).await, "no");
        assert_eq!(connector.figures().idle, 0);
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_hands_over_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let request = Request::get("/")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .body(Full::default())
            .unwrap();
        let answer = sending(&connector, request);
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        far.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello").await;
        let mut answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), 101);
        let mut tunnel = answer.body_mut().switched().unwrap();
        assert!(answer.body_mut().switched().is_none());
        let mut hello = [0; 5];
        tunnel.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"hello");
        tunnel.write_all(b"there").await.unwrap();
        far.until("there").await;
        drop(tunnel);
        far.closed().await;
        assert_eq!(connector.figures().idle, 0);
    })
    .await;
}

#[tokio::test]
async fn a_body_in_many_pieces_leaves_others_their_turn() {
    use http_body::Body;
    use std::pin::Pin;
    use std::task::Poll;
    within(async {
        const MANY: usize = 5_000;
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let answer = sending(&connector, post("/", ""));
        let mut far = Raw::accept(&listener).await;
        far.head().await;
        let chunks = "1\r\nx\r\n".repeat(MANY);
        far.say(format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        ))
        .await;
        let mut body = answer.await.unwrap().unwrap().into_body();
        sockets_seen().await;
        let (mut pieces, mut turns) = (0, 0);
        std::future::poll_fn(|cx| {
            turns += 1;
            loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(piece)) => pieces += piece.unwrap().into_data().unwrap().len(),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        assert_eq!(pieces, MANY);
        assert!(turns > MANY / 500, "{turns} turns");
    })
    .await;
}
