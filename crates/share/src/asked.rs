//! A call that waits for its span of the shared totals. Must not know stores.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use meter::{Claim, Grant};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// On its way to the store: ends with what the call is handed, or with nothing where the store does not answer in
/// time; then the call is settled by what is known here. To drop it is to settle it here, too.
#[derive(Debug)]
pub struct Asked(pub(crate) oneshot::Receiver<Grant>);

/// The other end.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) claim: Claim,
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Grant>,
}

impl Future for Asked {
    type Output = Option<Grant>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Grant>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

impl Asked {
    /// What it was handed up to now. What comes later is refused, so that the call is counted once.
    #[must_use]
    pub fn now(mut self) -> Option<Grant> {
        self.0.close();
        self.0.try_recv().ok()
    }
}
