//! The listening side: accepts connections (HTTP/1.1, and HTTP/2 without TLS), hands each request to
//! `exchange`, and ends all of it when it is stopped. Knows nothing of what is asked or answered.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::bill::BillLine;
use crate::body::Reset;
use crate::exchange;
use crate::log::LogEntry;
use crate::settings::Settings;
use crate::world::World;

/// Waited after an `accept` that failed, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A usage tier is not one of 1 to 5.
    #[error("organization {organization}: usage tier {usage_tier} does not exist (1 to 5)")]
    UsageTier {
        /// The organization's name.
        organization: String,
        /// The usage tier it was given.
        usage_tier: u8,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The log file cannot be opened, or the system has no randomness.
    #[error("cannot open the log")]
    Log(#[source] io::Error),
}

/// A running simulated OpenAI. Dropping it ends it, as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Simulator {
    /// Listens and serves in tasks of the current tokio runtime.
    ///
    /// # Errors
    /// A usage tier that does not exist, an address in use, a log file that cannot be opened.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        for organization in &settings.organizations {
            if !(1..=5).contains(&organization.usage_tier) {
                return Err(StartError::UsageTier {
                    organization: organization.name.clone(),
                    usage_tier: organization.usage_tier,
                });
            }
        }
        let listen = settings.listen;
        let at_address = |source| StartError::Listen {
            address: listen,
            source,
        };
        let world = Arc::new(World::new(settings).map_err(StartError::Log)?);
        let listener = TcpListener::bind(listen).await.map_err(at_address)?;
        let address = listener.local_addr().map_err(at_address)?;
        let (stop, stopped) = oneshot::channel();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&world), stopped));
        Ok(Self {
            world,
            address,
            stop,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The log so far, oldest first; at most [`MOST_LOG_ENTRIES`](crate::MOST_LOG_ENTRIES), the file
    /// has them all.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.world.log()
    }

    /// The simulator's own bill: one line for each log entry, in the same order.
    #[must_use]
    pub fn bill(&self) -> Vec<BillLine> {
        self.world.bill()
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.world.connections.load(Ordering::Relaxed)
    }

    /// Stops listening and cuts the connections that are open.
    pub async fn stop(self) {
        // Both fail only if the accepting task is gone already, which is what is asked for.
        let _ = self.stop.send(());
        let _ = self.accepting.await;
    }
}

/// Accepts until `stopped`; then all connections end with the set that holds them.
async fn accept(listener: TcpListener, world: Arc<World>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    world.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(serve(stream, Arc::clone(&world)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, world: Arc<World>) {
    // A simulator that is a little slower is still a simulator.
    let _ = stream.set_nodelay(true);
    let reset = Reset::default();
    let socket = Socket {
        stream,
        reset: reset.clone(),
    };
    let (sessions, mut accepted) = mpsc::channel(1);
    let service = service_fn(move |request| {
        let (world, reset, sessions) = (Arc::clone(&world), reset.clone(), sessions.clone());
        async move { exchange::answer(&world, reset, &sessions, request).await }
    });
    // Errors are clients that went away and answers that were asked to break off.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(socket), service)
        .await;
    // The connection of a WebSocket is free once its answer has left.
    if let Ok(session) = accepted.try_recv() {
        session.run().await;
    }
}

/// A connection that is reset, not closed, if it was asked to be.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    reset: Reset,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.asked() {
            // If it fails the connection closes instead: still early, still broken.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
