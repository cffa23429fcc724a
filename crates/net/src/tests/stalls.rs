//! Answers over HTTP/2 that their clients do not take: each ends by itself, with what it holds, and no other one does.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Raw, Serving, listener, within};
use crate::{ClientBody, ListenFigures, Peer};

const STALL: Duration = Duration::from_millis(500);
const PIECE: usize = 16 * 1024;

type Pieces = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

/// An answer that is not dropped yet.
struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// So many pieces, with a pause before each but the first.
fn pieces(many: usize, length: usize, pause: Duration, held: Held) -> Pieces {
    Box::pin(unfold((0, held), move |(number, held)| async move {
        if number == many {
            return None;
        }
        if number > 0 && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let frame = Frame::data(Bytes::from(vec![b'x'; length]));
        Some((Ok(frame), (number + 1, held)))
    }))
}

/// A listener, and how many answers of its are held.
async fn serving() -> (Serving, Arc<AtomicUsize>) {
    let held = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&held);
    let service = move |request: Request<ClientBody>, _: Peer| {
        counts.fetch_add(1, Ordering::Relaxed);
        let held = Held(Arc::clone(&counts));
        let pieces = match request.uri().path() {
            "/ticks" => pieces(30, 100, STALL / 10, held),
            "/silent" => pieces(2, 100, STALL * 3, held),
            "/short" => pieces(2, PIECE, Duration::ZERO, held),
            _ => pieces(usize::MAX, PIECE, Duration::ZERO, held),
        };
        async { Ok(Response::new(StreamBody::new(pieces))) }
    };
    let listener = listener(|settings| settings.write_stall = STALL).await;
    (Serving::start(listener, service), held)
}

/// A client that opens its streams' windows so far.
async fn client(serving: &Serving, window: u32) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(serving.address).await.unwrap();
    let io = TokioIo::new(stream);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (sender, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn call(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Incoming {
    let request = Request::get(format!("http://x{path}"));
    let request = request.body(Empty::new()).unwrap();
    sender.send_request(request).await.unwrap().into_body()
}

async fn until_held(held: &AtomicUsize, many: usize) {
    while held.load(Ordering::Relaxed) != many {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn who_opens_no_window_holds_no_answer() {
    within(async {
        let (serving, held) = serving().await;
        let mut sender = client(&serving, 0).await;
        let begun = Instant::now();
        let mut answers = Vec::new();
        for path in ["/endless", "/short", "/silent"] {
            answers.push(call(&mut sender, path).await);
        }
        assert_eq!(held.load(Ordering::Relaxed), 3);
        until_held(&held, 0).await;
        let took = begun.elapsed();
        assert!(took + Duration::from_millis(20) > STALL, "{took:?}");
        assert_eq!(serving.figures.stalled_writes(), 3);
        for answer in answers {
            assert!(answer.collect().await.is_err(), "its stream is reset");
        }
        // Its connection is not.
        drop(call(&mut sender, "/short").await);
    })
    .await;
}

#[tokio::test]
async fn who_stops_reading_one_answer_loses_that_one_alone() {
    within(async {
        let (serving, held) = serving().await;
        let mut sender = client(&serving, 32 * 1024).await;
        let unread = call(&mut sender, "/endless").await;
        let read = call(&mut sender, "/ticks").await.collect();
        let read = tokio::spawn(read);
        until_held(&held, 1).await;
        assert!(!read.is_finished());
        assert_eq!(read.await.unwrap().unwrap().to_bytes().len(), 3_000);
        until_held(&held, 0).await;
        assert_eq!(serving.figures.stalled_writes(), 1);
        assert!(unread.collect().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_an_answer_that_is_silent_is_not_to_blame() {
    within(async {
        let (serving, _) = serving().await;
        // Room for what is said, and no more.
        for window in [200, 64 * 1024] {
            let mut sender = client(&serving, window).await;
            let answer = call(&mut sender, "/silent").await.collect().await;
            assert_eq!(answer.unwrap().to_bytes().len(), 200);
        }
        assert_eq!(serving.figures.stalled_writes(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_reads_slowly_is_waited_for() {
    within(async {
        let (serving, _) = serving().await;
        let mut sender = client(&serving, 2048).await;
        let begun = Instant::now();
        // The second piece waits until all of the first is taken, which is longer than may be waited for any.
        let mut answer = call(&mut sender, "/short").await;
        let mut read = 0;
        while let Some(frame) = answer.frame().await {
            read += frame.unwrap().data_ref().map_or(0, Bytes::len);
            tokio::time::sleep(STALL / 4).await;
        }
        assert_eq!(read, 2 * PIECE);
        assert!(begun.elapsed() > STALL * 3);
        assert_eq!(serving.figures.stalled_writes(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_shuts_a_window_that_was_open_holds_no_answer() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x86\x41\x01x";
    const SHUT: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    within(async {
        let held = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&held);
        let service = move |_: Request<ClientBody>, _: Peer| {
            counts.fetch_add(1, Ordering::Relaxed);
            let pieces = pieces(usize::MAX, 100, STALL / 2, Held(Arc::clone(&counts)));
            async { Ok::<_, Infallible>(Response::new(StreamBody::new(pieces))) }
        };
        let listener = listener(|settings| settings.write_stall = STALL).await;
        let serving = Serving::start(listener, service);
        let mut client = Raw::connect(serving.address).await;
        client.say([PREFACE, GET].concat()).await;
        until_held(&held, 1).await;
        // The answer is waited for just now.
        tokio::time::sleep(STALL / 4).await;
        client.say(SHUT).await;
        until_held(&held, 0).await;
        serving.figure(ListenFigures::stalled_writes, 1).await;
    })
    .await;
}
