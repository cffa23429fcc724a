//! How a metered call ends: settled from its reading, on its way into the ledger, then to be looked up. Knows
//! nothing of sockets.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use meter::{
    Evidence, FinishedCall, Grant, InFlight, MissingCall, Reason, Rules, Settlement, SlackSource,
    Usage,
};
use tokio::runtime::Handle;
use wire::{End, Missing, Reading, Seen};

use super::{CallUnderWay, allowance};
use crate::attribute::Whose;
use crate::call_id::CallId;
use crate::call_log;
use crate::look_up::recent::{Names, Outcome, Recent, RecentCall};
use crate::proxy::Shared;
use crate::settling::awaited::{Uncounted, Unseen};
use crate::settling::outbox::{self, Commit};
use crate::settling::row::{self, Facts};
use crate::settling::{hosted_tool_ran, served_tier};
use crate::tags::Tags;

/// A settled call on its way into the ledger.
pub(super) struct Settled {
    outcome: Outcome,
    commit: Commit,
    /// Its answer said that its usage comes later: this outcome is not the last word.
    is_awaited: bool,
}

impl Settled {
    /// Shelves the outcome, unless it is not the last word: with the head that left before, or under these names.
    fn shelve(self, on: &Recent, open: Option<&Arc<RecentCall>>, names: impl FnOnce() -> Names) {
        match open {
            _ if self.is_awaited => {}
            Some(open) => on.settle(open, self.outcome),
            None => drop(on.settled(names(), self.outcome)),
        }
    }
}

impl CallUnderWay {
    /// Settles the call before any head of it left, waits for its commit, and shelves it.
    pub(crate) async fn settle_before_head(mut self: Box<Self>, end: End) -> Arc<RecentCall> {
        if let Some(reading) = self.take_reading(end) {
            self.end(reading);
        }
        // In place: a call that is dropped meanwhile is shelved all the same.
        std::future::poll_fn(|context| self.poll_recorded(context)).await;
        let Some(settled) = self.committing.take() else {
            let outcome = Outcome {
                tags: Tags::bare(self.id, meter::Verdict::Unknown, Reason::UsageMissing),
                response_id: None,
                model: None,
            };
            return self.shared.recent.settled(self.names(), outcome);
        };
        let outcome = settled.outcome;
        if settled.is_awaited {
            self.begun_as = outcome.response_id;
            return self.shared.recent.open(self.names(), outcome.tags);
        }
        self.shared.recent.settled(self.names(), outcome)
    }

    pub(super) fn names(&self) -> Names {
        Names {
            endpoint: self.asked.endpoint.as_str().into(),
            request_id: self.request_id.clone(),
            begun_as: self.begun_as.clone(),
            key: self.caller.key,
        }
    }

    /// Settles the call, once, and says whether this was it; a later end changes nothing. Its last bytes may leave
    /// once [`poll_committed`](Self::poll_committed) is ready.
    pub(crate) fn settle(&mut self, end: End) -> bool {
        let Some(reading) = self.take_reading(end) else {
            return false;
        };
        self.end(reading);
        true
    }

    /// The same, by what another reader found.
    pub(crate) fn settle_read(&mut self, reading: Reading) {
        if !std::mem::replace(&mut self.settled, true) {
            self.end(reading);
        }
    }

