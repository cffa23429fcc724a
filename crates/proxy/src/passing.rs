//! Answers that settle nothing: they pass unread, or shown again and looked at on their way. Knows nothing of what a
//! call takes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode, response};
use meter::{Reason, Verdict};
use net::{ClientBody, UpstreamBody};
use wire::{Coding, Form, Metered, Shows};

use crate::asked;
use crate::bodies::answer_body::AnswerBody;
use crate::bodies::request_body::RequestBody;
use crate::bodies::sighted_body::{Sight, SightReader};
use crate::call::{Call, Ending, request_id, text};
use crate::heads::forward::{self, Accept};
use crate::look_up::recent::Names;
use crate::settling::awaited::ShownTo;
use crate::tags::Tags;

impl Call {
    /// A call whose answer settles nothing: it passes unread.
    pub(crate) async fn unmetered(
        &mut self,
        body: ClientBody,
        reason: Reason,
    ) -> Result<Response<AnswerBody>, Ending> {
        let answer = self
            .send(RequestBody::unread(body), Accept::AsAsked)
            .await
            .map_err(|error| Ending::from(Self::refusal(&error)))?;
        Ok(self.pass_unread(answer, reason))
    }

    /// An answer that shows earlier calls again: it settles nothing, unless the usage of one never came.
    pub(crate) async fn replayed(
        &mut self,
        shown: Shows,
        body: ClientBody,
    ) -> Result<Response<AnswerBody>, Ending> {
        let answer = self
            .send(RequestBody::unread(body), Accept::Readable)
            .await
            .map_err(|error| Ending::from(Self::refusal(&error)))?;
        let (head, body) = answer.into_parts();
        let form = Form::of(text(&head.headers, &CONTENT_TYPE));
        let codings = Coding::of(asked::coding_values(&head.headers));
        let shown_to = ShownTo {
            organization: self.whose(&head).organization,
            key: self.key,
        };
        let passed = self.pass_on(head, body, None, Reason::Replay);
        let codings = codings.filter(|_| passed.status().is_success());
        let reader = codings.and_then(|codings| SightReader::new(shown, form, &codings));
        let Some(reader) = reader else {
            return Ok(passed);
        };
        Ok(passed.map(|body| {
            body.sighted(Sight {
                shared: Arc::clone(&self.shared),
                shown_to,
                reader,
            })
        }))
    }

    /// Passes an answer on that nobody reads.
    pub(crate) fn pass_unread(
        &self,
        answer: Response<UpstreamBody>,
        reason: Reason,
    ) -> Response<AnswerBody> {
        let (head, body) = answer.into_parts();
        self.whose(&head);
        self.pass_on(head, body, None, reason)
    }

    /// Passes an answer on that settles nothing.
    pub(crate) fn pass_on(
        &self,
        mut head: response::Parts,
        body: UpstreamBody,
        endpoint: Option<Metered>,
        reason: Reason,
    ) -> Response<AnswerBody> {
        self.shared.figures.passed(endpoint);
        let reason = if head.status.is_success() {
            reason
        } else {
            Reason::ErrorResponse
        };
        let request_id = request_id(&head.headers);
        forward::answer_head(&mut head, false);
        let names = Names {
            endpoint: reason.as_str().into(),
            request_id,
            begun_as: None,
            key: self.key,
        };
        let tags = Tags::bare(self.id, Verdict::None, reason);
        let recent = self.shared.recent.unmetered(names, tags);
        recent.tags().put_on(&mut head);
        let body = if head.status == StatusCode::NOT_MODIFIED {
            // Its head may tell the length that one would have had.
            AnswerBody::whole(Bytes::new(), true, None)
        } else {
            AnswerBody::passing(body)
        };
        Response::from_parts(head, body)
    }
}
