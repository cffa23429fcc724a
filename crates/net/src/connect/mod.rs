//! Where everything goes upstream: one function, [`Connector::send`]. It must not know what it sends.

mod dial;
pub(crate) mod origins;
mod pool;
mod tunnel;
mod upstream_body;
mod upstream_connection;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::error::{BoxedError, Break, ConnectSettingsError, SendError};
use crate::http1::request_out;
use crate::listen::Peer;
use crate::tls;
use dial::{Dialer, Proxy};
use origins::Origins;
use pool::Pool;
pub use upstream_body::UpstreamBody;
use upstream_connection::UpstreamConnection;

/// Plain or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant when none is named.
    #[must_use]
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Where upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// A name or an IP address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Which proxy upstream is reached through, in the words of the settings and of the usual variables, which the caller
/// reads. Nothing set: none.
#[derive(Clone, Default)]
pub struct ProxySettings {
    /// `http://[user:password@]host:port`. Wins over everything below.
    pub url: Option<String>,
    /// The variable `HTTPS_PROXY`, or `https_proxy`, for an upstream with TLS.
    pub https_proxy: Option<String>,
    /// The variable `http_proxy`, for a plain upstream: never `HTTP_PROXY`, which a CGI server sets from a header.
    pub http_proxy: Option<String>,
    /// The variable `ALL_PROXY`, or `all_proxy`, where neither of the two is set.
    pub all_proxy: Option<String>,
    /// The variable `NO_PROXY`, or `no_proxy`: hosts reached without the proxy of a variable.
    pub no_proxy: Option<String>,
}

/// Settings of a [`Connector`]. [`ConnectSettings::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct ConnectSettings {
    /// Where upstream is. Its host is what every request says in `host`.
    pub upstream: Upstream,
    /// How long name look-up, connection, proxy and TLS handshake may take together. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a connection is kept without a call. Default 10 s.
    pub idle_timeout: Duration,
    /// Connections kept without a call. Default 512.
    pub most_idle: usize,
    /// A PEM file with certificates believed in addition to the web's roots. Default: none.
    pub extra_roots: Option<PathBuf>,
    /// The proxy on the way. Default: none.
    pub proxy: ProxySettings,
}

impl ConnectSettings {
    /// The defaults, for `upstream`.
    #[must_use]
    pub fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            most_idle: 512,
            extra_roots: None,
            proxy: ProxySettings::default(),
        }
    }
}

/// What a connector has met, as counts since its start, and what it holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectFigures {
    /// Connections made.
    pub opened: u64,
    /// Attempts to make one that failed.
    pub failed: u64,
    /// Connections closed because as many as allowed were idle already.
    pub turned_away: u64,
    /// Connections idle now.
    pub idle: usize,
}

/// Sends requests to one upstream over connections it keeps warm. Clones share the connections.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Dialer,
    /// What every request says in `host`.
    host: HeaderValue,
    pool: Arc<Pool>,
    origins: Arc<Origins>,
    opened: AtomicU64,
    failed: AtomicU64,
}