    /// Ready once nothing waits for a commit; what was settled can then be looked up.
    pub(crate) fn poll_committed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_recorded(context));
        self.shelve();
        Poll::Ready(())
    }

    /// Ready once nothing waits for a commit; the outcome then says how that ended.
    fn poll_recorded(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_granted(context));
        if let Some(settled) = &mut self.committing {
            let recorded = ready!(settled.commit.poll(context));
            settled.outcome.tags.recorded = counted(&self.shared, recorded);
        }
        Poll::Ready(())
    }

    /// The last word on a stream so far: of one whose settlement is committed, the final tags.
    pub(crate) fn last_tags(&self) -> Option<&Tags> {
        Some(self.recent.as_ref()?.tags())
    }

    /// The same where nobody waits any more: a look-up tells of the settlement once it is kept, not before.
    pub(super) fn shelve_once_committed(&mut self) {
        let is_known = |settled: &mut Settled| matches!(settled.commit, Commit::Known(_));
        let Some(mut settled) = self.committing.take_if(|settled| !is_known(settled)) else {
            return self.shelve_known();
        };
        let (shared, recent) = (Arc::clone(&self.shared), self.recent.clone());
        let names = self.names();
        let shelve = async move {
            let recorded = settled.commit.recorded().await;
            settled.outcome.tags.recorded = counted(&shared, recorded);
            settled.shelve(&shared.recent, recent.as_ref(), || names);
        };
        // Without a runtime the program is ending, and nobody will ask.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(shelve);
        }
    }

    fn shelve_known(&mut self) {
        if let Some(settled) = &mut self.committing
            && let Commit::Known(recorded) = settled.commit
        {
            settled.outcome.tags.recorded = counted(&self.shared, recorded);
        }
        self.shelve();
    }

    fn shelve(&mut self) {
        if let Some(settled) = self.committing.take() {
            settled.shelve(&self.shared.recent, self.recent.as_ref(), || self.names());
        }
    }

    fn take_reading(&mut self, end: End) -> Option<Reading> {
        if std::mem::replace(&mut self.settled, true) {
            return None;
        }
        Some(match self.reader.take() {
            Some(reader) => reader.finish(end),
            None => unanswered(end),
        })
    }

    /// Settles the call from what was read of it and what it was handed.
    pub(super) fn outcome(
        &mut self,
        mut reading: Reading,
        settled_at: i64,
        rules: &Rules,
        grant: Option<Grant>,
    ) -> Settled {
        let expected = is_awaited(&reading).then(|| self.expected_tags());
        let in_flight = self.in_flight.take();
        let now = settled_at.div_euclid(1000);
        let shared = Arc::clone(&self.shared);
        let seen = reading.seen();
        let model = seen.model.as_deref().or(self.asked.model());
        let service_tier = self.service_tier(seen);
        let tokens = self.tokens(&reading, model, rules);
        let settlement = match tokens {
            Ok((usage, evidence)) => shared.meter.settle_with(
                rules,
                &FinishedCall {
                    usage,
                    evidence,
                    ..self.finished(seen, settled_at, evidence)
                },
                grant,
            ),
            Err(why) => self.settle_missing(rules, why, seen, now),
        };
        let facts = Facts {
            call: &self.id,
            response_id: seen.response_id.as_deref(),
            request_id: self.request_id.as_deref(),
            began_at: self.began_at,
            settled_at,
            whose: &self.whose,
            key: self.caller.key,
            endpoint: self.asked.endpoint.as_str(),
            model_asked: self.asked.model(),
            model,
            service_tier,
            stream: self.recent.is_some(),
            status: self.status,
            client: self.caller.client.as_deref(),
        };
        let commit = self.commit(rules, &settlement, in_flight, &facts);
        if !matches!(tokens, Ok((_, Evidence::Reported))) {
            self.await_usage(&settlement, seen);
        }
        let is_awaited = expected.is_some();
        if !is_awaited {
            let head = self.recent.as_ref().map(|recent| recent.tags().verdict);
            let endpoint = self.asked.endpoint;
            shared.figures.settled(endpoint, &settlement, head);
            call_log::settled(&facts, &settlement);
        }
        let seen = reading.seen_mut();
        Settled {
            outcome: Outcome {
                tags: expected
                    .unwrap_or_else(|| settled_tags(self.id, &self.whose, rules, &settlement, now)),
                response_id: seen.response_id.take(),
                model: (seen.model.take()).or_else(|| self.asked.model().map(Into::into)),
            },
            commit,
            is_awaited,
        }
    }

    /// What is known of the call at its end; its usage is left at nothing.
    pub(super) fn finished<'s>(
        &'s self,
        seen: &'s Seen,
        settled_at: i64,
        evidence: Evidence,
    ) -> FinishedCall<'s> {
        let (endpoint, offered) = (self.asked.endpoint, self.asked.hosted_tool());
        FinishedCall {
            organization: &self.whose.organization,
            project: self.whose.project.as_deref(),
            model: self.judged_model(seen),
            model_is_asked: seen.model.is_none(),
            service_tier: self.service_tier(seen),
            payer: seen.payer,
            hosted_tool: hosted_tool_ran(endpoint, evidence, seen.hosted_tool, offered),
            usage: Usage::default(),
            evidence,
            began: self.began(),
            at: settled_at.div_euclid(1000),
        }
    }

    /// The model that the call is judged by: the answer's, or what else is known of it.
    fn judged_model<'s>(&'s self, seen: &'s Seen) -> Option<&'s str> {
        let known = seen.model.as_deref().or(self.asked.model());
        known.or(self.asked.endpoint.model_like_all())
    }

    fn service_tier<'s>(&'s self, seen: &'s Seen) -> Option<&'s str> {
        served_tier(seen.service_tier.as_deref(), self.asked.service_tier())
    }

    /// Where the usage did not come, the response may be seen whole later.
    fn await_usage(&self, settlement: &Settlement, seen: &Seen) {
        let Some(response_id) = seen.response_id.clone() else {
            return;
        };
        let uncounted = Uncounted {
            day: settlement.day,
            group: settlement
                .group
                .filter(|_| !settlement.slack_in_every_group),
            at_most: settlement.slack,
        };
        let is_taken_back = settlement.slack_source == SlackSource::UnknownCalls;
        if let Some(share) = self.shared.share.get() {
            share.awaits(&response_id);
        }
        self.shared.awaited.put(Unseen {
            call: self.id,
            response_id: response_id.into(),
            request_id: self.request_id.clone(),
            began_at: self.began_at,
            whose: self.whose.clone(),
            key: self.caller.key,
            endpoint: self.asked.endpoint,
            model_asked: self.asked.model().map(Into::into),
            service_tier: self.service_tier(&Seen::default()).map(Into::into),
            hosted_tool: self.asked.hosted_tool(),
            stream: self.recent.is_some(),
            status: self.status,
            client: self.caller.client.clone(),
            estimated: settlement.usage.map(|_| Box::new(*settlement)),
            uncounted: Some(uncounted).filter(|_| is_taken_back && settlement.slack != Some(0)),
        });
    }

    /// Gives the settlement to the ledger; its span is taken, so the forecast goes with it.
    fn commit(
        &self,
        rules: &Rules,
        settlement: &Settlement,
        in_flight: Option<InFlight>,
        facts: &Facts<'_>,
    ) -> Commit {
        let less = in_flight.and_then(InFlight::end);
        let open = less.as_ref().map(|less| outbox::open_calls(less, rules));
        let row = row::row(facts, settlement, rules);
        self.shared.outbox.settled(row, open)
    }

    fn settle_missing(&self, rules: &Rules, why: Reason, seen: &Seen, now: i64) -> Settlement {
        self.shared.meter.settle_missing(
            rules,
            &MissingCall {
                organization: &self.whose.organization,
                project: self.whose.project.as_deref(),
                model: self.judged_model(seen),
                service_tier: self.asked.service_tier(),
                hosted_tool: self.asked.hosted_tool(),
                choices: self.asked.facts.as_ref().map_or(1, |facts| facts.choices),
                at_most: self.asked.bound(),
                why,
                began: self.began(),
                at: now,
            },
        )
    }
}

