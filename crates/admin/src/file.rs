//! Calls as a file, read as it is sent: no more of it is held than one page. Must not know a socket, nor what a row says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answers::Answers;
use crate::api::Answer;
use crate::call::csv_header;
use crate::history::{MOST_CALLS, Wanted};
use crate::query::{CALLS, Query};

/// Calls in one file at most.
const MOST_IN_FILE: usize = 100_000;
/// Files that are sent at once: of each a page is held for whoever reads slowly.
const MOST_FILES: usize = 32;

/// Who may read a file. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    places: Arc<Semaphore>,
}

/// The body of a file.
pub(crate) struct File {
    answers: Answers,
    wanted: Wanted,
    /// Lines to be sent before another page is read.
    ready: Option<Bytes>,
    reading: Option<Reading>,
    /// Calls that may still follow.
    left: usize,
    _place: OwnedSemaphorePermit,
}

/// Some lines, and the number below which the next ones are; `None`: there are no more.
pub(crate) type Page = (String, Option<i64>);

type Reading = Pin<Box<dyn Future<Output = Result<Page, Answer>> + Send>>;

/// A file that cannot be sent to its end.
#[derive(Debug, thiserror::Error)]
#[error("the ledger could not be read to the end of a file")]
pub struct BrokeOff;

impl Files {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_FILES)),
        }
    }

    /// The calls that are asked for. Its first page is read before anything is said, so that a ledger that cannot be read
    /// is a refusal.
    pub(crate) async fn file(&self, answers: Answers, query: &str) -> Result<File, Answer> {
        let asked = Query(query);
        asked.only(CALLS)?;
        let wanted = asked.wanted()?;
        let left = asked.limit()?.unwrap_or(MOST_IN_FILE);
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_full| {
            let why = "too many files are being read. help: try again when one is done";
            Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
        })?;
        let mut file = File {
            answers,
            wanted,
            ready: None,
            reading: None,
            left: left.clamp(1, MOST_IN_FILE),
            _place: place,
        };
        let page = file.read().await?;
        let first = csv_header() + &file.took(page);
        file.ready = Some(first.into());
        Ok(file)
    }
}

impl File {
    /// Reads the next page.
    fn read(&self) -> impl Future<Output = Result<Page, Answer>> + Send + use<> {
        let (answers, wanted) = (self.answers.clone(), self.wanted.clone());
        let at_most = MOST_CALLS.min(self.left);
        async move { answers.page(wanted, at_most).await }
    }

    /// The lines of a page that was read; the next one follows it.
    fn took(&mut self, (lines, below): Page) -> String {
        self.left = below.map_or(0, |_| self.left.saturating_sub(MOST_CALLS));
        self.wanted.filter.below = below;
        lines
    }
}

impl Body for File {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let file = &mut *self;
        if let Some(ready) = file.ready.take() {
            return Poll::Ready(Some(Ok(Frame::data(ready))));
        }
        if file.left == 0 {
            return Poll::Ready(None);
        }
        if file.reading.is_none() {
            file.reading = Some(Box::pin(file.read()));
        }
        let Some(reading) = &mut file.reading else {
            return Poll::Pending;
        };
        let read = ready!(reading.as_mut().poll(context));
        file.reading = None;
        let Ok(page) = read else {
            tracing::warn!("a file of calls broke off: the ledger cannot be read any more");
            file.left = 0;
            return Poll::Ready(Some(Err(BrokeOff)));
        };
        let lines = file.took(page);
        let more = (!lines.is_empty()).then(|| Ok(Frame::data(lines.into())));
        Poll::Ready(more)
    }
}
