//! What can be set, as typed values, with the defaults: one struct per section of the
//! configuration file.
//!
//! It must not know how a value is written, nor whether it came from a flag, a variable or the
//! file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ledger::Durability;
use meter::{AfterCrossing, DeclaredOrganization, Terms};
use proxy::ClientGone;

use super::data_dir::DataDir;
use super::sharing::Sharing;
use super::upstream_url::UpstreamUrl;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where the proxy listens. Port 0 takes any free port.
    pub(crate) listen: SocketAddr,
    /// Where the ledger is kept.
    pub(crate) data_dir: DataDir,
    /// What holds for organizations that are not declared one by one.
    pub(crate) terms: Terms,
    /// The organizations declared one by one, in the order of the file.
    pub(crate) organizations: Vec<DeclaredOrganization>,
    /// The proxy's listener.
    pub(crate) listener: Listener,
    /// How OpenAI is reached.
    pub(crate) upstream: Upstream,
    /// What is done with streams.
    pub(crate) streams: Streams,
    /// How much memory and time metering may take.
    pub(crate) limits: Limits,
    /// How the ledger is kept.
    pub(crate) ledger: LedgerSettings,
    /// The store that replicas share their totals through.
    pub(crate) share: Sharing,
    /// Page, metrics and health.
    pub(crate) admin: Admin,
    /// The offer file and how its rule is read.
    pub(crate) offer: OfferSettings,
    /// How a stop goes.
    pub(crate) drain: DrainSettings,
    /// What is written to standard error, and how.
    pub(crate) log: Log,
}

/// Section `[listener]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Certificate chain and key; without them the listener speaks plain HTTP.
    pub(crate) tls: Option<TlsFiles>,
    /// Connections open at once; one more is answered 503.
    pub(crate) most_connections: usize,
    /// From the accepted connection to the finished TLS handshake.
    pub(crate) tls_handshake: Duration,
    /// From the first byte of a request (or the accepted connection) to the end of its head.
    pub(crate) head_timeout: Duration,
    /// How long a connection may stay open between two calls.
    pub(crate) idle_timeout: Duration,
    /// How long a client may refuse to take a single byte of its answer.
    pub(crate) write_stall: Duration,
    /// How long a client may send not a single byte of a request's body that is waited for.
    pub(crate) read_stall: Duration,
    /// Bytes of a request head; a longer one is answered 431.
    pub(crate) most_head_bytes: usize,
    /// Header lines of a request head; more are answered 431.
    pub(crate) most_headers: usize,
}

/// The files of the listener's own identity, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate chain, leaf first.
    pub(crate) certificate: PathBuf,
    /// The private key of the leaf.
    pub(crate) key: PathBuf,
}

/// Section `[upstream]`, with what the environment says about proxies and roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// The API.
    pub(crate) url: UpstreamUrl,
    /// PEM file of roots that are trusted beside the built-in web roots (`upstream.ca_file`, else
    /// `SSL_CERT_FILE`).
    pub(crate) ca_file: Option<PathBuf>,
    /// The proxy that was named for tollfree; it wins over the environment's.
    pub(crate) proxy: Option<Secret>,
    /// The proxies every program of this environment is asked to use.
    pub(crate) environment_proxy: EnvironmentProxy,
    /// From the first attempt to a connection, name look-up and TLS included.
    pub(crate) connect_timeout: Duration,
    /// How long an idle connection is kept for the next call.
    pub(crate) idle_timeout: Duration,
    /// Idle connections kept.
    pub(crate) most_idle: usize,
}

/// What `HTTPS_PROXY` and its relatives say, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EnvironmentProxy {
    /// `HTTPS_PROXY`, else `https_proxy`.
    pub(crate) https: Option<Secret>,
    /// `http_proxy` (never `HTTP_PROXY`, which a CGI server sets from a request header).
    pub(crate) http: Option<Secret>,
    /// `ALL_PROXY`, else `all_proxy`.
    pub(crate) all: Option<Secret>,
    /// `NO_PROXY`, else `no_proxy`.
    pub(crate) except: Option<String>,
}

/// Section `[streams]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Streams {
    /// Ask OpenAI for the usage of streams whose client did not ask, and take it out again.
    pub(crate) ask_for_usage: bool,
    /// What becomes of a stream whose client left.
    pub(crate) client_gone: ClientGone,
    /// Put the final verdict into each stream, as a comment.
    pub(crate) comment: bool,
}

