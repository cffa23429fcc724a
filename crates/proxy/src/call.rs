//! One call, from top to bottom: what is asked, what goes upstream, what comes back, what is said of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_TYPE, DATE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, request, response};
use http_body::Body;
use meter::{Reason, Verdict};
use net::{Break, ClientBody, PastLimit, Peer, SendError, UpstreamBody};
use tracing::{Instrument, Span};
use wire::{Coding, End, Endpoint, Form, Metered, ResponseReader, Shows, Socket};

use crate::asked::{self, Asked};
use crate::attribute::{self, Whose};
use crate::bodies::answer_body::AnswerBody;
use crate::bodies::edit::Edit;
use crate::bodies::hold::{self, Held, Patience};
use crate::bodies::metered_body::{MeteredBody, Passage};
use crate::bodies::request_body::RequestBody;
use crate::call_id::CallId;
use crate::call_log;
use crate::heads::clear_head;
use crate::heads::forward::{self, Accept};
use crate::heads::refusal::Refusal;
use crate::keys::KeyHash;
use crate::look_up;
use crate::proxy::Shared;
use crate::settings::Settings;
use crate::settling::call_under_way::{Answered, CallUnderWay, Caller};
use crate::tags::Tags;

/// Answers one request, whatever becomes of it. What needs no waiting is done at once: a future carries all that it is
/// given as long as it lives.
pub(crate) fn handle(
    shared: Arc<Shared>,
    request: Request<ClientBody>,
    peer: Peer,
) -> impl Future<Output = Response<AnswerBody>> {
    let id = CallId::new();
    let span = match &id {
        Ok(id) => call_log::span(id),
        Err(_) => Span::none(),
    };
    let opened = match id {
        Ok(id) => Ok(span.in_scope(|| Call::open(shared, id, request, peer))),
        Err(error) => Err(Refusal::from(error)),
    };
    let answering = async move {
        match opened {
            Ok((mut call, way)) => match call.go(way).await {
                Ok(answer) => answer,
                Err(ending) => call.end(ending),
            },
            Err(refusal) => refusal.into_answer(),
        }
    };
    answering.instrument(span)
}

/// A call that ended without an answer of upstream's.
pub(crate) struct Ending {
    refusal: Refusal,
    verdict: Verdict,
    reason: Reason,
}

impl From<Refusal> for Ending {
    fn from(refusal: Refusal) -> Ending {
        Ending {
            refusal,
            verdict: Verdict::None,
            reason: Reason::ErrorResponse,
        }
    }
}

/// Which way a call goes.
enum Way {
    /// Not upstream.
    Refused(Refusal),
    /// Answered from our own path space.
    LookedUp,
    Metered(Metered, ClientBody),
    Replay(Shows, ClientBody),
    Socket(Socket, ClientBody),
    Unmetered(Reason, ClientBody),
}

/// What is known of a call before it goes upstream.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: CallId,
    pub(crate) head: request::Parts,
    pub(crate) key: Option<KeyHash>,
    /// The organization that the request asks to be counted for.
    organization: Option<Box<str>>,
    /// Path and query for upstream, where the client's base URL had another form.
    target: Option<PathAndQuery>,
    pub(crate) peer: Peer,
}

impl Call {
    /// Looks at the head of a request.
    fn open(
        shared: Arc<Shared>,
        id: CallId,
        request: Request<ClientBody>,
        peer: Peer,
    ) -> (Call, Way) {
        let (head, body) = request.into_parts();
        let mut call = Call {
            shared,
            id,
            head,
            key: None,
            organization: None,
            target: None,
            peer,
        };
        let way = call.way(body).unwrap_or_else(Way::Refused);
        (call, way)
    }

