//! The second listener: the page, what it asks, metrics and health, over TCP. Everything on it is guarded by its Host
//! and, where one is set, by a token, and answers no page of another site. Must not know what the answers say.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use net::ClientBody;

use crate::answers::Answers;
use crate::api::Answer;
use crate::events::{Events, Stream};
use crate::exposition::Format;
use crate::file::{BrokeOff, File, Files};
use crate::guard::{Denied, Guard};
use crate::page;

/// What a browser may do with what it gets from here: nothing that reaches another host, nothing in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Said to who takes this port for the API.
const NOT_THE_API: &str = "this is tollfree's page, not the API";

/// The second listener's service. Cheap to clone.
#[derive(Clone)]
pub struct Web {
    answers: Answers,
    guard: Arc<Guard>,
    events: Events,
    files: Files,
}

/// The system has no randomness to compare a token with.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

impl Web {
    /// `hosts`: names, beside addresses and `localhost`, under which it is reached. `token`: asked of everybody, but
    /// not for the page's own files and for `/healthz` and `/readyz`, which tell a word without it.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new(
        answers: Answers,
        hosts: &[String],
        token: Option<&str>,
    ) -> Result<Self, NoRandomness> {
        let guard = Guard::new(hosts, token).ok_or(NoRandomness)?;
        Ok(Self {
            answers,
            guard: Arc::new(guard),
            events: Events::new(),
            files: Files::new(),
        })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<ClientBody>) -> Response<Said> {
        let (head, _) = request.into_parts();
        let mut answer = self.answer(&head).await;
        let headers = answer.headers_mut();
        let fixed: [(HeaderName, &str); 5] = [
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    async fn answer(&self, head: &Parts) -> Response<Said> {
        if let Err(denied) = self.guard.host(head).and_then(|()| Guard::site(head)) {
            return denial(denied);
        }
        let path = head.uri.path();
        if matches!(head.method, Method::GET | Method::HEAD) {
            if let Some(file) = page::file(path) {
                return said(
                    StatusCode::OK,
                    file.media_type,
                    Bytes::from_static(file.bytes),
                );
            }
            let may_know = self.guard.token(head).is_ok();
            let query = head.uri.query().unwrap_or_default();
            if let Some(answer) = self.answers.health(path, query, may_know) {
                return json(answer);
            }
        }
        if path.starts_with("/v1/") {
            return self.not_the_api();
        }
        if let Err(denied) = self.guard.token(head) {
            return denial(denied);
        }
        let query = head.uri.query().unwrap_or_default();
        match path {
            _ if head.method != Method::GET && head.method != Method::HEAD => {
                let why = format!("{} is not answered here: it is read only", head.method);
                let mut answer = json(Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, why));
                let allow = HeaderValue::from_static("GET, HEAD");
                answer.headers_mut().insert(header::ALLOW, allow);
                answer
            }
            "/metrics" => self.metrics(Format::asked(&head.headers)),
            "/api/v1/events" => self.listen().await,
            "/api/v1/calls.csv" => match self.files.file(self.answers.clone(), query).await {
                Ok(file) => sent(Said::File(Box::new(file)), "text/csv; charset=utf-8"),
                Err(answer) => json(answer),
            },
            _ => match self.answers.answer(path, query).await {
                Some(answer) => json(answer),
                None => json(Answer::refusal(
                    StatusCode::NOT_FOUND,
                    "nothing is here. help: / is the page, /metrics the metrics".to_owned(),
                )),
            },
        }
    }

    fn metrics(&self, format: Format) -> Response<Said> {
        match self.answers.metrics() {
            Ok(text) => said(StatusCode::OK, format.media_type(), format.of(text).into()),
            Err(error) => json(Answer::refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                error.to_string(),
            )),
        }
    }

    async fn listen(&self) -> Response<Said> {
        match self.events.listen(&self.answers).await {
            Some(stream) => sent(Said::Stream(stream), "text/event-stream"),
            None => json(Answer::refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many pages are open. help: close some".to_owned(),
            )),
        }
    }

    /// In OpenAI's error shape, since an SDK shows it to whoever took this port for the API.
    fn not_the_api(&self) -> Response<Said> {
        let base = format!("http://{}/v1", self.answers.address());
        let error = serde_json::json!({ "error": {
            "message": format!("{NOT_THE_API}. help: OPENAI_BASE_URL={base}"),
            "type": "tollfree_admin",
            "param": null,
            "code": "not_the_api",
        }});
        said(
            StatusCode::NOT_FOUND,
            "application/json",
            error.to_string().into(),
        )
    }
}

fn denial(denied: Denied) -> Response<Said> {
    let (status, why) = match denied {
        Denied::Host => (
            StatusCode::FORBIDDEN,
            "this Host is refused. help: use an address or localhost, or list the name under admin.hosts",
        ),
        Denied::Site => (
            StatusCode::FORBIDDEN,
            "what another site's page asks for is refused. help: open / of this address, or ask without a browser",
        ),
        Denied::Token => (
            StatusCode::UNAUTHORIZED,
            "a token is required. help: Authorization: Bearer ..., or ?token=... in the page's address",
        ),
    };
    let mut answer = json(Answer::refusal(status, why.to_owned()));
    if denied == Denied::Token {
        let scheme = HeaderValue::from_static("Bearer");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    answer
}

fn json(answer: Answer) -> Response<Said> {
    said(answer.status, "application/json", answer.json.into())
}

fn said(status: StatusCode, media_type: &'static str, bytes: Bytes) -> Response<Said> {
    let mut answer = sent(Said::Whole(Full::new(bytes)), media_type);
    *answer.status_mut() = status;
    answer
}

fn sent(body: Said, media_type: &'static str) -> Response<Said> {
    let mut answer = Response::new(body);
    let media_type = HeaderValue::from_static(media_type);
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    answer
}

/// The body of an answer.
pub enum Said {
    /// All at once.
    Whole(Full<Bytes>),
    /// Event by event.
    #[expect(private_interfaces, reason = "nobody but this crate makes one")]
    Stream(Stream),
    /// Page by page.
    #[expect(private_interfaces, reason = "nobody but this crate makes one")]
    File(Box<File>),
}

impl Body for Said {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        match self.get_mut() {
            Said::Whole(body) => whole(Pin::new(body).poll_frame(context)),
            Said::Stream(body) => whole(Pin::new(body).poll_frame(context)),
            Said::File(body) => Pin::new(&mut **body).poll_frame(context),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Said::Whole(body) => body.size_hint(),
            Said::Stream(_) | Said::File(_) => http_body::SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Said::Whole(body) => body.is_end_stream(),
            Said::Stream(_) | Said::File(_) => false,
        }
    }
}

/// A frame of a body that cannot break off.
fn whole(
    frame: Poll<Option<Result<Frame<Bytes>, Infallible>>>,
) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
    frame.map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
}
