//! A certificate for this machine's loopback address and the authority that vouches for it, made for one run. It must not
//! know who trusts whom.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::Failure;

/// What is vouched for: a name for nginx, which compares no addresses, and the address.
const NAMES: [&str; 2] = [NAME, "127.0.0.1"];
/// The name.
pub const NAME: &str = "localhost";

/// The file with the authority: who trusts it trusts the upstream.
#[must_use]
pub fn root(folder: &Path) -> PathBuf {
    folder.join("root.pem")
}

/// Makes both, as files in this folder.
///
/// # Errors
/// When they cannot be written.
pub fn make(folder: &Path) -> Result<(), Failure> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A certificate of the same name as its authority would be taken for one that vouches for itself.
    let name = "side by side";
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(NAMES.map(str::to_owned))?.signed_by(&key, &issuer)?;
    fs::write(root(folder), authority.pem())?;
    fs::write(folder.join("certificate.pem"), certificate.pem())?;
    fs::write(folder.join("key.pem"), key.serialize_pem())?;
    Ok(())
}

/// Speaks TLS with the certificate of this folder, sessions resumed as rustls does by itself.
///
/// # Errors
/// When the files are missing or are none.
pub fn acceptor(folder: &Path) -> Result<TlsAcceptor, Failure> {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(settings)))
}
