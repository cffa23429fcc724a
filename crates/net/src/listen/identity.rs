//! What a TLS listener shows its clients, and how another takes its place while it serves. It must not know who renews
//! certificates, or when.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::error::ListenError;
use crate::tls;

/// Certificate chain and private key of a TLS listener, each a PEM file.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key (PKCS #8, PKCS #1 or SEC1).
    pub key: PathBuf,
}

impl TlsIdentity {
    /// Reads both files.
    ///
    /// # Errors
    /// A certificate or key that cannot be read, or a key that is another certificate's: each its own variant.
    pub fn read(&self) -> Result<Identity, ListenError> {
        tls::server_config(self).map(Identity)
    }
}

/// A certificate chain that was read with the key that fits it.
#[derive(Debug, Clone)]
pub struct Identity(Arc<ServerConfig>);

/// Shows the clients that come from now on another identity. Whoever is connected already, or shakes hands, stays with
/// the one that was shown then.
#[derive(Debug, Clone)]
pub struct Renewal(watch::Sender<Arc<ServerConfig>>);

impl Renewal {
    pub(super) fn showing(first: Identity) -> Self {
        Self(watch::Sender::new(first.0))
    }

    /// Shows this one.
    pub fn show(&self, identity: Identity) {
        self.0.send_replace(identity.0);
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.borrow()))
    }
}
