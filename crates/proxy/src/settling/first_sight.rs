//! The first whole sight of a call that was settled without its usage: a background response or a run that has ended,
//! a stream that was cut. It is settled now, once, and adjusts what the ledger had of it; a verdict that went by an
//! estimate stays, and only its tokens change. Knows nothing of bodies.

use std::sync::{Arc, Weak};

use ledger::{Adjustment, DEADLINE, Entry};
use meter::{Correction, Evidence, FinishedCall, Grant, Rules, Settlement, UNNOTICED, Verdict};
use share::Sight;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::{Missing, Reported, Status};

use super::awaited::{ShownTo, Unseen};
use super::call_under_way::settled_tags;
use super::outbox::Commit;
use super::row::{self, Facts};
use super::sight::{self, Told};
use super::{hosted_tool_ran, served_tier};
use crate::attribute::Whose;
use crate::call_log;
use crate::keys::KeyHash;
use crate::look_up::recent::{Names, Outcome};
use crate::proxy::Shared;
use crate::restore;
use crate::tags::Tags;

/// Settles the calls that await these responses, as far as some do and nobody saw them before. Goes on if the sight is
/// dropped.
pub(crate) async fn seen(shared: Arc<Shared>, shown_to: ShownTo, whole: Vec<Reported>) {
    let settling = tokio::spawn(async move {
        for reported in &whole {
            if let Some(unseen) = find(&shared, &shown_to, reported).await {
                settle_and_shelve(&shared, unseen, reported).await;
            } else {
                tell_others(&shared, &shown_to, reported);
            }
        }
    });
    // The last bytes wait for it as a call's own do. Late or not, they go on.
    let _ = timeout(DEADLINE, settling).await;
}

/// The call may have begun at another replica.
fn tell_others(shared: &Shared, shown_to: &ShownTo, reported: &Reported) {
    if let (Some(share), Some(id)) = (shared.share.get(), &reported.seen.response_id) {
        share.saw(Sight {
            response_id: id.clone(),
            text: sight::text(&shown_to.organization, reported),
        });
    }
}

/// Settles the calls that other replicas saw whole, as long as any tell of them.
pub(crate) async fn told(shared: Weak<Shared>, mut heard: mpsc::Receiver<String>) {
    while let Some(text) = heard.recv().await {
        let (Some(shared), Some(told)) = (shared.upgrade(), sight::read(&text)) else {
            continue;
        };
        let Told {
            organization,
            reported,
        } = told;
        let id = reported.seen.response_id.as_deref().unwrap_or_default();
        // Keys are hashed by each replica in its own way: only the organization can be compared.
        let may = |unseen: &Unseen| {
            let organization = organization.as_deref();
            organization.is_none_or(|name| unseen.whose.organization.names().any(|own| own == name))
        };
        if let Some(unseen) = shared.awaited.take(id, may) {
            settle_and_shelve(&shared, unseen, &reported).await;
        }
    }
}

async fn settle_and_shelve(shared: &Shared, unseen: Unseen, reported: &Reported) {
    let (mut outcome, mut commit) = settle(shared, &unseen, reported).await;
    outcome.tags.recorded = commit.recorded().await;
    shelve(shared, unseen, outcome);
}

/// The call that awaits this response has ended, and will never show a usage: it stays what the ledger has, unknown.
pub(crate) fn ended(shared: &Shared, shown_to: &ShownTo, missing: &Missing) {
    let has_ended = missing.seen.status.is_some_and(Status::is_terminal);
    let id = missing.seen.response_id.as_deref().filter(|_| has_ended);
    let unseen = id.and_then(|id| shared.awaited.take(id, |unseen| unseen.is_of(shown_to)));
    // An estimate stays the last word.
    if let Some(unseen) = unseen.filter(|unseen| unseen.estimated.is_none()) {
        let outcome = Outcome {
            tags: Tags::bare(unseen.call, Verdict::Unknown, missing.why),
            response_id: Some(unseen.response_id.as_ref().into()),
            model: missing.seen.model.clone(),
        };
        shelve(shared, unseen, outcome);
    }
}

