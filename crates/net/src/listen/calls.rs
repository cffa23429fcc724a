//! A client's connection over HTTP/1.1: call after call, each a head, a body, and an answer. It must not know what a
//! call is.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client_body::ClientBody;
use super::client_connection::{ClientConnection, Next, Waiting, Writer, lock};
use super::watch::Watch;
use super::watched::Watched;
use crate::error::{BoxedError, Break};
use crate::http1::answer_out::{self, Asked};
use crate::http1::body_decoder::BodyDecoder;
use crate::http1::chunked_decoder;
use crate::http1::head::Framing;
use crate::http1::message_writer::MessageWriter;
use crate::http1::request_head::{Head, Limits};
use crate::listen::RefusalAnswer;
use crate::upgrade::{Switched, Upgrade};

/// How long what still comes behind a last answer is read and dropped: a socket closed with unread bytes is reset, and the
/// answer lost.
const LONGEST_DROPPING: Duration = Duration::from_secs(5);

/// What all connections of a listener have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// What a client is told whose head is no request.
    pub(crate) refusal: RefusalAnswer,
}

/// Serves one connection until its client leaves, or may ask no more; once it is `closing`, no further head is waited
/// for.
pub(crate) async fn serve<F, B>(
    io: Watched,
    rules: Rules,
    watch: &Watch,
    closing: &AtomicBool,
    call: impl Fn(Request<ClientBody>) -> F,
) -> Result<(), Break>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
{
    let client = Arc::new(Mutex::new(ClientConnection::new(io)));
    loop {
        let mut waiting = Waiting::default();
        let next = poll_fn(|cx| lock(&client).poll_head(&mut waiting, rules.limits, closing, cx));
        let head = match next.await? {
            Next::Head(head) => *head,
            Next::Nothing => {
                // Whoever is still there is told.
                let _ = Writer(&client).shutdown().await;
                return Ok(());
            }
            Next::Refusal(status) => {
                watch.serving();
                Writer(&client).write_all(&(rules.refusal)(status)).await?;
                return end(&client, true).await;
            }
        };
        watch.serving();
        let asked = Asked {
            is_head: head.request.method() == Method::HEAD,
            version: head.request.version(),
            keeps: head.keeps,
        };
        let (request, upgrade) = opened(&client, head);
        let answer = {
            let mut call = pin!(call(request));
            let answer = poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if lock(&client).has_left(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            answer.await
        };
        let Some(Ok(answer)) = answer else {
            return Ok(());
        };
        let is_switch = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        // What nobody will read of a body stays before the next request; of one that is refused early nobody will.
        let is_refused = answer.status().is_client_error() || answer.status().is_server_error();
        let is_read = lock(&client).body_is_over || (Arc::weak_count(&client) > 0 && !is_refused);
        let keeps = asked.keeps && is_read && !closing.load(Ordering::Relaxed);
        let (message, keeps) = answer_out::framed(answer, Asked { keeps, ..asked });
        let sent = send(&client, message).await;
        if sent.is_err() && asked.version < Version::HTTP_11 {
            // Its body ends with the connection: only a reset says that it broke.
            lock(&client).io.reset_at_close();
        }
        sent?;
        if is_switch {
            if let (Some(upgrade), Some(client)) = (upgrade, Arc::into_inner(client)) {
                let client = client.into_inner().unwrap_or_else(PoisonError::into_inner);
                let transport = client.io.into_transport();
                // Who asked for it may have left.
                let _ = upgrade.send(Switched::new(transport, client.unread.bytes, None));
            }
            return Ok(());
        }
        let (is_over, is_ahead, has_stalled) = {
            let client = lock(&client);
            let is_ahead = !client.unread.bytes.is_empty();
            (client.body_is_over, is_ahead, client.has_stalled())
        };
        if !keeps || !is_over {
            end(&client, !is_over || is_ahead).await?;
            return if has_stalled {
                Err(Break::Stalled)
            } else {
                Ok(())
            };
        }
        watch.awaiting_head(is_ahead);
    }
}

/// The request behind a head, with its body, and whom to give the connection if the answer switches protocols.
fn opened(
    client: &Arc<Mutex<ClientConnection>>,
    head: Head,
) -> (Request<ClientBody>, Option<oneshot::Sender<Switched>>) {
    let Head {
        mut request,
        framing,
        expects_continue,
        ..
    } = head;
    let mut upgrade = None;
    if request.version() == Version::HTTP_11 && request.headers().contains_key(UPGRADE) {
        let (promise, sender) = Upgrade::new();
        request.extensions_mut().insert(promise);
        upgrade = Some(sender);
    }
    let mut open = lock(client);
    let body = match framing {
        Framing::Nothing => ClientBody::whole(Bytes::new()),
        Framing::Length(mut length) if length <= open.unread.bytes.len() as u64 => {
            ClientBody::whole(chunked_decoder::take(&mut open.unread.bytes, &mut length))
        }
        _ => {
            open.body_is_over = false;
            if expects_continue {
                open.owes_continue();
            }
            ClientBody::on(Arc::downgrade(client), BodyDecoder::of(framing))
        }
    };
    (request.map(|()| body), upgrade)
}

/// Sends an answer to its end, unless the client leaves before, or the rest of its request does not come.
async fn send<B>(
    client: &Mutex<ClientConnection>,
    mut answer: MessageWriter<B>,
) -> Result<(), Break>
where
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
{
    lock(client).answers();
    poll_fn(|cx| match answer.poll(&mut Writer(client), cx) {
        Poll::Ready(sent) => Poll::Ready(sent),
        Poll::Pending => {
            let mut client = lock(client);
            if client.has_stalled() {
                // Whatever upstream answers meanwhile, it will never have the whole request.
                Poll::Ready(Err(Break::Stalled))
            } else if client.has_left(cx) {
                Poll::Ready(Err(Break::Closed))
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

/// Ends a connection behind its last answer; what may still come is read and dropped where more `follows`.
async fn end(client: &Mutex<ClientConnection>, follows: bool) -> Result<(), Break> {
    Writer(client).shutdown().await?;
    if follows {
        let dropped =
            async { while let Ok(1..) = poll_fn(|cx| lock(client).poll_drop(cx)).await {} };
        // However its side ends, or does not: it was told.
        let _ = timeout(LONGEST_DROPPING, dropped).await;
    }
    Ok(())
}
