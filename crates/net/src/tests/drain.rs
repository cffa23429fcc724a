//! The drain: what finishes, what is cut, what is held open.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Empty, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{Raw, Serving, echo_path, listener, within};
use crate::{ClientBody, Peer, Upgrade};

const GET: &str = "GET /here HTTP/1.1\r\nhost: x\r\n\r\n";
const LONG: Duration = Duration::from_mins(1);

/// Calls that begin, say so, and wait to be told to end.
async fn waiting_calls() -> (Serving, Arc<Notify>, Arc<Notify>) {
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (says, waits) = (Arc::clone(&begun), Arc::clone(&end));
    let serving = Serving::start(
        listener(|_| {}).await,
        move |_: Request<ClientBody>, _: Peer| {
            let (says, waits) = (Arc::clone(&says), Arc::clone(&waits));
            async move {
                says.notify_one();
                waits.notified().await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("done")))
            }
        },
    );
    (serving, begun, end)
}

#[tokio::test]
async fn open_calls_finish_and_idle_connections_are_closed() {
    within(async {
        let (serving, begun, end) = waiting_calls().await;
        let mut idle = Raw::connect(serving.address).await;
        let mut busy = Raw::connect(serving.address).await;
        busy.say(GET).await;
        begun.notified().await;

        serving.drain.begin(Duration::ZERO, LONG);
        assert_eq!(idle.closed().await, "");
        assert!(TcpStream::connect(serving.address).await.is_err());
        assert!(!serving.end.is_finished());

        end.notify_one();
        let answer = busy.closed().await;
        assert!(
            answer.contains("connection: close\r\n") && answer.ends_with("done"),
            "{answer}"
        );
        assert_eq!(serving.ended().await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut() {
    within(async {
        let (serving, begun, _end) = waiting_calls().await;
        let mut busy = Raw::connect(serving.address).await;
        busy.say(GET).await;
        begun.notified().await;
        serving
            .drain
            .begin(Duration::ZERO, Duration::from_millis(50));
        assert_eq!(busy.closed().await, "");
        assert_eq!(serving.ended().await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_second_word_cuts_at_once() {
    within(async {
        let (serving, begun, _end) = waiting_calls().await;
        let mut busy = Raw::connect(serving.address).await;
        busy.say(GET).await;
        begun.notified().await;
        serving.drain.begin(LONG, LONG);
        serving.drain.begin(Duration::ZERO, Duration::ZERO);
        super::sockets_seen().await;
        assert!(!serving.end.is_finished(), "only the first begin counts");
        serving.drain.cut_now();
        assert_eq!(busy.closed().await, "");
        assert_eq!(serving.ended().await, 1);
    })
    .await;
}

#[tokio::test]
async fn whoever_cuts_need_not_stay() {
    within(async {
        let (serving, begun, _end) = waiting_calls().await;
        let mut busy = Raw::connect(serving.address).await;
        busy.say(GET).await;
        begun.notified().await;
        let Serving {
            drain,
            end,
            figures,
            ..
        } = serving;
        drain.cut_now();
        drop(drain);
        assert_eq!(busy.closed().await, "");
        end.await.unwrap();
        assert_eq!(figures.cut(), 1);
    })
    .await;
}

#[tokio::test]
async fn connections_are_accepted_a_while_longer() {
    within(async {
        let serving = Serving::start(listener(|_| {}).await, echo_path);
        serving.drain.begin(Duration::from_millis(200), LONG);
        super::sockets_seen().await;
        let mut late = Raw::connect(serving.address).await;
        late.say(GET).await;
        late.until("/here").await;
        late.closed().await;
        assert_eq!(serving.ended().await, 0);
    })
    .await;
}

#[tokio::test]
async fn without_a_handle_nothing_is_drained() {
    within(async {
        let Serving {
            address,
            drain,
            end,
            ..
        } = Serving::start(listener(|_| {}).await, echo_path);
        drop(drain);
        let mut client = Raw::connect(address).await;
        client.say(GET).await;
        client.until("/here").await;
        assert!(!end.is_finished());
    })
    .await;
}

/// Turns every call into a tunnel that repeats what it hears, until it is cut.
async fn tunnel(
    mut request: Request<ClientBody>,
    peer: Peer,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let upgrade = request.extensions_mut().remove::<Upgrade>().unwrap();
    tokio::spawn(async move {
        let mut io = upgrade.switched().await.unwrap();
        let mut byte = [0];
        loop {
            tokio::select! {
                read = io.read(&mut byte) => match read {
                    Ok(1) => io.write_all(&byte).await.unwrap(),
                    _ => return,
                },
                () = peer.cut() => return,
            }
        }
    });
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Empty::new());
    Ok(answer.unwrap())
}

async fn tunnelled() -> (Serving, Raw) {
    let listener = listener(|settings| {
        settings.most_connections = 1;
        settings.head_timeout = Duration::from_millis(20);
        settings.idle_timeout = Duration::from_millis(20);
    });
    let serving = Serving::start(listener.await, tunnel);
    let mut client = Raw::connect(serving.address).await;
    client
        .say("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.say("a").await;
    client.until("a").await;
    (serving, client)
}

#[tokio::test]
async fn an_upgraded_connection_keeps_its_place_until_it_ends() {
    within(async {
        let (serving, mut client) = tunnelled().await;
        let refused = Raw::connect(serving.address).await.closed().await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        assert_eq!(serving.figures.over_limit(), 1);
        serving.drain.begin(Duration::ZERO, LONG);
        client.say("b").await;
        client.until("b").await;
        assert!(!serving.end.is_finished());
        drop(client);
        assert_eq!(serving.ended().await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_upgraded_connection_hears_of_the_cut() {
    within(async {
        let (serving, mut client) = tunnelled().await;
        serving
            .drain
            .begin(Duration::ZERO, Duration::from_millis(50));
        client.closed().await;
        assert_eq!(serving.ended().await, 1);
    })
    .await;
}

/// A body that never ends, and takes its time to be dropped: what is done at a call's end is done there.
struct Lingering(std::sync::mpsc::Receiver<()>, Arc<AtomicBool>);

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // Nobody ever sends: it waits as long as a drain that is over too early needs to show it.
        let _ = self.0.recv_timeout(Duration::from_millis(100));
        self.1.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_is_over_when_the_last_body_is_gone_and_not_before() {
    within(async {
        let gone = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = std::sync::mpsc::channel();
        let body = Arc::new(Mutex::new(Some(Lingering(receiver, Arc::clone(&gone)))));
        let service = move |_: Request<ClientBody>, _: Peer| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Ok::<_, Infallible>(Response::new(body)) }
        };
        let serving = Serving::start(listener(|_| {}).await, service);
        let mut client = Raw::connect(serving.address).await;
        client.say(GET).await;
        client.head().await;
        serving.drain.cut_now();
        assert_eq!(serving.ended().await, 1);
        assert!(gone.load(Ordering::SeqCst));
        drop(sender);
    })
    .await;
}
