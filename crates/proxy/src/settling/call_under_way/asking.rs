//! The end of a call whose span is handed out by the totals that replicas share: what was read waits until the store
//! answers, or its time is over. Knows nothing of what is settled from it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use meter::{Evidence, FinishedCall, Grant};
use share::Asked;
use wire::Reading;

use super::CallUnderWay;

/// A call's end on its way to the store.
pub(super) struct Asking {
    reading: Reading,
    /// Corrected Unix milliseconds: the day that was asked for.
    settled_at: i64,
    asked: Asked,
}

impl CallUnderWay {
    /// The call ends with this: it is settled, now or once its span is handed out.
    pub(super) fn end(&mut self, reading: &Reading) {
        let settled_at = self.shared.clock.now_milliseconds();
        match self.ask(reading, settled_at) {
            Some(asked) => {
                self.asking = Some(Box::new(Asking {
                    reading: reading.clone(),
                    settled_at,
                    asked,
                }));
            }
            None => self.committing = Some(self.outcome(reading, settled_at, None)),
        }
    }

    /// Asks for the span of a call that reported its usage, where totals are shared and the store can be asked.
    fn ask(&self, reading: &Reading, settled_at: i64) -> Option<Asked> {
        let share = self.shared.share.get()?;
        let Reading::Reported(reported) = reading else {
            return None;
        };
        let finished = FinishedCall {
            usage: reported.usage,
            evidence: Evidence::Reported,
            ..self.finished(&reported.seen, settled_at)
        };
        let claim = self
            .shared
            .meter
            .claim(&self.shared.rules.load(), &finished)?;
        share.ask(claim)
    }

    /// Ready once no store is waited for any more.
    pub(super) fn poll_granted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(asking) = &mut self.asking {
            let grant = ready!(Pin::new(&mut asking.asked).poll(context));
            self.is_granted(grant);
        }
        Poll::Ready(())
    }

    /// Nobody waits any more: what was not handed out by now is taken here.
    pub(super) fn stop_asking(&mut self) {
        if let Some(asking) = self.asking.take() {
            let grant = asking.asked.now();
            self.committing = Some(self.outcome(&asking.reading, asking.settled_at, grant));
        }
    }

    fn is_granted(&mut self, grant: Option<Grant>) {
        if let Some(asking) = self.asking.take() {
            self.committing = Some(self.outcome(&asking.reading, asking.settled_at, grant));
        }
    }
}
