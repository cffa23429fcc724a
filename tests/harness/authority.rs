//! A certificate authority made for one test, a server that it vouches for, and TLS in front of an
//! upstream that speaks none.
//!
//! It must not know HTTP: bytes pass both ways as they come.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// An authority and the server it vouches for, as PEM files.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Vouches for a server of these names or addresses.
    pub fn of(names: &[&str]) -> Authority {
        let folder = TempDir::new().expect("a temporary folder");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of the same name would be taken for one with a broken signature.
        let name = folder.path().to_string_lossy();
        params.distinguished_name.push(DnType::CommonName, &*name);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let server = CertificateParams::new(names).expect("names");
        let server = server.signed_by(&server_key, &issuer);
        let authority = Authority { folder };
        for (file, text) in [
            (authority.root(), root.pem()),
            (
                authority.certificate(),
                server.expect("a certificate").pem(),
            ),
            (authority.key(), server_key.serialize_pem()),
        ] {
            std::fs::write(file, text).expect("a file");
        }
        authority
    }

    /// The file with the authority's own certificate: who trusts it trusts the server.
    pub fn root(&self) -> String {
        self.file("root.pem")
    }

    /// The file with the server's certificate.
    pub fn certificate(&self) -> String {
        self.file("certificate.pem")
    }

    /// The file with the server's private key.
    pub fn key(&self) -> String {
        self.file("key.pem")
    }

    /// A file beside them, for what a test wants to be read from one.
    pub fn file(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.into_os_string().into_string().expect("a text path")
    }

    fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_file(self.key()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(certificates(&self.certificate()), key);
        let mut config = config.expect("an identity");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Connects as a client that trusts this authority and offers these protocols (ALPN).
    pub async fn connect(&self, address: SocketAddr, offers: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.root()));
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = offers.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await.expect("a listener");
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::from(address.ip());
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.expect("TLS")
    }

    /// Speaks TLS on a free port in front of `upstream`, with the server's certificate.
    pub async fn stand_before(&self, upstream: SocketAddr) -> TlsFront {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let refused = Arc::new(Mutex::new(0));
        let acceptor = TlsAcceptor::from(self.server());
        let mut serving = JoinSet::new();
        let count = Arc::clone(&refused);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                connections.spawn(async move {
                    let Ok(mut near) = acceptor.accept(stream).await else {
                        *count.lock().expect("no panic") += 1;
                        return;
                    };
                    let mut far = TcpStream::connect(upstream).await.expect("the upstream");
                    // Whichever side ends first ends both; the test looks at what was said.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                    let _ = near.shutdown().await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        TlsFront {
            address,
            refused,
            _serving: serving,
        }
    }
}

/// TLS in front of an upstream; it stops when dropped.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    refused: Arc<Mutex<usize>>,
    _serving: JoinSet<()>,
}

impl TlsFront {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Handshakes that failed so far: clients that did not trust the certificate.
    pub fn refused(&self) -> usize {
        *self.refused.lock().expect("no panic")
    }
}

fn certificates(file: &str) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(file).expect("a PEM file");
    found.map(|one| one.expect("a certificate")).collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
