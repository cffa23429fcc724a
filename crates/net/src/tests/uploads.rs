//! Requests whose bodies stop coming: whoever waits for more of one waits for a limited time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Raw, Serving, listener, within};
use crate::{Break, ClientBody, ListenFigures, Peer};

const STALL: Duration = Duration::from_millis(300);

/// Answers with what the request's body was.
async fn collected(
    request: Request<ClientBody>,
    _: Peer,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/later" {
        tokio::time::sleep(STALL * 3).await;
    }
    let body = request.into_body().collect().await;
    let mut answer = Response::new(Full::from(match body {
        Ok(body) => body.to_bytes(),
        Err(Break::Stalled) => "stalled".into(),
        Err(_) => "broke".into(),
    }));
    if answer.body().size_hint().exact() == Some(7) {
        *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
    }
    Ok(answer)
}

/// An answer without an end, which reads the request's body meanwhile and does not care what becomes of it.
struct Both {
    said: bool,
    request: Option<ClientBody>,
}

impl Body for Both {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while let Some(body) = &mut self.request {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => self.request = None,
            }
        }
        if std::mem::replace(&mut self.said, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data("said".into()))))
    }
}

async fn both(request: Request<ClientBody>, _: Peer) -> Result<Response<Both>, Infallible> {
    Ok(Response::new(Both {
        said: false,
        request: Some(request.into_body()),
    }))
}

async fn served<S, F, B>(service: S) -> Serving
where
    S: Fn(Request<ClientBody>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    Serving::start(
        listener(|settings| settings.read_stall = STALL).await,
        service,
    )
}

#[tokio::test]
async fn who_stops_amid_its_body_is_told_so() {
    within(async {
        let serving = served(collected).await;
        for (number, body) in [
            "content-length: 9\r\n\r\nabc",
            "content-length: 9\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n2\r\na",
            "expect: 100-continue\r\ncontent-length: 9\r\n\r\n",
        ]
        .into_iter()
        .enumerate()
        {
            let mut client = Raw::connect(serving.address).await;
            let begun = Instant::now();
            client
                .say(format!("POST / HTTP/1.1\r\nhost: x\r\n{body}"))
                .await;
            let mut head = client.head().await;
            if head.starts_with("HTTP/1.1 100 ") {
                head = client.head().await;
            }
            let took = begun.elapsed();
            assert!(head.starts_with("HTTP/1.1 408 "), "{body}: {head}");
            assert!(head.contains("connection: close\r\n"), "{body}: {head}");
            assert!(took > STALL, "{body}: {took:?}");
            client.until("stalled").await;
            drop(client);
            let so_far = u64::try_from(number).unwrap() + 1;
            serving.figure(ListenFigures::stalled_reads, so_far).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_slow_is_waited_for() {
    within(async {
        let serving = served(collected).await;
        let mut client = Raw::connect(serving.address).await;
        client
            .say("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n")
            .await;
        for _ in 0..12 {
            tokio::time::sleep(STALL / 6).await;
            client.say("x").await;
        }
        client.until("xxxxxxxxxxxx").await;
        // Nobody waits for what is not asked for yet.
        client
            .say("POST /later HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc")
            .await;
        tokio::time::sleep(STALL * 2).await;
        client.say("def").await;
        client.until("abcdef").await;
        // An answer may be silent as long as it likes.
        client.say("GET /later HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(serving.figures.stalled_reads(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_stops_amid_its_body_while_it_is_answered_is_cut() {
    within(async {
        let serving = served(both).await;
        let mut client = Raw::connect(serving.address).await;
        client
            .say("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc")
            .await;
        client.until("said").await;
        client.closed().await;
        serving.figure(ListenFigures::stalled_reads, 1).await;
        // With all of its body there, the answer may go on.
        let mut client = Raw::connect(serving.address).await;
        client
            .say("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc")
            .await;
        client.until("said").await;
        client.say("defghi").await;
        let closed = tokio::time::timeout(STALL * 3, client.closed());
        assert!(closed.await.is_err());
    })
    .await;
}

/// A body over HTTP/2 that stops after its first piece.
struct Stops(Option<&'static str>);

impl Body for Stops {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn over_http2_its_stream_ends_alone() {
    within(async {
        let ask = |path: &str| {
            let request = Request::post(format!("http://x{path}"));
            request.body(Stops(Some("abc"))).unwrap()
        };
        for begins in [false, true] {
            let serving = if begins {
                served(both).await
            } else {
                served(collected).await
            };
            let stream = TcpStream::connect(serving.address).await.unwrap();
            let io = TokioIo::new(stream);
            let (mut sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
            let connection = tokio::spawn(connection);
            for number in 1..3 {
                let begun = Instant::now();
                let answer = sender.send_request(ask("/")).await.unwrap();
                let status = answer.status();
                let body = answer.into_body().collect().await;
                if begins {
                    assert!(body.is_err(), "the answer ends");
                } else {
                    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
                    assert_eq!(body.unwrap().to_bytes(), "stalled");
                }
                let took = begun.elapsed();
                assert!(took > STALL, "{took:?}");
                assert_eq!(serving.figures.stalled_reads(), number);
            }
            assert!(!connection.is_finished());
        }
    })
    .await;
}
