//! An upstream on a plain socket that follows a script: it keeps every request as it came and
//! answers with exactly the bytes the test wants, when the test wants them.
//!
//! It must not know what it is asked: no paths, no `OpenAI`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http1::{self, Headers, MOST_SILENCE, Source};
use crate::raw::chunk;

/// A request as the upstream received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The request target, byte for byte.
    pub target: String,
    /// The header lines, in order.
    pub headers: Headers,
    /// The body, without framing.
    pub body: Vec<u8>,
    /// The number of the connection that brought it, counted from 0.
    pub connection: usize,
}

/// Holds an upstream back until the test opens it. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Gate(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        let mut open = self.0.subscribe();
        // The sender lives in `self`, so waiting can only end by an open gate.
        let _ = open.wait_for(|open| *open).await;
    }
}

/// One step of an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// These bytes, flushed.
    Bytes(Vec<u8>),
    /// Silence of that length: where the test is about time itself.
    Silence(Duration),
    /// Nothing until the test opens the gate.
    Until(Gate),
    /// The connection ends here.
    Close,
}

/// What is sent for one request.
pub type Script = Vec<Step>;

type Answering = dyn Fn(&Received) -> Script + Send + Sync;

/// A running upstream; it stops when dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    _connections: JoinSet<()>,
}

impl Upstream {
    /// Listens on a free loopback port and answers each request by `answering`.
    pub async fn start(
        answering: impl Fn(&Received) -> Script + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, Arc::new(answering), Arc::clone(&received)));
        Upstream {
            address,
            received,
            _connections: connections,
        }
    }

    /// An upstream that sends the same bytes for every request.
    pub async fn constant(answer: impl Into<Vec<u8>>) -> Upstream {
        let answer = answer.into();
        Upstream::start(move |_| vec![Step::Bytes(answer.clone())]).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, in the order in which they were whole.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }

    /// The only request so far.
    pub fn only(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "requests at the upstream: {received:#?}");
        received.remove(0)
    }

    /// Removes and returns the first request that has this header line.
    pub fn take(&self, name: &str, value: &str) -> Option<Received> {
        let mut received = self.received.lock().expect("no panic");
        let wanted = |one: &Received| one.headers.get(name) == Some(value);
        let position = received.iter().position(wanted)?;
        Some(received.swap_remove(position))
    }
}

async fn accept(
    listener: TcpListener,
    answering: Arc<Answering>,
    received: Arc<Mutex<Vec<Received>>>,
) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (answering, received) = (Arc::clone(&answering), Arc::clone(&received));
        connections.spawn(async move {
            // A client that leaves is the client's affair; tests look at what the client saw.
            let _ = serve(number, stream, &*answering, &received).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    connection: usize,
    stream: TcpStream,
    answering: &Answering,
    received: &Mutex<Vec<Received>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (source, mut sink) = stream.into_split();
    let mut source = Source::new(source);
    while let Some(head) = source.head().await? {
        let framing = http1::request_framing(&head.headers);
        if head.headers.has("expect") {
            sink.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = source.body(framing).await;
        if body.end != http1::End::Complete {
            return Ok(());
        }
        let mut line = head.start.splitn(3, ' ');
        let request = Received {
            method: line.next().unwrap_or_default().to_owned(),
            target: line.next().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: body.bytes,
            connection,
        };
        let script = answering(&request);
        received.lock().expect("no panic").push(request);
        if !play(script, &mut sink).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Follows the script; false where it ends the connection.
async fn play(script: Script, sink: &mut OwnedWriteHalf) -> io::Result<bool> {
    for step in script {
        match step {
            Step::Bytes(bytes) => {
                sink.write_all(&bytes).await?;
                sink.flush().await?;
                // Lets the other side see this piece alone more often than not.
                tokio::task::yield_now().await;
            }
            Step::Silence(time) => tokio::time::sleep(time).await,
            Step::Until(gate) => {
                let passed = tokio::time::timeout(MOST_SILENCE, gate.passed()).await;
                passed.map_err(io::Error::other)?;
            }
            Step::Close => return Ok(false),
        }
    }
    Ok(true)
}

/// An answer's head: status line, header lines, blank line.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} -\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    http1::untext(&head)
}

/// A whole answer framed by `content-length`.
pub fn sized(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut lines = headers.to_vec();
    lines.push(("content-length", &length));
    let mut answer = head(status, &lines);
    answer.extend(body);
    answer
}

/// A whole answer framed as chunks: the pieces, then the end.
pub fn chunked(status: u16, headers: &[(&str, &str)], pieces: &[&[u8]]) -> Vec<u8> {
    let mut lines = headers.to_vec();
    lines.push(("transfer-encoding", "chunked"));
    let mut answer = head(status, &lines);
    for piece in pieces {
        answer.extend(chunk(piece));
    }
    answer.extend(b"0\r\n\r\n");
    answer
}
