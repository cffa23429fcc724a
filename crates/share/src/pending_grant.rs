//! A call that waits for its span of the shared totals. Must not know stores.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use meter::{Claim, Grant};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest that a call waits for its span, in line or on the way.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

/// On its way to the store: ends with what the call is handed, or with nothing where the store does not answer in
/// time; then the call is settled by what is known here. To drop it is to settle it here, too.
#[derive(Debug)]
pub struct PendingGrant {
    answer: oneshot::Receiver<Grant>,
    /// The call's own deadline, whatever is in line before it.
    until: Instant,
    running: Option<Pin<Box<Sleep>>>,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) claim: Claim,
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Grant>,
}

impl Ask {
    pub(crate) fn new(claim: Claim) -> (Ask, PendingGrant) {
        let (sender, answer) = oneshot::channel();
        let since = Instant::now();
        let ask = Ask {
            claim,
            since,
            answer: sender,
        };
        let asked = PendingGrant {
            answer,
            until: since + PATIENCE,
            running: None,
        };
        (ask, asked)
    }
}

impl Future for PendingGrant {
    type Output = Option<Grant>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Grant>> {
        if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(context) {
            return Poll::Ready(answer.ok());
        }
        let until = self.until;
        let running = self
            .running
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(running.as_mut().poll(context));
        Poll::Ready(self.last())
    }
}

impl PendingGrant {
    /// What it was handed up to now. What comes later is refused, so that the call is counted once.
    #[must_use]
    pub fn now(mut self) -> Option<Grant> {
        self.last()
    }

    fn last(&mut self) -> Option<Grant> {
        self.answer.close();
        self.answer.try_recv().ok()
    }
}