async fn find(shared: &Arc<Shared>, shown_to: &ShownTo, reported: &Reported) -> Option<Unseen> {
    let id = reported.seen.response_id.as_deref()?;
    let unseen = match shared.awaited.take(id, |unseen| unseen.is_of(shown_to)) {
        Some(unseen) => unseen,
        None => kept(shared, shown_to.key?, id).await?,
    };
    (!unseen.is_given_up(shared.clock.now_milliseconds())).then_some(unseen)
}

/// The call as the ledger has it: it began before this start, or is one of very many.
async fn kept(shared: &Arc<Shared>, key: KeyHash, response_id: &str) -> Option<Unseen> {
    let ledger = shared.outbox.ledger()?.clone();
    if !shared.awaited.is_new(key, response_id) {
        return None;
    }
    let _turn = shared.ledger_lookups.acquire().await.ok()?;
    let id: Box<str> = response_id.into();
    let search = move || ledger.find_openai_id(&key.bytes(), &id);
    let row = tokio::task::spawn_blocking(search).await.ok()??;
    let whose = Whose {
        organization: restore::named(&shared.meter, &row.call.organization)?,
        project: None,
        may_know: false,
    };
    Unseen::of_row(row, response_id, whose, &shared.rules.load())
}

async fn settle(shared: &Shared, unseen: &Unseen, reported: &Reported) -> (Outcome, Commit) {
    let rules = shared.rules.load_full();
    let settled_at = shared.clock.now_milliseconds();
    let (began, now) = (
        unseen.began_at.div_euclid(1000),
        settled_at.div_euclid(1000),
    );
    let seen = &reported.seen;
    let model = seen.model.as_deref().or(unseen.model_asked.as_deref());
    let service_tier = served_tier(seen.service_tier.as_deref(), unseen.service_tier.as_deref());
    let estimated = unseen.estimated.as_deref();
    let was_past = estimated.and_then(|former| give_back(shared, unseen, former, &rules));
    // What it may have taken uncounted is counted now.
    take_back(shared, unseen, &rules);
    let at = match estimated {
        // An estimate changes on the day that it counted on.
        Some(former) => now.min(former.day.end() - 1),
        None => completed(seen.completed_at, began, now),
    };
    let finished = FinishedCall {
        organization: &unseen.whose.organization,
        project: unseen.whose.project.as_deref(),
        model,
        model_is_asked: seen.model.is_none(),
        service_tier,
        payer: seen.payer,
        hosted_tool: hosted_tool_ran(
            unseen.endpoint,
            Evidence::Reported,
            seen.hosted_tool,
            unseen.hosted_tool,
        ),
        usage: reported.usage,
        evidence: Evidence::Reported,
        began,
        at,
    };
    let grant = handed_out(shared, &rules, &finished).await;
    let mut settlement = shared.meter.settle_with(&rules, &finished, grant);
    match estimated {
        Some(former) => keep_verdict(&mut settlement, former),
        None => shared.figures.settled(unseen.endpoint, &settlement, None),
    }
    let facts = facts(unseen, model, service_tier, settled_at);
    let entry = adjustment(&facts, &settlement, estimated, was_past, &rules);
    let commit = shared.outbox.keep(&[entry]);
    call_log::settled(&facts, &settlement);
    let outcome = Outcome {
        tags: settled_tags(unseen.call, &unseen.whose, &rules, &settlement, now),
        response_id: Some(unseen.response_id.as_ref().into()),
        model: model.map(Into::into),
    };
    (outcome, commit)
}

/// When the call ended, by OpenAI's clock where that can be (all in seconds since 1970-01-01 UTC): its word is not
/// believed of a time before the call or still to come. A short call can have ended, by OpenAI's clock, before it began by
/// ours.
fn completed(told: Option<i64>, began: i64, now: i64) -> i64 {
    told.filter(|at| (began - UNNOTICED..=now).contains(at))
        .unwrap_or(now)
}

/// The span of the call, where totals are shared and the store hands it out.
async fn handed_out(shared: &Shared, rules: &Rules, call: &FinishedCall<'_>) -> Option<Grant> {
    let share = shared.share.get()?;
    share.ask(shared.meter.claim(rules, call)?)?.await
}

