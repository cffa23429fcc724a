//! The way of a settlement into the ledger, and how long the last bytes of its call wait for it. Knows nothing of
//! verdicts or of HTTP.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ledger::{DEADLINE, Entry, Kept, Ledger, OpenCalls, SettledCall};
use meter::{Announcement, Organization, Rules};
use tokio::time::Timeout;

/// Where settlements go. Without a ledger nothing is kept, and nothing waits.
#[derive(Debug)]
pub(crate) struct Outbox {
    ledger: Option<Ledger>,
}

/// What became of a settlement, or will within the deadline.
pub(crate) enum Commit {
    /// Known: whether it was recorded. Without a ledger nothing is promised, and so nothing is missing.
    Known(bool),
    /// The disk is slow, or asked to be sure.
    Waiting(Pin<Box<Timeout<ledger::Commit>>>),
}

impl Commit {
    /// Whether the settlement was recorded, once that is known or the deadline is over.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self {
            Commit::Known(recorded) => Poll::Ready(*recorded),
            Commit::Waiting(commit) => commit
                .as_mut()
                .poll(context)
                .map(|recorded| recorded.unwrap_or(false)),
        }
    }

    /// The same, awaited.
    pub(crate) async fn recorded(&mut self) -> bool {
        std::future::poll_fn(|context| self.poll(context)).await
    }
}

impl Outbox {
    pub(crate) fn new(ledger: Option<Ledger>) -> Outbox {
        Outbox { ledger }
    }

    pub(crate) fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// Keeps a settled call, and with it what is still under way, if that is to be told.
    pub(crate) fn settled(&self, row: SettledCall<'_>, open: Option<OpenCalls<'_>>) -> Commit {
        match open {
            None => self.keep(&[Entry::Settled(row)]),
            Some(open) => self.keep(&[Entry::Settled(row), Entry::Open(open)]),
        }
    }

    /// Keeps what the calls under way may take; who sends one waits for [`told`](Self::told).
    pub(crate) fn open(&self, open: OpenCalls<'_>) {
        drop(self.keep(&[Entry::Open(open)]));
    }

    /// Waits until what calls under way may take is kept, where that takes a disk: what leaves after this is slack
    /// if the program dies. Not longer than the deadline, and not for a disk that refuses.
    pub(crate) async fn told(&self) {
        if let Some(Kept::Later(commit)) = self.ledger.as_ref().map(Ledger::so_far) {
            // Late or not, the call goes on.
            let _ = tokio::time::timeout(DEADLINE, commit).await;
        }
    }

    /// Keeps that two names are one organization; nobody waits for it.
    pub(crate) fn alias(&self, organization: &Organization, name: &str) {
        drop(self.keep(&[Entry::Alias {
            organization: organization.name().into(),
            name: name.into(),
        }]));
    }

    /// Keeps entries together.
    pub(crate) fn keep(&self, entries: &[Entry<'_>]) -> Commit {
        let Some(ledger) = &self.ledger else {
            return Commit::Known(true);
        };
        match ledger.keep(entries) {
            Kept::Now => Commit::Known(true),
            Kept::No => Commit::Known(false),
            Kept::Later(commit) => {
                Commit::Waiting(Box::pin(tokio::time::timeout(DEADLINE, commit)))
            }
        }
    }
}

/// An announcement of calls under way, as it is kept.
pub(crate) fn open_calls<'a>(announcement: &'a Announcement, rules: &'a Rules) -> OpenCalls<'a> {
    OpenCalls {
        organization: (&*announcement.organization).into(),
        group: (&*rules.offer().group(announcement.group).name).into(),
        day: announcement.day.number(),
        version: announcement.version,
        at_most: announcement.at_most,
    }
}
