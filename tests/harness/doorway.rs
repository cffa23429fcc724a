//! A doorway before an upstream: open it passes bytes both ways, closed it takes whoever comes in and
//! says nothing. It counts who came, who left and what was brought.
//!
//! It must not know what the bytes mean.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Room for one read, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A running doorway; it stops when dropped.
#[derive(Debug)]
pub struct Doorway {
    address: SocketAddr,
    counts: Arc<Counts>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    closed: AtomicBool,
    came: AtomicUsize,
    left: AtomicUsize,
    brought: AtomicUsize,
}

impl Doorway {
    /// Stands open before `upstream`.
    pub async fn before(upstream: SocketAddr) -> Doorway {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let counts = Arc::new(Counts::default());
        let mut serving = JoinSet::new();
        let log = Arc::clone(&counts);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                log.came.fetch_add(1, Ordering::SeqCst);
                let log = Arc::clone(&log);
                connections.spawn(async move {
                    // However it ends, whoever came has left.
                    let _ = serve(stream, upstream, &log).await;
                    log.left.fetch_add(1, Ordering::SeqCst);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Doorway {
            address,
            counts,
            _serving: serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on those who come are let in and hear nothing, or pass as before.
    pub fn close(&self, closed: bool) {
        self.counts.closed.store(closed, Ordering::SeqCst);
    }

    /// Connections so far.
    pub fn came(&self) -> usize {
        self.counts.came.load(Ordering::SeqCst)
    }

    /// Connections that ended.
    pub fn left(&self) -> usize {
        self.counts.left.load(Ordering::SeqCst)
    }

    /// Bytes on their way to the upstream so far.
    pub fn brought(&self) -> usize {
        self.counts.brought.load(Ordering::SeqCst)
    }
}

async fn serve(near: TcpStream, upstream: SocketAddr, counts: &Counts) -> io::Result<()> {
    near.set_nodelay(true)?;
    let (near_source, near_sink) = near.into_split();
    if counts.closed.load(Ordering::SeqCst) {
        return bring(near_source, None, counts).await;
    }
    let far = TcpStream::connect(upstream).await?;
    far.set_nodelay(true)?;
    let (mut far_source, far_sink) = far.into_split();
    let back = async {
        let mut near_sink = near_sink;
        io::copy(&mut far_source, &mut near_sink).await?;
        near_sink.shutdown().await
    };
    tokio::try_join!(bring(near_source, Some(far_sink), counts), back).map(drop)
}

/// Passes on what comes until its end, or drops it where it leads nowhere.
async fn bring(
    mut source: OwnedReadHalf,
    mut sink: Option<OwnedWriteHalf>,
    counts: &Counts,
) -> io::Result<()> {
    let mut room = vec![0; READ_BYTES];
    loop {
        let read = source.read(&mut room).await?;
        if read == 0 {
            return match &mut sink {
                Some(sink) => sink.shutdown().await,
                None => Ok(()),
            };
        }
        if let Some(sink) = &mut sink {
            sink.write_all(&room[..read]).await?;
        }
        counts.brought.fetch_add(read, Ordering::SeqCst);
    }
}
