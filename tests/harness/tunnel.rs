//! An HTTP proxy on the way to an upstream, as companies have one: it opens tunnels (`CONNECT`) and
//! nothing else, for those who name themselves as it wants.
//!
//! It must not know what goes through a tunnel.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The longest request for a tunnel that is read, in bytes.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// A running proxy; it stops when dropped.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Tunnel {
    /// Connects everyone to `upstream`, whatever name they ask for: only this proxy knows where that
    /// is. With `authorization` only those whose `proxy-authorization` has this value.
    pub async fn to(upstream: SocketAddr, authorization: Option<&str>) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let wanted = authorization.map(|value| format!("\r\nproxy-authorization: {value}\r\n"));
        let mut serving = JoinSet::new();
        let log = Arc::clone(&asked);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (wanted, log) = (wanted.clone(), Arc::clone(&log));
                connections.spawn(async move {
                    // A client that leaves is the client's affair.
                    let _ = serve(stream, upstream, wanted.as_deref(), &log).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Tunnel {
            address,
            asked,
            _serving: serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn serve(
    mut near: TcpStream,
    upstream: SocketAddr,
    wanted: Option<&str>,
    log: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MOST_HEAD_BYTES || near.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    log.lock().expect("no panic").push(head.clone());
    if !head.starts_with("CONNECT ") {
        return near
            .write_all(b"HTTP/1.1 405 Only CONNECT\r\ncontent-length: 0\r\n\r\n")
            .await;
    }
    if wanted.is_some_and(|line| !head.contains(line)) {
        let refusal =
            b"HTTP/1.1 407 Who are you?\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
        return near.write_all(refusal).await;
    }
    let mut far = TcpStream::connect(upstream).await?;
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}
