//! A metered call from the moment it goes upstream until it is settled: exactly once, at the latest when it
//! is dropped. Knows readings and settlements; nothing of sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meter::{
    Evidence, Expectation, FinishedCall, InFlight, MissingCall, Reason, Settlement, StreamHead,
};
use wire::{End, Metered, Missing, Reading, RequestFacts, ResponseReader, Seen, UsageAsked};

use crate::attribute::Whose;
use crate::call_id::CallId;
use crate::keys::KeyHash;
use crate::proxy::Shared;
use crate::recent::{Names, Outcome, RecentCall};
use crate::tags::{Allowance, Tags};

/// What the request said of itself.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) endpoint: Metered,
    /// What the body says; none where it could not be read.
    pub(crate) facts: Option<RequestFacts>,
    /// We asked for the usage in the client's stead.
    pub(crate) usage_asked_by_us: bool,
}

impl Asked {
    fn model(&self) -> Option<&str> {
        self.facts.as_ref()?.model.as_deref()
    }

    fn service_tier(&self) -> Option<&str> {
        self.facts.as_ref()?.service_tier.as_deref()
    }

    fn hosted_tool(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.hosted_tool)
    }

    fn bound(&self) -> Option<u64> {
        self.facts.as_ref()?.bound
    }

    /// A stream whose usage nobody asked for, so that its absence is no surprise.
    fn is_unasked(&self) -> bool {
        !self.usage_asked_by_us
            && self.facts.as_ref().is_some_and(|facts| {
                matches!(facts.usage_asked, UsageAsked::NotAsked | UsageAsked::Odd)
            })
    }
}

/// One metered call.
pub(crate) struct CallUnderWay {
    shared: Arc<Shared>,
    id: CallId,
    /// Corrected Unix seconds of the call's arrival.
    began: i64,
    asked: Asked,
    key: Option<KeyHash>,
    whose: Whose,
    /// Accounts for the call's forecast while its span is not taken.
    in_flight: Option<InFlight>,
    reader: Option<ResponseReader>,
    recent: Option<Arc<RecentCall>>,
    /// Bytes of the request's body have been asked for.
    leaving: Arc<AtomicBool>,
    settled: bool,
}

impl CallUnderWay {
    /// The call is about to be sent; `whose` is what its key tells.
    pub(crate) fn begin(
        shared: Arc<Shared>,
        id: CallId,
        asked: Asked,
        key: Option<KeyHash>,
        whose: Whose,
        leaving: Arc<AtomicBool>,
    ) -> CallUnderWay {
        let began = shared.clock.now();
        let mut call = CallUnderWay {
            shared,
            id,
            began,
            asked,
            key,
            whose,
            in_flight: None,
            reader: None,
            recent: None,
            leaving,
            settled: false,
        };
        call.enter_flight(began);
        call
    }

    /// Counts the call's forecast with its group, where organization and model tell which that is.
    fn enter_flight(&mut self, now: i64) {
        let rules = self.shared.rules.load_full();
        let head = self.stream_head(now);
        self.in_flight = self.shared.meter.begin(&rules, &head);
    }

