//! An upstream that answers a part and then says nothing more, and notes when each of its connections
//! ended: how soon a proxy lets go of what nobody wants any more.
//!
//! It must not know what it is asked.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::http1::{self, Source};

/// One request and what became of its connection.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request's body.
    pub body: Vec<u8>,
    /// When the other side let the connection go, if it did.
    pub left: Option<Instant>,
}

type Beginning = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

/// A running upstream; it stops when dropped.
#[derive(Debug)]
pub struct Watched {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _connections: JoinSet<()>,
}

impl Watched {
    /// Answers each request body with `beginning` of it and then stays silent; where that is nothing,
    /// with `whole` and keeps the connection for the next request.
    pub async fn start(
        whole: Vec<u8>,
        beginning: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Watched {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut connections = JoinSet::new();
        let log = Arc::clone(&seen);
        let beginning: Arc<Beginning> = Arc::new(beginning);
        connections.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (log, beginning) = (Arc::clone(&log), Arc::clone(&beginning));
                let whole = whole.clone();
                connections.spawn(async move {
                    // That the other side leaves is what is looked for.
                    let _ = serve(stream, &whole, &*beginning, &log).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Watched {
            address,
            seen,
            _connections: connections,
        }
    }

    /// Its base URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests with a body so far, in their order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

async fn serve(
    stream: TcpStream,
    whole: &[u8],
    beginning: &Beginning,
    log: &Mutex<Vec<Seen>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (source, mut sink) = stream.into_split();
    let mut source = Source::new(source);
    while let Some(head) = source.head().await? {
        let body = source.body(http1::request_framing(&head.headers)).await;
        let Some(begun) = beginning(&body.bytes) else {
            sink.write_all(whole).await?;
            continue;
        };
        sink.write_all(&begun).await?;
        let number = {
            let mut log = log.lock().expect("no panic");
            log.push(Seen {
                body: body.bytes,
                left: None,
            });
            log.len() - 1
        };
        // Ends by FIN or by reset; a proxy that sent more instead would end it too, and be seen.
        let end = source.head().await;
        let left = Instant::now();
        let gone = !matches!(&end, Ok(Some(_)))
            && !matches!(&end, Err(error) if error.kind() == io::ErrorKind::TimedOut);
        if gone {
            log.lock().expect("no panic")[number].left = Some(left);
        }
        return Ok(());
    }
    Ok(())
}
