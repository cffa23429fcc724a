//! TLS settings for both sides: our identity towards clients, the roots we believe for upstream.
//!
//! Cryptography is `ring`'s, named explicitly, so that no process-wide default is needed. It must not know sockets.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::{ConnectSettingsError, ListenError};
use crate::listen::TlsIdentity;

/// What a TLS listener shows its clients. Offers HTTP/2 first, then HTTP/1.1.
pub(crate) fn server_config(identity: &TlsIdentity) -> Result<Arc<ServerConfig>, ListenError> {
    let chain = certificates(&identity.certificate).map_err(|source| ListenError::Certificate {
        path: identity.certificate.clone(),
        source,
    })?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|source| ListenError::Key {
        path: identity.key.clone(),
        source,
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source| ListenError::Identity {
            certificate: identity.certificate.clone(),
            key: identity.key.clone(),
            source,
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// How upstream is verified: the built-in roots of the web and those of `extra_roots`. Speaks HTTP/1.1 only; sessions
/// are resumed (rustls keeps them in memory by default).
pub(crate) fn client_config(
    extra_roots: Option<&Path>,
) -> Result<Arc<ClientConfig>, ConnectSettingsError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = extra_roots {
        let found = certificates(path).map_err(|source| ConnectSettingsError::Roots {
            path: path.to_owned(),
            source,
        })?;
        for root in found {
            roots
                .add(root)
                .map_err(|source| ConnectSettingsError::Root {
                    path: path.to_owned(),
                    source,
                })?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// All certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let found = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        Err(pem::Error::NoItemsFound)
    } else {
        Ok(found)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