fn take_back(shared: &Shared, unseen: &Unseen, rules: &Rules) {
    let Some(uncounted) = unseen.uncounted else {
        return;
    };
    let correction = Correction {
        tokens: 0,
        fitted: false,
        slack: uncounted.at_most,
    };
    let groups = rules.offer().groups().map(|(group, _)| group);
    for group in groups.filter(|group| uncounted.group.is_none_or(|only| only == *group)) {
        let organization = &unseen.whose.organization;
        shared
            .meter
            .correct(rules, organization, group, uncounted.day, &correction);
    }
}

/// What stands in the row beside the settlement: what the first one said, and what is known better.
fn facts<'a>(
    unseen: &'a Unseen,
    model: Option<&'a str>,
    service_tier: Option<&'a str>,
    settled_at: i64,
) -> Facts<'a> {
    Facts {
        call: &unseen.call,
        response_id: Some(&unseen.response_id),
        request_id: unseen.request_id.as_deref(),
        began_at: unseen.began_at,
        settled_at,
        whose: &unseen.whose,
        key: unseen.key,
        endpoint: unseen.endpoint.as_str(),
        model_asked: unseen.model_asked.as_deref(),
        model,
        service_tier,
        stream: unseen.stream,
        status: unseen.status,
        client: unseen.client.as_deref(),
    }
}

/// Takes an estimate off the running total again. Returns the allowance that the total was past, if it was.
fn give_back(shared: &Shared, unseen: &Unseen, former: &Settlement, rules: &Rules) -> Option<u64> {
    let organization = &unseen.whose.organization;
    let (group, tokens) = former.group.zip(taken(former))?;
    let standing = shared
        .meter
        .standing(rules, organization, group, former.day);
    let correction = Correction {
        tokens: -tokens,
        fitted: former.fitted,
        slack: Some(0),
    };
    shared
        .meter
        .correct(rules, organization, group, former.day, &correction);
    Some(standing.allowance).filter(|allowance| standing.taken > *allowance)
}

/// What a settlement took of the running total.
fn taken(settlement: &Settlement) -> Option<i64> {
    let span = settlement.span?;
    Some(i64::try_from(span.after - span.before).unwrap_or(i64::MAX))
}

/// No settled verdict is changed: only the tokens and what they cost are known better.
fn keep_verdict(settlement: &mut Settlement, former: &Settlement) {
    if settlement.verdict != former.verdict {
        std::mem::swap(&mut settlement.cost, &mut settlement.saved);
    }
    *settlement = Settlement {
        verdict: former.verdict,
        certainty: former.certainty,
        assumes: former.assumes,
        reason: former.reason,
        ours: former.ours,
        disputed: former.disputed,
        ..*settlement
    };
}

/// The row that counts from now on in place of the one without usage, or with an estimate of it.
fn adjustment<'a>(
    facts: &Facts<'a>,
    settlement: &Settlement,
    former: Option<&Settlement>,
    was_past: Option<u64>,
    rules: &'a Rules,
) -> Entry<'a> {
    let now = taken(settlement).unwrap_or(0);
    let before = former.and_then(taken).unwrap_or(0);
    let if_fitted = |tokens: i64, fitted: bool| if fitted { tokens } else { 0 };
    let fitted_before = former.map_or(0, |former| if_fitted(before, former.fitted));
    let mut row = row::row(facts, settlement, rules);
    // What an adjusting row takes is its change.
    row.span = None;
    Entry::Adjusted(Adjustment {
        row,
        adjusts: facts.call.as_str().into(),
        change: now - before,
        fitted_change: if_fitted(now, settlement.fitted) - fitted_before,
        was_past,
    })
}

/// The call as it is looked up from now on.
fn shelve(shared: &Shared, unseen: Unseen, outcome: Outcome) {
    match shared.recent.find(unseen.call.as_str()) {
        Some(open) if open.outcome().is_none() => shared.recent.settle(&open, outcome),
        _ => {
            let names = Names {
                endpoint: unseen.endpoint.as_str().into(),
                request_id: unseen.request_id,
                begun_as: None,
                key: unseen.key,
            };
            shared.recent.settled(names, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::completed;

    #[test]
    fn openai_is_believed_when_a_call_ended_as_far_as_clocks_agree() {
        for told in [1_000, 1_500, 999, 997] {
            assert_eq!(completed(Some(told), 1_000, 2_000), told);
        }
        for told in [Some(996), Some(2_001), None] {
            assert_eq!(completed(told, 1_000, 2_000), 2_000);
        }
    }
}
