//! Bytes between two upgraded connections, both ways, until either side ends, or takes nothing of what it is told for too
//! long. What upstream says waits for the commits of the calls that end in it. Knows nothing of what is said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meter::Reason;
use net::{Peer, Switched};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::calls::{Calls, Settled};
use crate::proxy::Shared;

/// Bytes passed on at a time, each way.
const STEP_BYTES: usize = 16 * 1024;
/// How long upstream may still speak to a client that has left: as long as a stream of a client that has left lives.
const AFTER_CLIENT: Duration = Duration::from_millis(100);
/// How long a client may still speak once upstream has ended: what it sent meanwhile must be taken, or the end of what
/// it was sent would be lost.
const AFTER_UPSTREAM: Duration = Duration::from_secs(2);

/// Who ended the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Client,
    /// The client too: it took nothing for too long.
    Stalled,
    Upstream,
}

/// The calls, as both directions see them.
struct Watched {
    shared: Arc<Shared>,
    calls: Mutex<Calls>,
    /// How long either side may take nothing of what it is told.
    patience: Duration,
    /// Told after upstream spoke: nothing may be under way any more.
    spoke: Notify,
}

impl Watched {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is under way.
    async fn idle(&self) {
        loop {
            let spoke = self.spoke.notified();
            if self.calls().is_idle() {
                return;
            }
            spoke.await;
        }
    }
}

/// Passes bytes until either side ends, the drain finds nothing under way, or cuts; then settles what is left.
pub(super) async fn run(
    shared: Arc<Shared>,
    (client, upstream): (Switched, Switched),
    peer: Peer,
    calls: Calls,
) {
    let watched = Watched {
        shared,
        calls: Mutex::new(calls),
        patience: peer.write_stall(),
        spoke: Notify::new(),
    };
    let ended = tokio::select! {
        ended = pass(client, upstream, &watched) => ended,
        () = peer.cut() => Ended::Client,
        () = async {
            peer.closing().await;
            watched.idle().await;
        } => Ended::Client,
    };
    if ended == Ended::Stalled {
        peer.has_stalled();
    }
    let settled = watched.calls().end(match ended {
        Ended::Client | Ended::Stalled => Reason::ClientGone,
        Ended::Upstream => Reason::UpstreamBroke,
    });
    settled.committed().await;
}

async fn pass(
    client: impl AsyncRead + AsyncWrite,
    upstream: impl AsyncRead + AsyncWrite,
    watched: &Watched,
) -> Ended {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let up = pass_up(from_client, to_upstream, watched);
    let down = pass_down(from_upstream, to_client, watched);
    tokio::pin!(up, down);
    // Each direction has its own way to go: one that is blocked does not block the other.
    tokio::select! {
        ended = &mut up => {
            if ended == Ended::Upstream {
                return ended;
            }
            // The client said all it had to say; whether upstream still answers or not, it has left.
            match timeout(AFTER_CLIENT, down).await {
                Ok(Ended::Upstream) if watched.calls().is_idle() => Ended::Upstream,
                _ => Ended::Client,
            }
        }
        ended = &mut down => {
            if ended == Ended::Upstream {
                // Whether the client says more or not, nobody listens.
                let _ = timeout(AFTER_UPSTREAM, up).await;
            }
            ended
        }
    }
}

/// Passes the client's bytes on until it ends, or upstream has stalled. Those for which upstream has ended are taken all
/// the same.
async fn pass_up<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    mut from: R,
    mut to: W,
    watched: &Watched,
) -> Ended {
    let mut bytes = vec![0; STEP_BYTES];
    let mut listens = true;
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !listens {
            continue;
        }
        let said = bytes.get(..count).unwrap_or_default();
        let begins = watched.calls().client_says(said);
        if begins {
            // What is asked for is slack if the program dies, as with any other call.
            watched.shared.outbox.told().await;
        }
        match send(&mut to, said, watched.patience).await {
            Ok(()) => {}
            Err(Unsent::Stalled) => return Ended::Upstream,
            Err(Unsent::Broken) => listens = false,
        }
    }
    if listens {
        // If it fails upstream has ended too.
        let _ = timeout(watched.patience, to.shutdown()).await;
    }
    Ended::Client
}

/// Passes upstream's bytes on until either side ends.
async fn pass_down<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    mut from: R,
    mut to: W,
    watched: &Watched,
) -> Ended {
    let mut bytes = vec![0; STEP_BYTES];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let said = bytes.get(..count).unwrap_or_default();
        let settled: Settled = watched.calls().upstream_says(said);
        // Whoever has the last bytes of a response can read its verdict.
        settled.committed().await;
        let sent = send(&mut to, said, watched.patience).await;
        watched.spoke.notify_waiters();
        match sent {
            Ok(()) => {}
            Err(Unsent::Stalled) => return Ended::Stalled,
            Err(Unsent::Broken) => return Ended::Client,
        }
    }
    // If it fails the client has ended too.
    let _ = timeout(watched.patience, to.shutdown()).await;
    Ended::Upstream
}

/// Why bytes could not be passed on.
enum Unsent {
    /// Nobody took any for as long as one may.
    Stalled,
    /// The connection has ended.
    Broken,
}

/// Passes these on. Whoever takes none of them for `patience` has stalled; one that takes some is waited for, however slow.
async fn send<W: AsyncWrite + Unpin>(
    to: &mut W,
    mut bytes: &[u8],
    patience: Duration,
) -> Result<(), Unsent> {
    let stalled = |_| Unsent::Stalled;
    let broken = |_| Unsent::Broken;
    // A timer is armed only where they are not taken at once.
    while !bytes.is_empty() {
        let writing = timeout(patience, to.write(bytes)).await;
        let taken = writing.map_err(stalled)?.map_err(broken)?;
        if taken == 0 {
            return Err(Unsent::Broken);
        }
        bytes = bytes.get(taken..).unwrap_or_default();
    }
    let flushing = timeout(patience, to.flush()).await;
    flushing.map_err(stalled)?.map_err(broken)
}
