//! A settled call as the ledger keeps it, and a kept one as the look-up shows it. Knows nothing of how either
//! travels.

use ledger::{Row, SettledCall, Slack, Tokens};
use meter::{
    Assumptions, Certainty, Day, Dollars, Reason, Rules, Settlement, SlackSource, Span, Usage,
    Verdict,
};

use crate::attribute::Whose;
use crate::call_id::CallId;
use crate::keys::KeyHash;
use crate::look_up::recent::{Names, Outcome, RecentCall};
use crate::tags::{Allowance, Tags};

/// What of a call stands in its row beside the settlement.
pub(crate) struct Facts<'a> {
    pub(crate) call: &'a CallId,
    pub(crate) response_id: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    /// Unix milliseconds.
    pub(crate) began_at: i64,
    /// Unix milliseconds.
    pub(crate) settled_at: i64,
    pub(crate) whose: &'a Whose,
    pub(crate) key: Option<KeyHash>,
    pub(crate) endpoint: &'static str,
    pub(crate) model_asked: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) stream: bool,
    /// 0: no answer came.
    pub(crate) status: u16,
    pub(crate) client: Option<&'a str>,
}

/// Tokens of one usage, named as the ledger names them.
fn tokens(usage: Usage) -> Tokens {
    Tokens {
        input: usage.input,
        cached_input: usage.cached_input,
        cache_write: usage.cache_write,
        output: usage.output,
        reasoning: usage.reasoning,
    }
}

/// The usage of tokens that were kept.
fn usage(tokens: &Tokens) -> Usage {
    Usage {
        input: tokens.input,
        cached_input: tokens.cached_input,
        cache_write: tokens.cache_write,
        output: tokens.output,
        reasoning: tokens.reasoning,
        // Prices are reckoned when a call is settled, not from what was kept.
        audio: 0,
    }
}

/// An amount in picodollars; above 18 million dollars it is that.
fn picodollars(amount: Dollars) -> u64 {
    u64::try_from(amount.picodollars()).unwrap_or(u64::MAX)
}

/// The row of a settled call.
pub(crate) fn row<'a>(
    facts: &Facts<'a>,
    settlement: &Settlement,
    rules: &'a Rules,
) -> SettledCall<'a> {
    let slack = (settlement.slack != Some(0)).then(|| Slack {
        source: settlement.slack_source.assumption().as_str().into(),
        at_most: settlement.slack,
        any_group: settlement.slack_in_every_group,
    });
    SettledCall {
        call: facts.call.as_str().into(),
        response_id: facts.response_id.map(Into::into),
        request_id: facts.request_id.map(Into::into),
        began_at: facts.began_at,
        settled_at: facts.settled_at,
        day: settlement.day.number(),
        organization: facts.whose.organization.name().into(),
        project: facts.whose.project.as_deref().map(Into::into),
        key_hash: facts.key.map(KeyHash::bytes),
        endpoint: facts.endpoint.into(),
        model_asked: facts.model_asked.map(Into::into),
        model: facts.model.map(Into::into),
        service_tier: facts.service_tier.map(Into::into),
        stream: facts.stream,
        status: facts.status,
        client: facts.client.map(Into::into),
        group: settlement
            .group
            .map(|group| (&*rules.offer().group(group).name).into()),
        usage: settlement.usage.map(tokens),
        span: settlement.span.map(|span| (span.before, span.after)),
        fitted: settlement.fitted,
        slack,
        allowance: settlement.allowance,
        remaining: settlement.remaining,
        verdict: settlement.verdict.as_str().into(),
        certainty: settlement
            .certainty
            .map(|certainty| certainty.as_str().into()),
        assumes: if settlement.assumes.is_empty() {
            "".into()
        } else {
            settlement.assumes.to_string().into()
        },
        reason: settlement.reason.as_str().into(),
        ours: settlement.ours.as_str().into(),
        payer: settlement.payer.map(|payer| payer.as_str().into()),
        disputed: settlement.disputed,
        straddles: settlement.straddles,
        cost: settlement.cost.map(picodollars),
        saved: settlement.saved.map(picodollars),
        standing_shown: facts.whose.may_know,
    }
}

/// The settlement that a kept row tells of which went by an estimate; `None` for a row of words that nobody of ours
/// wrote.
pub(crate) fn estimate(call: &SettledCall<'_>, rules: &Rules) -> Option<Settlement> {
    let group = call.group.as_deref();
    let slack = call.slack.as_ref();
    let dollars = |amount: Option<u64>| amount.map(|amount| Dollars(amount.into()));
    Some(Settlement {
        day: Day::of_number(call.day),
        group: group.and_then(|group| rules.offer().group_named(group)),
        usage: call.usage.as_ref().map(usage),
        span: call.span.map(|(before, after)| Span { before, after }),
        fitted: call.fitted,
        slack: slack.map_or(Some(0), |slack| slack.at_most),
        slack_source: match slack {
            Some(slack) => SlackSource::of_word(&slack.source)?,
            None => SlackSource::UnknownCalls,
        },
        slack_in_every_group: slack.is_some_and(|slack| slack.any_group),
        verdict: Verdict::of_word(&call.verdict)?,
        certainty: call.certainty.as_deref().and_then(Certainty::of_word),
        assumes: Assumptions::of_words(&call.assumes),
        reason: Reason::of_word(&call.reason)?,
        ours: Verdict::of_word(&call.ours)?,
        // Who was sent no usage was sent no word on who pays.
        payer: None,
        payer_differs: false,
        unlisted_but_free: false,
        disputed: call.disputed,
        straddles: call.straddles,
        allowance: call.allowance,
        remaining: call.remaining,
        cost: dollars(call.cost),
        saved: dollars(call.saved),
    })
}

/// A kept call as the look-up shows it; `None` for a row of words that nobody of ours wrote.
pub(crate) fn kept(row: Row) -> Option<RecentCall> {
    let call = row.call;
    let day = Day::of_number(call.day);
    let allowance = match (call.group, call.allowance, call.remaining) {
        (Some(group), Some(tokens), Some(remaining)) if call.standing_shown => Some(Allowance {
            group: group.as_ref().into(),
            tokens,
            remaining,
            reset: day.end(),
            now: call.settled_at.div_euclid(1000),
        }),
        _ => None,
    };
    let dollars = |amount: Option<u64>| amount.map(|amount| Dollars(amount.into()));
    let usage = call.usage.as_ref().map(usage);
    let outcome = Outcome {
        tags: Tags {
            call: CallId::of_text(&call.call)?,
            verdict: Verdict::of_word(&call.verdict)?,
            certainty: call.certainty.as_deref().and_then(Certainty::of_word),
            assumes: Assumptions::of_words(&call.assumes),
            reason: Some(Reason::of_word(&call.reason)?),
            usage,
            allowance,
            cost: dollars(call.cost),
            saved: dollars(call.saved),
            disputed: call.disputed,
            recorded: true,
        },
        response_id: call.response_id.map(|id| id.as_ref().into()),
        model: call
            .model
            .or(call.model_asked)
            .map(|model| model.as_ref().into()),
    };
    let names = Names {
        endpoint: call.endpoint.into_owned().into(),
        request_id: call.request_id.map(|id| id.as_ref().into()),
        begun_as: None,
        key: None,
    };
    Some(RecentCall::kept(names, outcome))
}
