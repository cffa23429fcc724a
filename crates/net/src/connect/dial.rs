//! A new connection to upstream: name look-up, both address families, proxy tunnel, TLS. It must not know HTTP's
//! exchanges.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::tunnel;
use crate::error::{BoxedError, Cause, SendError};
use crate::transport::{KEEPALIVE_AFTER, KEEPALIVE_AGAIN, KEEPALIVE_TRIES, Transport};

/// Makes connections to one upstream.
pub(crate) struct Dialer {
    /// `host:port` of upstream, for people.
    pub(crate) address: Arc<str>,
    /// The same with a scheme, for the connector.
    pub(crate) target: Uri,
    pub(crate) tcp: HttpConnector<Resolver>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(crate) connect_timeout: Duration,
}

/// The proxy on the way.
pub(crate) struct Proxy {
    /// Its `host:port`, for people.
    pub(crate) address: Arc<str>,
    /// The same with a scheme, for the connector.
    pub(crate) target: Uri,
    /// User and password, as `proxy-authorization` wants them.
    pub(crate) authorization: Option<HeaderValue>,
}

/// TCP connections: addresses resolved anew each time, both families (RFC 6555), no delay of small writes, a
/// sign of life asked for where nothing is said.
pub(crate) fn tcp() -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE_AFTER));
    tcp.set_keepalive_interval(Some(KEEPALIVE_AGAIN));
    tcp.set_keepalive_retries(Some(KEEPALIVE_TRIES));
    tcp
}

impl Dialer {
    /// Connects, all within the connect timeout.
    pub(crate) async fn dial(&self) -> Result<Transport, SendError> {
        let begun = Instant::now();
        match timeout(self.connect_timeout, self.connect(begun)).await {
            Ok(connected) => connected,
            Err(_) => Err(SendError::ConnectTimedOut {
                address: Arc::clone(&self.address),
                after: self.connect_timeout,
            }),
        }
    }

    async fn connect(&self, begun: Instant) -> Result<Transport, SendError> {
        let stream = self.reach(begun).await?;
        let Some((tls, name)) = &self.tls else {
            return Ok(Transport::Plain(stream));
        };
        match tls.connect(name.clone(), stream).await {
            Ok(stream) => Ok(Transport::Tls(Box::new(stream.into()))),
            Err(source) => Err(SendError::Tls {
                address: Arc::clone(&self.address),
                after: begun.elapsed(),
                source,
            }),
        }
    }

    /// A byte stream to upstream's port.
    async fn reach(&self, begun: Instant) -> Result<TcpStream, SendError> {
        let Some(proxy) = &self.proxy else {
            return self.tcp_to(&self.target, &self.address, begun).await;
        };
        let mut stream = self.tcp_to(&proxy.target, &proxy.address, begun).await?;
        match tunnel::open(&mut stream, &self.address, proxy.authorization.as_ref()).await {
            Ok(()) => Ok(stream),
            Err(error) => Err(SendError::Proxy {
                address: Arc::clone(&self.address),
                proxy: Arc::clone(&proxy.address),
                after: begun.elapsed(),
                source: error.into(),
            }),
        }
    }

    async fn tcp_to(
        &self,
        target: &Uri,
        address: &Arc<str>,
        begun: Instant,
    ) -> Result<TcpStream, SendError> {
        let mut tcp = self.tcp.clone();
        let connected = match poll_fn(|cx| tcp.poll_ready(cx)).await {
            Ok(()) => tcp.call(target.clone()).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => Ok(stream.into_inner()),
            Err(error) => Err(unreachable_at(address, begun, error.into())),
        }
    }
}

/// Finds the cause of a failed connection in what the connector said.
fn unreachable_at(address: &Arc<str>, begun: Instant, source: BoxedError) -> SendError {
    let mut cause = Cause::Other;
    let mut link: Option<&(dyn std::error::Error + 'static)> = Some(&*source);
    while let Some(error) = link {
        if error.is::<LookUpFailed>() {
            cause = Cause::NameNotFound;
            break;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            cause = Cause::of(error);
            break;
        }
        link = error.source();
    }
    SendError::Unreachable {
        address: Arc::clone(address),
        cause,
        after: begun.elapsed(),
        source,
    }
}

/// The system's resolver, with an error that can be told from others.
#[derive(Clone)]
pub(crate) struct Resolver(GaiResolver);

/// The system knows no address of the name.
#[derive(Debug, thiserror::Error)]
#[error("name look-up: {0}")]
struct LookUpFailed(#[source] io::Error);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = BoxedError;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, BoxedError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxedError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let look_up = self.0.call(name);
        Box::pin(async move { look_up.await.map_err(|error| LookUpFailed(error).into()) })
    }
}
