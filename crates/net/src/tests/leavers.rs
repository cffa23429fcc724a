//! Clients that leave while their call is served: it ends with them, whatever of them is not read yet.

use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tokio::sync::mpsc;

use super::{Raw, Serving, listener, within};
use crate::{ClientBody, Peer};

const GET: &str = "GET /here HTTP/1.1\r\nhost: x\r\n\r\n";

/// Says on a channel that it was dropped.
struct Gone(mpsc::UnboundedSender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_call_with_it() {
    within(async {
        let (gone, mut told) = mpsc::unbounded_channel();
        let serving = Serving::start(
            listener(|_| {}).await,
            move |_: Request<ClientBody>, _: Peer| {
                let gone = Gone(gone.clone());
                async move {
                    pending::<()>().await;
                    drop(gone);
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            },
        );
        let mut client = Raw::connect(serving.address).await;
        client.say(GET).await;
        super::sockets_seen().await;
        let left = Instant::now();
        // Its FIN is enough.
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream)
            .await
            .unwrap();
        told.recv().await.unwrap();
        assert!(
            left.elapsed() < Duration::from_millis(100),
            "{:?}",
            left.elapsed()
        );
        client.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_behind_what_nobody_reads_takes_its_call_with_it() {
    within(async {
        let (gone, mut told) = mpsc::unbounded_channel();
        let serving = Serving::start(
            listener(|settings| settings.head_timeout = Duration::from_millis(200)).await,
            move |request: Request<ClientBody>, _: Peer| {
                let gone = Gone(gone.clone());
                async move {
                    pending::<()>().await;
                    drop((request, gone));
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            },
        );
        let ahead = "x".repeat(100_000);
        for request in [
            format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n{ahead}"),
            format!("{GET}{ahead}"),
        ] {
            let mut client = Raw::connect(serving.address).await;
            client.say(request).await;
            super::sockets_seen().await;
            drop(client);
            told.recv().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_amid_its_body_takes_its_call_with_it() {
    within(async {
        let (gone, mut told) = mpsc::unbounded_channel();
        let serving = Serving::start(
            listener(|_| {}).await,
            move |request: Request<ClientBody>, _: Peer| {
                let gone = Gone(gone.clone());
                async move {
                    // Who calls may go on for long after it knows that nothing more comes.
                    assert!(request.into_body().collect().await.is_err());
                    pending::<()>().await;
                    drop(gone);
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            },
        );
        for body in [
            "content-length: 9\r\n\r\nabc",
            "transfer-encoding: chunked\r\n\r\n2\r\na",
        ] {
            let mut client = Raw::connect(serving.address).await;
            client
                .say(format!("POST / HTTP/1.1\r\nhost: x\r\n{body}"))
                .await;
            super::sockets_seen().await;
            let left = Instant::now();
            drop(client);
            told.recv().await.unwrap();
            assert!(
                left.elapsed() < Duration::from_millis(100),
                "{:?}",
                left.elapsed()
            );
        }
    })
    .await;
}
