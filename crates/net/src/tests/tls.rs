//! TLS on both sides, with an authority made for the test.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{HandshakeKind, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Raw, Serving, connector, echo_path, listener, post, sending, text, upstream, within};
use crate::{
    ConnectSettings, ConnectSettingsError, Connector, ListenError, Scheme, SendError, TlsIdentity,
    tls,
};

/// An authority and a server it vouches for, as PEM files.
struct Authority {
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = folder.path().to_string_lossy();
        params
            .distinguished_name
            .push(DnType::CommonName, name.as_ref());
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = CertificateParams::new(names)
            .unwrap()
            .signed_by(&server_key, &issuer)
            .unwrap();
        write(&folder.path().join("root.pem"), &root.pem());
        write(&folder.path().join("server.pem"), &server.pem());
        write(&folder.path().join("key.pem"), &server_key.serialize_pem());
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn identity(&self) -> TlsIdentity {
        TlsIdentity {
            certificate: self.path("server.pem"),
            key: self.path("key.pem"),
        }
    }

    fn server(&self) -> Arc<ServerConfig> {
        tls::server_config(&self.identity()).unwrap()
    }
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

async fn tls_upstream(authority: &Authority) -> (TcpListener, TlsAcceptor, ConnectSettings) {
    let (listener, mut settings) = upstream().await;
    settings.upstream.scheme = Scheme::Https;
    settings.extra_roots = Some(authority.path("root.pem"));
    (listener, TlsAcceptor::from(authority.server()), settings)
}

#[tokio::test]
async fn upstream_with_tls_is_kept_warm_and_its_session_resumed() {
    within(async {
        let authority = Authority::new();
        let (listener, acceptor, settings) = tls_upstream(&authority).await;
        let connector = connector(settings);
        for (kind, again) in [
            (HandshakeKind::Full, "keep-alive"),
            (HandshakeKind::Resumed, "close"),
        ] {
            let answer = sending(&connector, post("/", "one"));
            let stream = acceptor
                .accept(listener.accept().await.unwrap().0)
                .await
                .unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
            let mut far = Raw::over(stream);
            far.until("one").await;
            far.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");

            let answer = sending(&connector, post("/", "two"));
            far.until("two").await;
            far.say(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: {again}\r\n\r\nok"
            ))
            .await;
            assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
            // The first connection goes away, so the next call makes another one.
            drop(far);
            super::sockets_seen().await;
        }
        assert_eq!(connector.figures().opened, 2);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_authority_is_named() {
    within(async {
        let authority = Authority::new();
        let (listener, acceptor, mut settings) = tls_upstream(&authority).await;
        let other = Authority::new();
        settings.extra_roots = Some(other.path("root.pem"));
        let answer = sending(&connector(settings), post("/", ""));
        assert!(
            acceptor
                .accept(listener.accept().await.unwrap().0)
                .await
                .is_err()
        );
        let error = answer.await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::Tls { .. }), "{error:?}");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn roots_that_are_none() {
    let folder = TempDir::new().unwrap();
    let refused = |path: &Path| {
        let upstream = crate::Upstream {
            scheme: Scheme::Https,
            host: "localhost".to_owned(),
            port: 1,
        };
        let mut settings = ConnectSettings::new(upstream);
        settings.extra_roots = Some(path.to_owned());
        Connector::new(settings).unwrap_err()
    };
    let missing = folder.path().join("missing.pem");
    let error = refused(&missing);
    assert!(
        matches!(error, ConnectSettingsError::Roots { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("missing.pem"), "{error}");
    let empty = folder.path().join("empty.pem");
    write(&empty, "nothing to see\n");
    assert!(matches!(
        refused(&empty),
        ConnectSettingsError::Roots { .. }
    ));
    let nonsense = folder.path().join("nonsense.pem");
    write(
        &nonsense,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    assert!(matches!(
        refused(&nonsense),
        ConnectSettingsError::Root { .. }
    ));
}

#[tokio::test]
async fn a_listener_with_tls_speaks_both_versions() {
    within(async {
        let authority = Authority::new();
        let listener = listener(|settings| settings.tls = Some(authority.identity())).await;
        let serving = Serving::start(listener, echo_path);
        for version in ["h2", "http/1.1"] {
            let mut config =
                (*tls::client_config(Some(&authority.path("root.pem"))).unwrap()).clone();
            config.alpn_protocols = vec![version.into()];
            let stream = TcpStream::connect(serving.address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let stream = TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
                .unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(version.as_bytes()));
            if version == "h2" {
                let io = TokioIo::new(stream);
                let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
                let (mut sender, connection) = Box::pin(handshake).await.unwrap();
                tokio::spawn(connection);
                let request = Request::get("https://localhost/two")
                    .body(Empty::<Bytes>::new())
                    .unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(
                    answer.into_body().collect().await.unwrap().to_bytes(),
                    "/two"
                );
            } else {
                let mut client = Raw::over(stream);
                client.say("GET /one HTTP/1.1\r\nhost: x\r\n\r\n").await;
                client.until("/one").await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn handshakes_that_fail_or_never_come() {
    within(async {
        let authority = Authority::new();
        let listener = listener(|settings| {
            settings.tls = Some(authority.identity());
            settings.tls_handshake = Duration::from_millis(60);
            settings.most_connections = 1;
        })
        .await;
        let serving = Serving::start(listener, echo_path);
        let mut silent = Raw::connect(serving.address).await;
        silent.closed().await;
        serving.figure(crate::ListenFigures::failed_tls, 1).await;
        let mut plain = Raw::connect(serving.address).await;
        plain.say("GET / HTTP/1.1\r\n\r\n").await;
        let mut alert = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut plain.stream, &mut alert).await;
        serving.figure(crate::ListenFigures::failed_tls, 2).await;
    })
    .await;
}

#[tokio::test]
async fn identities_that_are_none() {
    let (ours, other) = (Authority::new(), Authority::new());
    let refused = async |certificate: &Path, key: &Path| {
        let mut settings = crate::ListenSettings::new(([127, 0, 0, 1], 0).into());
        settings.tls = Some(TlsIdentity {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        });
        crate::Listener::bind(settings).await.unwrap_err()
    };
    let (server, key) = (ours.path("server.pem"), ours.path("key.pem"));
    assert!(matches!(
        refused(&ours.path("none.pem"), &key).await,
        ListenError::Certificate { .. }
    ));
    assert!(matches!(
        refused(&key, &key).await,
        ListenError::Certificate { .. }
    ));
    assert!(matches!(
        refused(&server, &server).await,
        ListenError::Key { .. }
    ));
    let error = refused(&server, &other.path("key.pem")).await;
    assert!(matches!(error, ListenError::Identity { .. }), "{error:?}");
}
