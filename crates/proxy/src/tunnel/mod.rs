//! A WebSocket on its way: asked for, opened only where upstream opens it, then bytes both ways, unchanged, while
//! readers look on. Knows nothing of frames or of what a response costs.

mod calls;
mod pump;

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_EXTENSIONS,
    UPGRADE,
};
use http::{Request, Response, StatusCode, Version, request};
use meter::Reason;
use net::{ClientBody, Upgrade};
use wire::Socket;

use crate::bodies::answer_body::AnswerBody;
use crate::bodies::request_body::RequestBody;
use crate::call::{self, Call, Ending, NotSent};
use crate::heads::forward::Accept;
use crate::settling::call_under_way::Caller;
use calls::{Calls, Opened};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

impl Call {
    /// A request where a WebSocket may be asked for. Without an upgrade, by the client or by upstream, it passes like
    /// any other.
    pub(crate) async fn socket(
        &mut self,
        socket: Socket,
        body: ClientBody,
    ) -> Result<Response<AnswerBody>, Ending> {
        let promised = self.head.extensions.remove::<Upgrade>();
        let Some(client) = promised.filter(|_| asks(&self.head)) else {
            return self.unmetered(body, Reason::NoUsage).await;
        };
        let target = self.head.uri.to_string();
        let caller = Caller::of(&self.head.headers, self.key, &self.peer);
        let answer = self
            .exchange(RequestBody::unread(body), Accept::AsAsked, ask)
            .await
            .map_err(|error| Ending::from(Self::refusal(&error)))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(self.pass_unread(answer, Reason::NoUsage));
        }
        if !names(answer.headers(), &UPGRADE, "websocket") {
            return Err(Self::refusal(&NotSent::Switched).into());
        }
        let (head, mut body) = answer.into_parts();
        let upstream = body.switched();
        let calls = Calls::new(
            Arc::clone(&self.shared),
            socket,
            &target,
            Opened {
                caller,
                whose: self.whose(&head),
                request_id: call::request_id(&head.headers),
            },
        );
        let mut answer = self.pass_on(head, body, None, Reason::NoUsage);
        let headers = answer.headers_mut();
        // What follows is no body, and has no length.
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
        let (shared, peer) = (Arc::clone(&self.shared), self.peer.clone());
        // The client's side opens once this answer has left: nothing of its reaches upstream before.
        tokio::spawn(async move {
            if let (Some(client), Some(upstream)) = (client.switched().await, upstream) {
                pump::run(shared, (client, upstream), peer, calls).await;
            }
        });
        Ok(answer)
    }
}

/// Whether the client asks for a WebSocket.
fn asks(head: &request::Parts) -> bool {
    head.version == Version::HTTP_11
        && names(&head.headers, &UPGRADE, "websocket")
        && names(&head.headers, &CONNECTION, "upgrade")
}

/// Asks upstream for a WebSocket: an upgrade ends at each hop, so it is asked for anew. Without extensions, which
/// would encode what is to be read.
fn ask<B>(request: &mut Request<B>) {
    let headers = request.headers_mut();
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether a header that is a list names this.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> request::Parts {
        let mut request = Request::new(());
        for (name, value) in lines {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        request.into_parts().0
    }

    #[test]
    fn an_upgrade_is_one_only_where_both_headers_say_so() {
        let both = head(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        ]);
        assert!(asks(&both));
        for lines in [
            &[("connection", "upgrade"), ("upgrade", "h2c")][..],
            &[("connection", "keep-alive"), ("upgrade", "websocket")],
            &[("upgrade", "websocket")],
            &[("connection", "upgrade")],
        ] {
            assert!(!asks(&head(lines)), "{lines:?}");
        }
        let mut old = head(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        old.version = Version::HTTP_10;
        assert!(!asks(&old));
    }

    #[test]
    fn extensions_are_not_asked_for() {
        let mut request = Request::new(());
        request.headers_mut().insert(
            SEC_WEBSOCKET_EXTENSIONS,
            HeaderValue::from_static("permessage-deflate"),
        );
        ask(&mut request);
        assert!(!request.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS));
        assert_eq!(request.headers().get(UPGRADE), Some(&WEBSOCKET));
    }
}