impl Connector {
    /// Reads the extra roots, if any. Opens no connection.
    ///
    /// # Errors
    /// A host that is none, roots that cannot be read, a proxy that cannot be used.
    pub fn new(settings: ConnectSettings) -> Result<Self, ConnectSettingsError> {
        let ConnectSettings {
            upstream,
            connect_timeout,
            idle_timeout,
            most_idle,
            extra_roots,
            proxy,
        } = settings;
        let bad_host = || ConnectSettingsError::Host {
            host: upstream.host.clone(),
        };
        let name = ServerName::try_from(upstream.host.clone()).map_err(|_| bad_host())?;
        let host = if upstream.host.contains(':') {
            format!("[{}]", upstream.host)
        } else {
            upstream.host.clone()
        };
        let address = format!("{host}:{}", upstream.port);
        let target: Uri = format!("{}://{address}/", upstream.scheme.as_str())
            .parse()
            .map_err(|_| bad_host())?;
        let said = if upstream.port == upstream.scheme.usual_port() {
            &host
        } else {
            &address
        };
        let tls = match upstream.scheme {
            Scheme::Http => None,
            Scheme::Https => Some((
                TlsConnector::from(tls::client_config(extra_roots.as_deref())?),
                name,
            )),
        };
        let proxy = proxy.choose(&target)?.as_ref().map(through);
        let shared = Shared {
            host: HeaderValue::from_str(said).map_err(|_| bad_host())?,
            dialer: Dialer {
                address: address.into(),
                target,
                tcp: dial::tcp(),
                proxy,
                tls,
                connect_timeout,
            },
            pool: Pool::new(idle_timeout, most_idle),
            origins: Arc::default(),
            opened: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Sends a request and gives the head of its response as soon as it is there.
    ///
    /// The request goes to the configured upstream as HTTP/1.1, whatever its URI and `host` say: only path and query
    /// of the URI are used, byte for byte, and `host` is replaced. It is sent at most once: a connection that turns out
    /// to be closed is replaced only if not one byte was written. No time limit holds but that of connecting. Dropping
    /// the future closes the connection.
    ///
    /// # Errors
    /// No connection, or one that broke before the head of a response was whole.
    pub fn send<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, SendError>>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
    {
        let shared = &*self.shared;
        // Here and now: a request is large, and the future would carry it.
        let is_head = request.method() == Method::HEAD;
        let mut request = request_out::framed(request, &shared.host);
        async move {
            loop {
                let (connection, is_new) = match shared.pool.take() {
                    Some(connection) => (connection, false),
                    None => (Box::pin(shared.open()).await?, true),
                };
                match connection.exchange(&mut request, is_head).await {
                    Ok(response) => return Ok(response),
                    Err(source)
                        if request.has_begun() || is_new || matches!(source, Break::Body(_)) =>
                    {
                        return Err(shared.broke(request.has_begun(), source));
                    }
                    // It was closed since we looked at it.
                    Err(_) => {}
                }
            }
        }
    }

    /// `host:port` of upstream.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.dialer.address
    }

    /// Whether a client's connection is one of ours to upstream: then the client is ourselves.
    #[must_use]
    pub fn is_client(&self, client: &Peer) -> bool {
        let origins = &self.shared.origins;
        origins.have(client.found(), || client.ends())
    }

    /// Puts it in place of another: its counts go on where that one's are now.
    pub fn replaces(&self, other: &Connector) {
        let (shared, before) = (&*self.shared, other.figures());
        shared.opened.fetch_add(before.opened, Ordering::Relaxed);
        shared.failed.fetch_add(before.failed, Ordering::Relaxed);
        shared.pool.was_full(before.turned_away);
    }

    /// Counts of this connector and its clones.
    #[must_use]
    pub fn figures(&self) -> ConnectFigures {
        let shared = &*self.shared;
        ConnectFigures {
            opened: shared.opened.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            turned_away: shared.pool.turned_away(),
            idle: shared.pool.len(),
        }
    }
}

impl Shared {
    async fn open(&self) -> Result<Box<UpstreamConnection>, SendError> {
        let transport = match self.dialer.dial().await {
            Ok(transport) => transport,
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            }
        };
        self.opened.fetch_add(1, Ordering::Relaxed);
        let origin = transport.ends().map(|ends| self.origins.note(ends));
        Ok(UpstreamConnection::new(
            transport,
            origin,
            Arc::downgrade(&self.pool),
        ))
    }

    fn broke(&self, sent: bool, source: Break) -> SendError {
        SendError::Broke {
            address: Arc::clone(&self.dialer.address),
            sent,
            source,
        }
    }
}

impl ProxySettings {
    /// The proxy for `target`, if any.
    fn choose(&self, target: &Uri) -> Result<Option<Intercept>, ConnectSettingsError> {
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let (name, matcher) = if let Some(url) = given(&self.url) {
            ("the configured proxy", Matcher::builder().all(url))
        } else {
            let by_scheme = match target.scheme_str() {
                Some("https") => ("HTTPS_PROXY or https_proxy", given(&self.https_proxy)),
                _ => ("http_proxy", given(&self.http_proxy)),
            };
            let (name, url) = match by_scheme {
                (name, Some(url)) => (name, url),
                (_, None) => match given(&self.all_proxy) {
                    Some(url) => ("ALL_PROXY or all_proxy", url),
                    None => return Ok(None),
                },
            };
            let excepted = Matcher::builder()
                .all("http://proxy.invalid")
                .no(self.no_proxy.clone().unwrap_or_default());
            if excepted.build().intercept(target).is_none() {
                return Ok(None);
            }
            (name, Matcher::builder().all(url))
        };
        match matcher.build().intercept(target) {
            Some(proxy) if proxy.uri().scheme_str() == Some("http") => Ok(Some(proxy)),
            _ => Err(ConnectSettingsError::Proxy { name }),
        }
    }
}

/// The proxy as the dialer wants it. Plain upstreams are reached by a tunnel too: the proxy sees no more than it must.
fn through(proxy: &Intercept) -> Proxy {
    let target = proxy.uri().clone();
    let port = target.port_u16().unwrap_or(Scheme::Http.usual_port());
    let address = format!("{}:{port}", target.host().unwrap_or_default()).into();
    Proxy {
        address,
        target,
        authorization: proxy.basic_auth().cloned(),
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("address", &self.shared.dialer.address)
            .finish_non_exhaustive()
    }
}

/// Shows which are set, not what they say: a proxy's URL may hold a password.
impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings")
            .field("url", &self.url.is_some())
            .field("https_proxy", &self.https_proxy.is_some())
            .field("http_proxy", &self.http_proxy.is_some())
            .field("all_proxy", &self.all_proxy.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}
