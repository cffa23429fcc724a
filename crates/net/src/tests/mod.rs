//! Tests over real loopback sockets: the far side is a plain socket that reads and writes bytes.

mod connect;
mod drain;
mod hostile;
mod http2;
#[cfg(target_os = "linux")]
mod keepalive;
mod leavers;
mod listen;
mod stalls;
mod through;
mod tls;
mod uploads;
mod way;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{
    ClientBody, ConnectSettings, Connector, Drain, DrainHandle, ListenSettings, Listener, Peer,
    Scheme, Upstream, UpstreamBody,
};

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a test under the deadline.
async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, test)
        .await
        .expect("the test hangs")
}

/// A socket seen as bytes.
struct Raw<T = TcpStream> {
    stream: T,
    seen: Vec<u8>,
}

impl Raw {
    async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    async fn accept(listener: &TcpListener) -> Self {
        Self::over(listener.accept().await.unwrap().0)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Raw<T> {
    fn over(stream: T) -> Self {
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    /// Everything up to and with `end`.
    async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.seen, end.as_bytes()) {
                let rest = self.seen.split_off(at + end.len());
                return String::from_utf8(std::mem::replace(&mut self.seen, rest)).unwrap();
            }
            let read = self.stream.read_buf(&mut self.seen).await.unwrap();
            assert_ne!(
                read,
                0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.seen)
            );
        }
    }

    /// The head of a message.
    async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Waits for the other side to close, and gives what it said before.
    async fn closed(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.seen);
        let mut piece = [0; 4096];
        // A reset is a close, too.
        while let Ok(read @ 1..) = self.stream.read(&mut piece).await {
            rest.extend_from_slice(&piece[..read]);
        }
        String::from_utf8(rest).unwrap()
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Returns when this runtime has seen everything that happened to its sockets before.
async fn sockets_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut ours = Raw::connect(listener.local_addr().unwrap()).await;
    let mut theirs = Raw::accept(&listener).await;
    ours.say("x").await;
    theirs.until("x").await;
}

type Answer = Response<UpstreamBody>;
type Sender = Connector;

/// A port to be upstream's, and settings for it.
async fn upstream() -> (TcpListener, ConnectSettings) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstream = Upstream {
        scheme: Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port,
    };
    (listener, ConnectSettings::new(upstream))
}

fn connector(settings: ConnectSettings) -> Sender {
    Connector::new(settings).unwrap()
}

fn post(path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::post(path).body(Full::from(body)).unwrap()
}

/// Sends in a task of its own.
fn sending(
    connector: &Sender,
    request: Request<Full<Bytes>>,
) -> JoinHandle<Result<Answer, crate::SendError>> {
    let connector = connector.clone();
    tokio::spawn(async move { connector.send(request).await })
}

/// The whole body, as text.
async fn text(answer: Answer) -> String {
    String::from_utf8(
        answer
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

/// Listens on a free port of the loopback address.
async fn listener(change: impl FnOnce(&mut ListenSettings)) -> Listener {
    let mut settings = ListenSettings::new(([127, 0, 0, 1], 0).into());
    change(&mut settings);
    Listener::bind(settings).await.unwrap()
}

/// A listener that serves.
struct Serving {
    address: SocketAddr,
    figures: std::sync::Arc<crate::ListenFigures>,
    drain: DrainHandle,
    end: JoinHandle<()>,
}

impl Serving {
    fn start<S, F, B>(listener: Listener, service: S) -> Self
    where
        S: Fn(Request<ClientBody>, Peer) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<crate::error::BoxedError>>
            + Send
            + Unpin
            + 'static,
    {
        let (drain, drained): (DrainHandle, Drain) = DrainHandle::new();
        Self {
            address: listener.local_address(),
            figures: listener.figures(),
            drain,
            end: tokio::spawn(listener.serve(service, drained)),
        }
    }

    /// Waits for the end, and gives the number of connections that were cut.
    async fn ended(self) -> u64 {
        self.end.await.unwrap();
        self.figures.cut()
    }

    /// Waits until a figure is what it should be.
    async fn figure(&self, figure: impl Fn(&crate::ListenFigures) -> u64, wanted: u64) {
        while figure(&self.figures) != wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Answers every call with its path.
async fn echo_path(
    request: Request<ClientBody>,
    _: Peer,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from(request.uri().path().to_owned())))
}