    fn way(&mut self, body: ClientBody) -> Result<Way, Refusal> {
        let Call {
            shared, head, peer, ..
        } = self;
        if matches!(head.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::Method(head.method.clone()));
        }
        match head.extensions.get() {
            None => {}
            Some(PastLimit::Headers) => return Err(Refusal::HeadTooLarge),
            Some(PastLimit::Requests) => return Err(Refusal::Overloaded),
        }
        clear_head::check(head)?;
        let connector = shared.connector.load();
        if connector.is_client(peer) {
            return Err(Refusal::Loop(connector.address().into()));
        }
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        if look_up::is_ours(target) {
            return Ok(Way::LookedUp);
        }
        let route = wire::classify(head.method.as_str(), target);
        if !matches!(route.endpoint, Endpoint::Metered(_)) {
            shared.pasted.came(target);
        }
        self.key = shared.keys.hash(&head.headers);
        if self.key.is_none() && matches!(route.endpoint, Endpoint::Metered(_)) {
            shared.keyless.came(peer.address.ip(), &head.headers);
        }
        self.organization = attribute::asked(&head.headers);
        // Longer than it came, it may be too long.
        let rewritten = route.rewritten.map(PathAndQuery::try_from).transpose();
        self.target = rewritten.map_err(|_| Refusal::TargetTooLong)?;
        Ok(match route.endpoint {
            Endpoint::Metered(endpoint) => Way::Metered(endpoint, body),
            Endpoint::Replay(Shows::Others) => Way::Unmetered(Reason::Replay, body),
            Endpoint::Replay(shown) => Way::Replay(shown, body),
            Endpoint::Socket(socket) => Way::Socket(socket, body),
            Endpoint::PassThrough => Way::Unmetered(Reason::NoUsage, body),
        })
    }

    async fn go(&mut self, way: Way) -> Result<Response<AnswerBody>, Ending> {
        match way {
            Way::Metered(endpoint, body) => self.metered(endpoint, body).await,
            // The rarer ways do not make room in every call.
            Way::Replay(shown, body) => Box::pin(self.replayed(shown, body)).await,
            Way::Unmetered(reason, body) => Box::pin(self.unmetered(body, reason)).await,
            Way::Socket(socket, body) => Box::pin(self.socket(socket, body)).await,
            Way::LookedUp => {
                let answer = Box::pin(look_up::answer(&self.shared, &self.head)).await?;
                Ok(self.bare(answer, Verdict::None, Reason::NoUsage))
            }
            Way::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Tells the client why it gets no answer of upstream's.
    fn end(&self, ending: Ending) -> Response<AnswerBody> {
        let Ending {
            refusal,
            verdict,
            reason,
        } = ending;
        tracing::debug!(call = %self.id, %refusal, "refused");
        if verdict == Verdict::None {
            self.shared.figures.passed(None);
        }
        self.bare(refusal.into_answer(), verdict, reason)
    }

    /// An answer of our own with the few tags that it has.
    fn bare(
        &self,
        answer: Response<AnswerBody>,
        verdict: Verdict,
        reason: Reason,
    ) -> Response<AnswerBody> {
        let (mut head, body) = answer.into_parts();
        Tags::bare(self.id, verdict, reason).put_on(&mut head);
        Response::from_parts(head, body)
    }

    /// A call that takes tokens if it succeeds.
    async fn metered(
        &mut self,
        endpoint: Metered,
        body: ClientBody,
    ) -> Result<Response<AnswerBody>, Ending> {
        if text(&self.head.headers, &RETRY_COUNT).is_some_and(|count| count != "0") {
            self.shared.figures.retries.one();
        }
        let settings = self.shared.settings.load_full();
        let request = (&mut self.head.headers, body);
        let memory = &self.shared.request_memory;
        let (body, asked, accept) = Asked::read(endpoint, request, &settings, memory).await?;
        let whose = attribute::by_key(&self.shared.meter, &self.shared.keys, self.key);
        let mut under_way = CallUnderWay::begin(
            Arc::clone(&self.shared),
            self.id,
            asked,
            Caller::of(&self.head.headers, self.key, &self.peer),
            whose,
            body.leaving(),
        );
        self.shared.outbox.told().await;
        under_way.leaves();
        let answer = match self.send(body, accept).await {
            Ok(answer) => answer,
            Err(error) => return Err(Self::unanswered(under_way, &error).await),
        };
        let (head, body) = answer.into_parts();
        let whose = self.whose(&head);
        if !head.status.is_success() {
            under_way.dismiss();
            return Ok(self.pass_on(head, body, Some(endpoint), Reason::ErrorResponse));
        }
        Ok(self
            .answered((head, body), whose, under_way, &settings)
            .await)
    }

    /// A 2xx answer: read, settled and tagged in the way of its form.
    async fn answered(
        &self,
        (mut head, body): (response::Parts, UpstreamBody),
        whose: Whose,
        mut under_way: Box<CallUnderWay>,
        settings: &Settings,
    ) -> Response<AnswerBody> {
        let head_came = Instant::now();
        let endpoint = under_way.endpoint();
        let form = under_way.form(text(&head.headers, &CONTENT_TYPE));
        let codings = Coding::of(asked::coding_values(&head.headers));
        let reader = match &codings {
            Some(codings) => ResponseReader::new(endpoint, form, codings),
            None => ResponseReader::unreadable(),
        };
        under_way.answered(Answered {
            whose,
            status: head.status.as_u16(),
            request_id: request_id(&head.headers),
            reader: Some(reader),
        });
        // A coding that cannot be undone step by step cannot be edited either: such a stream goes on as it came.
        let edit = codings
            .filter(|_| under_way.is_asked_by_us() && !body.is_end_stream())
            .and_then(|codings| {
                let reserved = self.shared.answer_memory.reserve();
                Edit::new(&codings, reserved, settings.held_answers_total)
            })
            .map(Box::new);
        // A length that was told stays what it is.
        let comment =
            settings.comment && form == Form::EventStream && body.size_hint().exact().is_none();
        if form == Form::Json && is_held(endpoint) && !body.is_end_stream() {
            return self.held((head, body), under_way, edit, settings).await;
        }
        forward::answer_head(&mut head, edit.is_some());
        if body.is_end_stream() {
            // Nothing follows that could be read, or that would end.
            let settled = under_way.settle_before_head(End::Complete).await;
            settled.tags().put_on(&mut head);
            return Response::from_parts(head, AnswerBody::passing(body));
        }
        let ours = under_way.ours();
        let answer = Self::streamed(
            head,
            under_way,
            Passage {
                upstream: body,
                early: VecDeque::new(),
                reserved: None,
                broke: None,
                edit,
                comment,
            },
        );
        let added = ours + head_came.elapsed();
        self.shared.figures.added_first_token.observe(added);
        answer
    }

    /// Sends the request; its headers go with it. No answer may switch to another protocol.
    pub(crate) async fn send(
        &mut self,
        body: RequestBody,
        accept: Accept,
    ) -> Result<Response<UpstreamBody>, NotSent> {
        let answer = self.exchange(body, accept, |_| {}).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(NotSent::Switched);
        }
        Ok(answer)
    }

    /// Sends the request, with what `finish` makes of its head, and gives whatever answer comes.
    pub(crate) async fn exchange(
        &mut self,
        body: RequestBody,
        accept: Accept,
        finish: impl FnOnce(&mut Request<RequestBody>),
    ) -> Result<Response<UpstreamBody>, NotSent> {
        let target = self.target.as_ref();
        let mut request =
            forward::request(&mut self.head, target, accept, body).map_err(NotSent::Head)?;
        finish(&mut request);
        let connector = self.shared.connector.load_full();
        let sent = connector.send(request).await;
        let mut answer = sent.map_err(|error| {
            self.shared.outage.failed(&error, self.shared.clock.now());
            NotSent::Upstream(error)
        })?;
        self.shared.outage.answered();
        // An answer without a body may say the length that one would have had.
        if self.head.method != Method::HEAD && answer.status() != StatusCode::NOT_MODIFIED {
            let length = answer.body().size_hint().exact();
            clear_head::set_length(answer.headers_mut(), length);
        }
        call_log::answered(answer.headers());
        if let Some(date) = text(answer.headers(), &DATE) {
            self.shared.clock.learn(date);
        }
        Ok(answer)
    }

    pub(crate) fn whose(&self, answer: &response::Parts) -> Whose {
        let Shared {
            meter,
            keys,
            outbox,
            ..
        } = &*self.shared;
        let whose = attribute::by_answer(meter, keys, self.key, answer.status, &answer.headers);
        if let Some(id) = &self.organization
            && attribute::learn_alias(meter, &whose, id, answer)
        {
            outbox.alias(&whose.organization, id);
        }
        whose
    }

    /// A JSON answer: its head waits for its verdict, within limits. What only calls itself so, and is a stream, goes on as
    /// one.
    async fn held(
        &self,
        (mut head, body): (response::Parts, UpstreamBody),
        mut under_way: Box<CallUnderWay>,
        edit: Option<Box<Edit>>,
        settings: &Settings,
    ) -> Response<AnswerBody> {
        let mut reserved = self.shared.answer_memory.reserve();
        let patience = Patience {
            most: settings.held_answer_bytes,
            most_together: settings.held_answers_total,
            time: settings.held_answer_time,
        };
        match hold::hold(body, &mut under_way, &mut reserved, &patience).await {
            Held::Whole { bytes, sized } => {
                forward::answer_head(&mut head, false);
                let came = Instant::now();
                let ours = under_way.ours();
                let settled = under_way.settle_before_head(End::Complete).await;
                settled.tags().put_on(&mut head);
                self.shared.figures.overhead.observe(ours + came.elapsed());
                Response::from_parts(head, AnswerBody::whole(bytes, sized, Some(reserved)))
            }
            Held::Partial { early, rest, broke } => {
                let edit = edit.filter(|_| under_way.form_seen() != Some(Form::Json));
                forward::answer_head(&mut head, edit.is_some());
                let passage = Passage {
                    upstream: rest,
                    early,
                    reserved: Some(reserved),
                    broke,
                    edit,
                    comment: false,
                };
                Self::streamed(head, under_way, passage)
            }
        }
    }

    /// An answer that is read while it passes: its head says what can be said before.
    fn streamed(
        mut head: response::Parts,
        mut under_way: Box<CallUnderWay>,
        passage: Passage,
    ) -> Response<AnswerBody> {
        let opened = under_way.head();
        opened.tags().put_on(&mut head);
        let body = MeteredBody::new(under_way, passage);
        Response::from_parts(head, AnswerBody::metered(body))
    }

    /// No answer came. What was sent may have been carried out: then the call is settled as unknown.
    async fn unanswered(under_way: Box<CallUnderWay>, error: &NotSent) -> Ending {
        let refusal = Self::refusal(error);
        if matches!(refusal, Refusal::Broke { .. }) {
            under_way.settle_before_head(End::UpstreamFailed).await;
            return Ending {
                refusal,
                verdict: Verdict::Unknown,
                reason: Reason::UpstreamBroke,
            };
        }
        under_way.dismiss();
        refusal.into()
    }

    pub(crate) fn refusal(error: &NotSent) -> Refusal {
        match error {
            NotSent::Head(error) => Refusal::Head(error.clone()),
            NotSent::Switched => Refusal::Broke {
                cause: "upstream switched protocols unasked".into(),
            },
            NotSent::Upstream(error) => {
                let cause = error.to_string().into();
                match error {
                    // The body we passed on broke off, so upstream never had a whole request.
                    SendError::Broke {
                        source: broke @ Break::Body(_),
                        ..
                    } => Refusal::unfinished(broke),
                    SendError::Broke { sent: true, .. } => Refusal::Broke { cause },
                    error if error.is_timeout() => Refusal::TimedOut { cause },
                    error => Refusal::unreachable(error),
                }
            }
        }
    }
}

/// Why no answer came.
pub(crate) enum NotSent {
    Head(crate::heads::hop_by_hop::ProtectedHeader),
    Upstream(SendError),
    /// The answer speaks another protocol, which nobody asked for.
    Switched,
}

/// Images and audio are never held: megabytes for a few numbers.
fn is_held(endpoint: Metered) -> bool {
    !matches!(
        endpoint,
        Metered::ImageGenerations | Metered::ImageEdits | Metered::Speech
    )
}

/// How often an OpenAI SDK has sent this call before.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) fn request_id(headers: &HeaderMap) -> Option<Box<str>> {
    attribute::name(headers, &REQUEST_ID).map(Into::into)
}

pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
