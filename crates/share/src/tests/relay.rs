//! Stands between a replica and its server and fails as networks do: at bytes that a test names, once for each name.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Server;

/// What becomes of the bytes that are named, and of those behind them on the same connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// They are lost, and the connection is closed.
    Cut,
    /// They are lost, and nobody is told.
    Swallow,
    /// They come later.
    Hold(Duration),
}

#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    faults: Arc<Faults>,
}

type Faults = Mutex<Vec<(Vec<u8>, Fault)>>;

impl Relay {
    /// Each way takes this long.
    pub(super) async fn to(server: &Server, way: Duration) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
        let faults = Arc::<Faults>::default();
        let shared = Arc::clone(&faults);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let faults = Arc::clone(&shared);
                tokio::spawn(async move { connect(client, server, &faults, way).await });
            }
        });
        Relay { address, faults }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Fails the next time that these bytes pass, whichever way.
    pub(super) fn fail_at(&self, bytes: &str, fault: Fault) {
        self.faults.lock().unwrap().push((bytes.into(), fault));
    }

    /// Every fault that was asked for has happened.
    pub(super) fn has_failed(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }
}

async fn connect(client: TcpStream, server: SocketAddr, faults: &Faults, way: Duration) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, faults, way) => {}
        () = pass(from_server, to_client, faults, way) => {}
    }
}

/// Ends when the connection does.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, faults: &Faults, way: Duration) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let bytes = buffer[..count].to_vec();
            let mut due = Instant::now() + way;
            match fault_in(faults, &bytes) {
                Some(Fault::Cut) => return,
                Some(Fault::Swallow) => std::future::pending().await,
                Some(Fault::Hold(longer)) => due += longer,
                None => {}
            }
            let _ = queue.send((due, bytes));
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = queued.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

fn fault_in(faults: &Faults, bytes: &[u8]) -> Option<Fault> {
    let mut faults = faults.lock().unwrap();
    let is_here = |named: &[u8]| bytes.windows(named.len()).any(|window| window == named);
    let place = faults.iter().position(|(named, _)| is_here(named))?;
    Some(faults.remove(place).1)
}