/// The tags of a settled call.
pub(crate) fn settled_tags(
    call: CallId,
    whose: &Whose,
    rules: &Rules,
    settlement: &Settlement,
    now: i64,
) -> Tags {
    let standing = settlement
        .group
        .zip(settlement.allowance)
        .zip(settlement.remaining);
    Tags {
        call,
        verdict: settlement.verdict,
        certainty: settlement.certainty,
        assumes: settlement.assumes,
        reason: Some(settlement.reason),
        usage: settlement.usage,
        allowance: allowance(whose, rules, standing, settlement.day, now),
        cost: settlement.cost,
        saved: settlement.saved,
        disputed: settlement.disputed,
        recorded: true,
    }
}

/// Whether a whole answer says of itself that its usage comes later: a background response, a run.
fn is_awaited(reading: &Reading) -> bool {
    let Reading::Missing(missing) = reading else {
        return false;
    };
    missing.why == Reason::UsageMissing
        && missing.seen.response_id.is_some()
        && missing
            .seen
            .status
            .is_some_and(|status| !status.is_terminal())
}

/// Counts a settlement that is not kept, and says whether it is.
fn counted(shared: &Shared, recorded: bool) -> bool {
    if !recorded {
        shared.figures.unrecorded.one();
    }
    recorded
}

/// No answer's head ever came, though the request went out.
fn unanswered(end: End) -> Reading {
    let why = match end {
        End::ClientGone => Reason::ClientGone,
        End::Complete | End::UpstreamFailed => Reason::UpstreamBroke,
    };
    Reading::Missing(Missing {
        why,
        seen: Seen::default(),
    })
}