/// Section `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a request body that is looked at; a longer one is forwarded unread.
    pub(crate) request_inspect_bytes: usize,
    /// Bytes of request bodies held over all calls.
    pub(crate) request_inspect_total: usize,
    /// From a request's head to the moment its body goes on unread.
    pub(crate) request_inspect_time: Duration,
    /// Bytes of a JSON answer, as it came, that is held until it is settled.
    pub(crate) held_answer_bytes: usize,
    /// Bytes of answers held over all calls.
    pub(crate) held_answers_total: usize,
    /// From upstream's head to the moment a held answer is let go.
    pub(crate) held_answer_time: Duration,
    /// Longest `?wait=` of a look-up.
    pub(crate) lookup_wait: Duration,
    /// Look-ups that wait at once, per API key.
    pub(crate) lookup_waits_per_key: usize,
    /// Look-ups that wait at once, in all.
    pub(crate) lookup_waits_total: usize,
}

/// Section `[ledger]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerSettings {
    /// What a call that was tagged outlives.
    pub(crate) durability: Durability,
    /// Days the ledger goes back; older rows are removed.
    pub(crate) keep_days: u32,
}

/// Section `[admin]`: page, metrics, health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admin {
    /// Where they are; `None`: nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// What is asked of everybody who reads them.
    pub(crate) token: Option<Secret>,
    /// Names they are reached under, beside addresses and `localhost`.
    pub(crate) hosts: Vec<Box<str>>,
}

/// Section `[offer]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferSettings {
    /// A file in place of the built-in model list.
    pub(crate) file: Option<PathBuf>,
    /// Which reading of the offer's rule gives the verdict.
    pub(crate) after_crossing: AfterCrossing,
}

/// Section `[drain]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DrainSettings {
    /// From the signal to the end of accepting.
    pub(crate) keep_accepting: Duration,
    /// From the end of accepting to the cut of open calls.
    pub(crate) grace: Duration,
}

/// Section `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// The shape of a line.
    pub(crate) format: LogFormat,
    /// Which lines, in the words of `tracing_subscriber`'s `EnvFilter`; known to be well formed.
    pub(crate) filter: String,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// A value that is never shown: a proxy's URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes the value in.
    pub(crate) fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one place that uses it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8800),
            data_dir: DataDir::default(),
            terms: Terms::default(),
            organizations: Vec::new(),
            listener: Listener::default(),
            upstream: Upstream::default(),
            streams: Streams::default(),
            limits: Limits::default(),
            ledger: LedgerSettings::default(),
            share: Sharing::default(),
            admin: Admin::default(),
            offer: OfferSettings::default(),
            drain: DrainSettings::default(),
            log: Log::default(),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8801)),
            token: None,
            hosts: Vec::new(),
        }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            tls: None,
            most_connections: 10_000,
            tls_handshake: Duration::from_secs(10),
            head_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            write_stall: Duration::from_mins(1),
            read_stall: Duration::from_mins(1),
            most_head_bytes: 64 * KIB,
            most_headers: 100,
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            url: UpstreamUrl::openai(),
            ca_file: None,
            proxy: None,
            environment_proxy: EnvironmentProxy::default(),
            connect_timeout: Duration::from_secs(10),
            // OpenAI's edge closes idle connections after about 15 s.
            idle_timeout: Duration::from_secs(10),
            most_idle: 512,
        }
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            ask_for_usage: true,
            client_gone: ClientGone::Cancel,
            comment: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_inspect_bytes: 8 * MIB,
            request_inspect_total: 64 * MIB,
            held_answer_bytes: MIB,
            held_answers_total: 64 * MIB,
            request_inspect_time: Duration::from_secs(5),
            held_answer_time: Duration::from_secs(2),
            lookup_wait: Duration::from_mins(1),
            lookup_waits_per_key: 64,
            lookup_waits_total: 1024,
        }
    }
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            durability: Durability::Crash,
            keep_days: 400,
        }
    }
}

impl Default for OfferSettings {
    fn default() -> Self {
        Self {
            file: None,
            after_crossing: AfterCrossing::Billed,
        }
    }
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self {
            keep_accepting: Duration::ZERO,
            // Inside the 30 s that Kubernetes gives a pod.
            grace: Duration::from_secs(25),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            // The ledger, the page and `tollfree calls --watch` have a line for each call; a write for each costs CPU.
            filter: "info,call=off".to_owned(),
        }
    }
}
