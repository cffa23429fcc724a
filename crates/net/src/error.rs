//! What can go wrong with sockets and TLS, one narrow enum per operation.
//!
//! The texts are fit to be shown: they name the address and the time, never a password, a key or a body.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem;

use crate::http1::answer_head::HeadError;
use crate::http1::chunked_decoder::ChunkError;

/// Any error, where only its text and its sources matter.
pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why [`crate::Listener::bind`] failed.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program listens there.
    #[error("{address} is in use by another program")]
    AddressInUse {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Ports below 1024 usually need a privilege.
    #[error("no permission to listen on {address}")]
    NoPermission {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Any other refusal of the system, such as an address this machine does not have.
    #[error("cannot listen on {address}: {}", Plain(source))]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the certificate chain cannot be read or holds no certificate in PEM.
    #[error("no certificate in {}: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The key file cannot be read or holds no private key in PEM.
    #[error("no private key in {}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Certificate and key were read but cannot be used, for instance because they do not belong together.
    #[error("certificate {} and key {} cannot be used: {source}", certificate.display(), key.display())]
    Identity {
        /// The file of the certificate chain.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
}

/// Why [`crate::Connector::new`] refused its settings.
#[derive(Debug, thiserror::Error)]
pub enum ConnectSettingsError {
    /// The host is neither a name nor an IP address.
    #[error("{host:?} is not a host name")]
    Host {
        /// The host as given.
        host: String,
    },
    /// The file of extra roots cannot be read or holds no certificate in PEM.
    #[error("no certificate in {}: {source}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A certificate of that file cannot be a root.
    #[error("a certificate in {} cannot be used as a root: {source}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// No secure protocol version is left in the cryptography provider.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The proxy cannot be used. Its URL is not shown: it may hold a password.
    #[error("{name} is not a proxy that can be used: it takes http://[user:password@]host:port")]
    Proxy {
        /// Where the URL came from.
        name: &'static str,
    },
}

/// Why [`crate::Connector::send`] brought no response head.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("could not reach {address}: {cause} (after {})", Seconds(*after))]
    Unreachable {
        /// `host:port` of what could not be reached: upstream, or the proxy in front of it.
        address: Arc<str>,
        /// The cause in two words.
        cause: Cause,
        /// Time since the attempt began.
        after: Duration,
        /// The cause in full.
        source: BoxedError,
    },
    /// Name look-up, connection, proxy and TLS handshake together took longer than the connect timeout.
    #[error("could not reach {address}: no connection within {}", Seconds(*after))]
    ConnectTimedOut {
        /// `host:port` of upstream.
        address: Arc<str>,
        /// The connect timeout.
        after: Duration,
    },
    /// The TLS handshake failed.
    #[error("could not reach {address}: {} (after {})", Handshake(source), Seconds(*after))]
    Tls {
        /// `host:port` of upstream.
        address: Arc<str>,
        /// Time since the attempt began.
        after: Duration,
        /// Usually what rustls thinks of the certificate.
        source: io::Error,
    },
    /// The proxy was reached and did not open a tunnel.
    #[error("could not reach {address}: the proxy {proxy} said no: {source} (after {})", Seconds(*after))]
    Proxy {
        /// `host:port` of upstream.
        address: Arc<str>,
        /// `host:port` of the proxy.
        proxy: Arc<str>,
        /// Time since the attempt began.
        after: Duration,
        /// What the proxy did.
        source: BoxedError,
    },
    /// The connection broke before a whole response head came, or the head was not HTTP.
    #[error("the connection to {address} broke before an answer came: {source}")]
    Broke {
        /// `host:port` of upstream.
        address: Arc<str>,
        /// False if it is certain that not one byte of the request was written.
        sent: bool,
        /// What happened.
        source: Break,
    },
}

/// Why an exchange ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Break {
    /// The body to be sent broke off, or was not as long as it said.
    #[error("the body broke off: {0}")]
    Body(#[source] BoxedError),
    /// The other side closed the connection.
    #[error("it was closed")]
    Closed,
    /// The client sent no more of its request for too long.
    #[error("nothing of the request's body came for too long")]
    Stalled,
    /// The connection failed.
    #[error("{}", Plain(.0))]
    Io(#[from] io::Error),
    /// What came is no answer.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A body is not framed as it says.
    #[error("the body has {0}")]
    Chunks(#[from] ChunkError),
    /// Interim answers without an end.
    #[error("1 MiB came before the head of an answer")]
    Endless,
    /// HTTP/2 failed.
    #[error("{0}")]
    Http2(#[from] hyper::Error),
    /// Another protocol began before the request had ended.
    #[error("upstream switched protocols amid the request")]
    Switched,
}

impl Break {
    /// Whether the client sent no more of its request for too long.
    #[must_use]
    pub fn is_stall(&self) -> bool {
        match self {
            Self::Stalled => true,
            Self::Body(cause) => cause.downcast_ref().is_some_and(Self::is_stall),
            _ => false,
        }
    }
}

impl SendError {
    /// Whether time ran out, as opposed to a clear refusal.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::ConnectTimedOut { .. } => true,
            Self::Unreachable { cause, .. } => *cause == Cause::TimedOut,
            Self::Tls { .. } | Self::Proxy { .. } | Self::Broke { .. } => false,
        }
    }

    /// Whether something other than TLS came where TLS was to begin, as where a port speaks plain HTTP.
    #[must_use]
    pub fn is_not_tls(&self) -> bool {
        matches!(self, Self::Tls { source, .. } if is_not_tls(source))
    }
}

fn is_not_tls(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidMessage(_)))
}

/// Why a TLS handshake failed.
struct Handshake<'e>(&'e io::Error);

impl fmt::Display for Handshake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(error) if is_not_tls(error) => f.write_str("upstream did not answer in TLS"),
            Self(error) => write!(f, "TLS: {}", Plain(error)),
        }
    }
}

/// An error of the system without its number, which only the system understands.
struct Plain<'e>(&'e io::Error);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = match text.split_once(" (os error ") {
            Some((text, _)) => text,
            None => &text,
        };
        f.write_str(text)
    }
}

/// Why no connection could be made, in two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The name has no address here.
    NameNotFound,
    /// The machine answered that nobody listens on that port.
    Refused,
    /// There is no way to that network or machine.
    NoRoute,
    /// The system itself gave up waiting.
    TimedOut,
    /// The connection was reset while it was made.
    Reset,
    /// Anything else; the source says more.
    Other,
}

impl Cause {
    /// The cause behind an I/O error of a connection attempt.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Self::NoRoute,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameNotFound => "name not found",
            Self::Refused => "connection refused",
            Self::NoRoute => "no route",
            Self::TimedOut => "no answer",
            Self::Reset => "connection reset",
            Self::Other => "connection failed",
        })
    }
}

/// A time as people read it: `2.1 s`, `40 ms`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(time) = self;
        if *time < Duration::from_millis(100) {
            write!(f, "{} ms", time.as_millis())
        } else {
            write!(f, "{:.1} s", time.as_secs_f64())
        }
    }
}
