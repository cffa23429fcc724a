//! The base URL of the API: a scheme, a host and a port, nothing else.
//!
//! It must not know the settings around it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;

/// Where the API is. Written as its URL without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamUrl {
    /// `https`, else `http`.
    pub(crate) https: bool,
    /// A name or an address; IPv6 without brackets.
    pub(crate) host: String,
    /// The port, said or implied.
    pub(crate) port: u16,
}

/// Why a text is no base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NoBaseUrl {
    /// Neither `http://` nor `https://` stands in front.
    #[error("a URL that begins with https:// or http://")]
    Scheme,
    /// No host, a port past 65535, a character that no URL has.
    #[error("a URL like https://api.openai.com")]
    Malformed,
    /// A path other than `/` or `/v1`.
    #[error("no path here: calls bring their own, /v1 included")]
    Path,
    /// `?` and what follows.
    #[error("no query here")]
    Query,
    /// A name or password before the host.
    #[error("no name or password here: each call brings its own key")]
    Login,
}

impl UpstreamUrl {
    /// OpenAI's own.
    pub(crate) fn openai() -> Self {
        Self {
            https: true,
            host: "api.openai.com".to_owned(),
            port: 443,
        }
    }

    /// Reads a base URL.
    ///
    /// # Errors
    /// [`NoBaseUrl`], whose text is the right form.
    pub(crate) fn parse(text: &str) -> Result<Self, NoBaseUrl> {
        let uri: Uri = text.parse().map_err(|_| NoBaseUrl::Malformed)?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(NoBaseUrl::Scheme),
        };
        let authority = uri.authority().ok_or(NoBaseUrl::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(NoBaseUrl::Login);
        }
        if uri.query().is_some() {
            return Err(NoBaseUrl::Query);
        }
        if !matches!(uri.path(), "" | "/" | "/v1" | "/v1/") {
            return Err(NoBaseUrl::Path);
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let said = authority.as_str().len() > authority.host().len();
        let port = match (authority.port_u16(), said) {
            (Some(port), _) if port > 0 => port,
            (None, false) => {
                if https {
                    443
                } else {
                    80
                }
            }
            _ => return Err(NoBaseUrl::Malformed),
        };
        if host.is_empty() {
            return Err(NoBaseUrl::Malformed);
        }
        Ok(Self {
            https,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// What the `host` header says: the port only where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual {
            self.bracketed_host()
        } else {
            self.named()
        }
    }

    /// `host:port`, as messages call it.
    pub(crate) fn named(&self) -> String {
        format!("{}:{}", self.bracketed_host(), self.port)
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// Whether calls to this URL would arrive at a listener on `listen` of the same machine. Names
    /// other than `localhost` are not resolved: what they stand for may change at any time.
    pub(crate) fn is_listener(&self, listen: SocketAddr) -> bool {
        if self.port != listen.port() {
            return false;
        }
        let host = self.host.trim_end_matches('.');
        if host == "localhost" || host.ends_with(".localhost") {
            return listen.ip().is_loopback() || listen.ip().is_unspecified();
        }
        match host.parse::<IpAddr>() {
            Ok(address) if address.is_loopback() || address.is_unspecified() => {
                listen.ip().is_unspecified() || address.is_unspecified() || address == listen.ip()
            }
            Ok(address) => address == listen.ip(),
            Err(_) => false,
        }
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}
