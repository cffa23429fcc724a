//! HTTP/2 between its calls and during them: who is idle is told to leave, and nobody else is.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Raw, Serving, echo_path, listener, within};
use crate::{ClientBody, ListenFigures, PastLimit, Peer};

const HEAD: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_millis(400);

/// A client, and how its connection ends.
type Client = (
    SendRequest<Empty<Bytes>>,
    JoinHandle<Result<(), hyper::Error>>,
);

async fn client(serving: &Serving) -> Client {
    let stream = TcpStream::connect(serving.address).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn call(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Response<Incoming> {
    let uri = format!("http://x{path}");
    let request = Request::get(uri).body(Empty::new()).unwrap();
    sender.send_request(request).await.unwrap()
}

async fn answered(sender: &mut SendRequest<Empty<Bytes>>) {
    let answer = call(sender, "/here").await.into_body().collect().await;
    assert_eq!(answer.unwrap().to_bytes(), "/here");
}

#[tokio::test]
async fn who_asks_late_is_served_and_who_asks_no_more_is_told_to_leave() {
    within(async {
        let listener = listener(|settings| {
            settings.head_timeout = HEAD;
            settings.idle_timeout = IDLE;
        });
        let serving = Serving::start(listener.await, echo_path);
        let (mut sender, connection) = client(&serving).await;
        for _ in 0..3 {
            tokio::time::sleep(HEAD * 2).await;
            answered(&mut sender).await;
        }
        let idle = Instant::now();
        // It is no error: nothing was lost.
        connection.await.unwrap().unwrap();
        let took = idle.elapsed();
        assert!(took + Duration::from_millis(20) > IDLE, "{took:?}");
        serving.figure(ListenFigures::idle, 1).await;
        assert_eq!(serving.figures.slow_heads(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_request_of_too_many_headers_is_said_to_be_one() {
    within(async {
        let listener = listener(|settings| settings.most_headers = 3);
        let told = |request: Request<ClientBody>, _: Peer| async move {
            let past = request.extensions().get::<PastLimit>();
            Ok::<_, Infallible>(Response::new(Full::from(format!("{past:?}"))))
        };
        let serving = Serving::start(listener.await, told);
        let (mut sender, _connection) = client(&serving).await;
        for (headers, expected) in [(3, "None"), (4, "Some(Headers)")] {
            let mut request = Request::get("http://x/");
            for number in 0..headers {
                request = request.header("a", number);
            }
            let asked = sender.send_request(request.body(Empty::new()).unwrap());
            let answer = asked.await.unwrap().into_body().collect().await.unwrap();
            assert_eq!(answer.to_bytes(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn no_more_requests_are_open_than_there_may_be_connections() {
    within(async {
        let listener = listener(|settings| settings.most_connections = 2);
        let told = |request: Request<ClientBody>, _: Peer| async move {
            if request.extensions().get() == Some(&PastLimit::Requests) {
                return Ok::<_, Infallible>(Response::new(Full::from("too many")));
            }
            pending().await
        };
        let serving = Serving::start(listener.await, told);
        let (mut sender, _connection) = client(&serving).await;
        let ask = || Request::get("http://x/").body(Empty::new()).unwrap();
        let first = sender.send_request(ask());
        let second = tokio::spawn(sender.send_request(ask()));
        let third = sender.send_request(ask()).await.unwrap();
        let answer = third.into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "too many");
        // Who leaves gives its place to another.
        drop(first);
        second.abort();
    })
    .await;
}

/// A body that never ends.
struct Silent;

impl Body for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn who_waits_for_an_answer_is_not_idle_and_who_gives_up_is() {
    within(async {
        let listener = listener(|settings| {
            settings.head_timeout = HEAD;
            settings.idle_timeout = IDLE;
        });
        let service = async |request: Request<ClientBody>, _: Peer| {
            if request.uri().path() == "/never" {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Silent))
        };
        let serving = Serving::start(listener.await, service);
        let (mut sender, connection) = client(&serving).await;
        let silent = call(&mut sender, "/silent").await;
        tokio::time::sleep(IDLE * 3).await;
        // Had it been told to leave, it could ask no more.
        drop(call(&mut sender, "/silent").await);
        drop(silent);
        let never = tokio::time::timeout(IDLE * 3, call(&mut sender, "/never"));
        assert!(never.await.is_err());
        let idle = Instant::now();
        connection.await.unwrap().unwrap();
        let took = idle.elapsed();
        assert!(took + Duration::from_millis(20) > IDLE, "{took:?}");
    })
    .await;
}

#[tokio::test]
async fn who_does_not_leave_is_closed() {
    const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    within(async {
        let listener = listener(|settings| {
            settings.head_timeout = HEAD;
            settings.idle_timeout = IDLE;
        });
        let serving = Serving::start(listener.await, echo_path);
        let mut client = Raw::connect(serving.address).await;
        client.say([PREFACE.as_bytes(), SETTINGS].concat()).await;
        let begun = Instant::now();
        // It answers nothing, and says again and again how it is set.
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            tokio::select! {
                _ = client.closed() => break,
                _ = ticks.tick() => {}
            }
            let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, SETTINGS).await;
        }
        let took = begun.elapsed();
        assert!(took > IDLE, "{took:?}");
        serving.figure(ListenFigures::idle, 1).await;
    })
    .await;
}
