//! The end of a call whose span is handed out by the totals that replicas share: what was read waits until the store
//! answers, or its time is over. Knows nothing of what is settled from it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use meter::{Evidence, FinishedCall, Grant, Rules};
use share::PendingGrant;
use wire::Reading;

use super::CallUnderWay;

/// A call's end on its way to the store.
pub(super) struct Asking {
    asked: PendingGrant,
    end: End,
}

/// What a grant is asked for by, and settled by: no other day, no other rules.
struct End {
    reading: Reading,
    /// Corrected Unix milliseconds.
    settled_at: i64,
    rules: Arc<Rules>,
}

impl CallUnderWay {
    /// The call ends with this: it is settled, now or once its span is handed out.
    pub(super) fn end(&mut self, reading: Reading) {
        let end = End {
            reading,
            settled_at: self.shared.clock.now_milliseconds(),
            rules: self.shared.rules.load_full(),
        };
        match self.ask(&end) {
            Some(asked) => self.asking = Some(Box::new(Asking { asked, end })),
            None => self.settle_end(end, None),
        }
    }

    /// Asks for the span of a call that reported its usage, where totals are shared and the store can be asked.
    fn ask(&self, end: &End) -> Option<PendingGrant> {
        let share = self.shared.share.get()?;
        let Reading::Reported(reported) = &end.reading else {
            return None;
        };
        let finished = FinishedCall {
            usage: reported.usage,
            evidence: Evidence::Reported,
            ..self.finished(&reported.seen, end.settled_at, Evidence::Reported)
        };
        share.ask(self.shared.meter.claim(&end.rules, &finished)?)
    }

    fn settle_end(&mut self, end: End, grant: Option<Grant>) {
        let settled = self.outcome(end.reading, end.settled_at, &end.rules, grant);
        self.committing = Some(settled);
    }

    /// Ready once no store is waited for any more.
    pub(super) fn poll_granted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(asking) = &mut self.asking {
            let grant = ready!(Pin::new(&mut asking.asked).poll(context));
            if let Some(asking) = self.asking.take() {
                self.settle_end(asking.end, grant);
            }
        }
        Poll::Ready(())
    }

    /// Nobody waits any more: what was not handed out by now is taken here.
    pub(super) fn stop_asking(&mut self) {
        if let Some(asking) = self.asking.take() {
            let Asking { asked, end } = *asking;
            self.settle_end(end, asked.now());
        }
    }
}