    fn stream_head(&self, at: i64) -> StreamHead<'_> {
        StreamHead {
            organization: &self.whose.organization,
            project: self.whose.project.as_deref(),
            model: self.asked.model(),
            service_tier: self.asked.service_tier(),
            hosted_tool: self.asked.hosted_tool(),
            bound: self.asked.bound(),
            own: self.in_flight.as_ref(),
            at,
        }
    }

    /// Upstream's 2xx head is here: it says whose call it is, and `reader` reads what follows.
    pub(crate) fn answered(&mut self, whose: Whose, reader: ResponseReader) {
        let moved = whose.organization != self.whose.organization;
        self.whose = whose;
        self.reader = Some(if self.asked.is_unasked() {
            reader.not_asked()
        } else {
            reader
        });
        if moved {
            self.enter_flight(self.shared.clock.now());
        }
    }

    /// The answer settles nothing: an error, or nothing was sent.
    pub(crate) fn dismiss(mut self) {
        self.settled = true;
    }

    /// Looks at bytes of the answer as they pass.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.push(bytes);
        }
    }

    /// The stream's own end was seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.settled || self.reader.as_ref().is_some_and(ResponseReader::ended)
    }

    /// What the head may say before the usage is known; the call can be looked up from now on.
    pub(crate) fn head(&mut self, request_id: Option<Box<str>>) -> Arc<RecentCall> {
        let rules = self.shared.rules.load_full();
        let now = self.shared.clock.now();
        let expected = self.shared.meter.expect(&rules, &self.stream_head(now));
        let tags = self.head_tags(&rules, &expected, now);
        let recent = self.shared.recent.open(self.names(request_id), tags);
        self.recent = Some(Arc::clone(&recent));
        recent
    }

    fn head_tags(&self, rules: &meter::Rules, expected: &Expectation, now: i64) -> Tags {
        let standing = expected
            .group
            .zip(expected.allowance)
            .zip(expected.remaining);
        Tags {
            call: self.id,
            verdict: expected.verdict,
            certainty: expected.certainty,
            assumes: expected.assumes,
            reason: expected.reason,
            usage: None,
            allowance: self.allowance(rules, standing, meter::Day::at(now), now),
            cost: None,
            saved: None,
            disputed: false,
        }
    }

    /// The standing as the tags show it, to those who may know.
    fn allowance(
        &self,
        rules: &meter::Rules,
        standing: Option<((meter::GroupId, u64), u64)>,
        day: meter::Day,
        now: i64,
    ) -> Option<Allowance> {
        let ((group, tokens), remaining) = standing.filter(|_| self.whose.may_know)?;
        Some(Allowance {
            group: rules.offer().group(group).name.clone(),
            tokens,
            remaining,
            reset: day.end(),
            now,
        })
    }

    /// Settles the call before any head of it left, and shelves it.
    pub(crate) fn settle_before_head(
        mut self,
        end: End,
        request_id: Option<Box<str>>,
    ) -> Arc<RecentCall> {
        let names = self.names(request_id);
        let outcome = self.take_outcome(end).unwrap_or_else(|| Outcome {
            tags: Tags::bare(self.id, meter::Verdict::Unknown, Reason::UsageMissing),
            response_id: None,
            model: None,
        });
        self.shared.recent.settled(names, outcome)
    }

    fn names(&self, request_id: Option<Box<str>>) -> Names {
        Names {
            endpoint: self.asked.endpoint.as_str(),
            request_id,
            key: self.key,
        }
    }

    /// Settles the call, once, and says whether this was it; a later end changes nothing.
    pub(crate) fn settle(&mut self, end: End) -> bool {
        let Some(outcome) = self.take_outcome(end) else {
            return false;
        };
        if let Some(recent) = &self.recent {
            self.shared.recent.settle(recent, outcome);
        }
        true
    }

    fn take_outcome(&mut self, end: End) -> Option<Outcome> {
        if std::mem::replace(&mut self.settled, true) {
            return None;
        }
        let reading = match self.reader.take() {
            Some(reader) => reader.finish(end),
            None => unanswered(end),
        };
        let now = self.shared.clock.now();
        let rules = self.shared.rules.load();
        let (settlement, model, response_id) = match &reading {
            Reading::Reported(reported) => {
                let model = reported.seen.model.as_deref().or(self.asked.model());
                let settlement =
                    self.shared.meter.settle(
                        &rules,
                        &FinishedCall {
                            organization: &self.whose.organization,
                            project: self.whose.project.as_deref(),
                            model,
                            // An answer that names no tier was served in the one that was asked for.
                            service_tier: reported.seen.service_tier.as_deref().or_else(|| {
                                self.asked.service_tier().filter(|tier| *tier != "auto")
                            }),
                            payer: reported.seen.payer,
                            hosted_tool: self.asked.hosted_tool() || reported.seen.hosted_tool,
                            usage: reported.usage,
                            evidence: Evidence::Reported,
                            began: self.began,
                            at: now,
                        },
                    );
                (settlement, model, reported.seen.response_id.clone())
            }
            Reading::Missing(missing) => {
                let model = missing.seen.model.as_deref().or(self.asked.model());
                let settlement = self.settle_missing(&rules, missing, model, now);
                (settlement, model, missing.seen.response_id.clone())
            }
        };
        // The span is taken: the forecast may go.
        self.in_flight = None;
        let outcome = Outcome {
            tags: self.final_tags(&rules, &settlement, now),
            response_id,
            model: model.map(Into::into),
        };
        log(&outcome, &settlement, self.asked.endpoint);
        Some(outcome)
    }

    fn settle_missing(
        &self,
        rules: &meter::Rules,
        missing: &Missing,
        model: Option<&str>,
        now: i64,
    ) -> Settlement {
        self.shared.meter.settle_missing(
            rules,
            &MissingCall {
                organization: &self.whose.organization,
                project: self.whose.project.as_deref(),
                model,
                service_tier: self.asked.service_tier(),
                hosted_tool: self.asked.hosted_tool(),
                choices: self.asked.facts.as_ref().map_or(1, |facts| facts.choices),
                at_most: self.asked.bound(),
                why: missing.why,
                began: self.began,
                at: now,
            },
        )
    }

    fn final_tags(&self, rules: &meter::Rules, settlement: &Settlement, now: i64) -> Tags {
        let standing = settlement
            .group
            .zip(settlement.allowance)
            .zip(settlement.remaining);
        Tags {
            call: self.id,
            verdict: settlement.verdict,
            certainty: settlement.certainty,
            assumes: settlement.assumes,
            reason: Some(settlement.reason),
            usage: settlement.usage,
            allowance: self.allowance(rules, standing, settlement.day, now),
            cost: settlement.cost,
            saved: settlement.saved,
            disputed: settlement.disputed,
        }
    }
}

impl Drop for CallUnderWay {
    /// Whoever drops a call before its end was left by the client. A request of which nothing has left cannot have
    /// been carried out.
    fn drop(&mut self) {
        if self.reader.is_some() || self.leaving.load(Ordering::Relaxed) {
            self.settle(End::ClientGone);
        }
    }
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

/// One line for what an operator should see at once; each call at debug level.
fn log(outcome: &Outcome, settlement: &Settlement, endpoint: Metered) {
    let tags = &outcome.tags;
    tracing::debug!(
        call = %tags.call,
        endpoint = endpoint.as_str(),
        model = outcome.model.as_deref(),
        verdict = tags.verdict.as_str(),
        reason = settlement.reason.as_str(),
        tokens = settlement.usage.map(|usage| usage.tokens()),
        "settled"
    );
    if matches!(
        settlement.reason,
        Reason::UsageMissing | Reason::UnreadableBody
    ) {
        tracing::warn!(
            call = %tags.call,
            endpoint = endpoint.as_str(),
            reason = settlement.reason.as_str(),
            "an answer brought no usage that can be believed: the call is unknown"
        );
    }
    if settlement.unlisted_but_free {
        tracing::warn!(
            call = %tags.call,
            model = outcome.model.as_deref(),
            "OpenAI paid for a model that is not on the list. help: tollfree offer says where to put a newer list"
        );
    }
    if settlement.payer_differs {
        tracing::warn!(
            call = %tags.call,
            ours = settlement.ours.as_str(),
            "OpenAI's own word differs from the verdict. help: check usage tier, enrolment and coverage in the configuration"
        );
    }
}
