//! The control socket: a file in the data directory by which commands on this machine ask the running proxy, HTTP/1.1
//! and JSON. Who may open the folder may ask. Must not know what is answered.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::{Answer, Api};

/// The socket's name in the data directory.
pub const SOCKET: &str = "control.sock";
/// Connections served at once; further ones wait.
const MOST_CONNECTIONS: usize = 16;
/// The longest a connection may take in all.
const MOST_TIME: Duration = Duration::from_secs(10);
/// Bytes of a question's body.
const MOST_BODY_BYTES: usize = 64 << 10;
/// After a connection could not be taken, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// The socket is there and answered until this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    serving: JoinHandle<()>,
}

impl Control {
    /// Begins to answer in this folder, on the current runtime. A socket that an unclean stop left there is removed:
    /// call it only while the folder is ours.
    ///
    /// # Errors
    /// The folder cannot be written, or its path is too long for a socket (about 100 bytes).
    pub fn begin(folder: &Path, api: Api) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let serving = tokio::spawn(serve(listener, api));
        Ok(Self { path, serving })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.serving.abort();
        // One that stays is removed by the next start.
        let _ = fs::remove_file(&self.path);
    }
}

async fn serve(listener: UnixListener, api: Api) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let api = api.clone();
                tokio::spawn(async move {
                    // Who asks too slowly is cut.
                    let _ = timeout(MOST_TIME, exchange(stream, api)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket accepts no connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn exchange(stream: UnixStream, api: Api) {
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(respond(&api, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever asked is gone: nobody is left to be told.
    let _ = connection.await;
}

async fn respond(api: &Api, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BODY_BYTES).collect().await;
    let answer = if let Ok(body) = body {
        let body = body.to_bytes();
        api.answer(&head.method, head.uri.path(), &body).await
    } else {
        let why = format!("the body cannot be read, or is longer than {MOST_BODY_BYTES} bytes");
        Answer::refusal(StatusCode::BAD_REQUEST, why)
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.json)));
    *response.status_mut() = answer.status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
