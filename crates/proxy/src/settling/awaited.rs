//! The calls that were settled without their usage and may yet be seen whole: found by OpenAI's id of the response,
//! each once. Knows nothing of how they are seen or settled.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::{Row, SettledCall};
use meter::{Certainty, Day, GroupId, Organization, Rules, Settlement, SlackSource, Verdict};
use wire::Metered;

use super::row;
use crate::attribute::Whose;
use crate::call_id::CallId;
use crate::keys::KeyHash;

/// Calls awaited at once; beyond it the oldest is forgotten here, and found in the ledger.
const MOST_AWAITED: usize = 2_000;
/// Responses of which it is remembered that they were looked for.
const MOST_LOOKED_FOR: usize = 10_000;
/// So few that were taken are not worth looking for.
const FEW: usize = 64;
/// How long after its beginning a call is awaited, in milliseconds; then it stays unknown.
const LONGEST_WAIT: i64 = 24 * 60 * 60 * 1000;

/// A call whose usage is not known, or only as an estimate.
#[derive(Debug)]
pub(crate) struct Unseen {
    pub(crate) call: CallId,
    pub(crate) response_id: Arc<str>,
    pub(crate) request_id: Option<Box<str>>,
    /// Unix milliseconds.
    pub(crate) began_at: i64,
    pub(crate) whose: Whose,
    pub(crate) key: Option<KeyHash>,
    pub(crate) endpoint: Metered,
    pub(crate) model_asked: Option<Box<str>>,
    /// The service tier asked for, as far as it says in which one the call is served.
    pub(crate) service_tier: Option<Box<str>>,
    pub(crate) hosted_tool: bool,
    pub(crate) stream: bool,
    pub(crate) status: u16,
    pub(crate) client: Option<Box<str>>,
    /// The settlement, where it went by an estimate.
    pub(crate) estimated: Option<Box<Settlement>>,
    pub(crate) uncounted: Option<Uncounted>,
}

/// Who was shown an answer that tells of an earlier call.
#[derive(Clone, Debug)]
pub(crate) struct ShownTo {
    /// As the answer says, or as the key was last seen with.
    pub(crate) organization: Organization,
    pub(crate) key: Option<KeyHash>,
}

/// What a settlement without usage put into the slack for calls whose usage is not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uncounted {
    pub(crate) day: Day,
    /// None: every group.
    pub(crate) group: Option<GroupId>,
    /// None: without limit.
    pub(crate) at_most: Option<u64>,
}

impl Unseen {
    /// Whether an answer that was shown to these may tell of it: nobody else's answer moves it.
    pub(crate) fn is_of(&self, shown_to: &ShownTo) -> bool {
        self.whose.organization == shown_to.organization
            || (self.key.is_some() && self.key == shown_to.key)
    }

    /// Whether it is too late for it at this instant, in Unix milliseconds.
    pub(crate) fn is_given_up(&self, now: i64) -> bool {
        now.saturating_sub(self.began_at) > LONGEST_WAIT
    }

    /// The call of a row that awaits this response; `None` for any other row.
    pub(crate) fn of_row(
        row: Row,
        response_id: &str,
        whose: Whose,
        rules: &Rules,
    ) -> Option<Unseen> {
        // A row that adjusts another was seen whole.
        let is_first = row.adjusts.is_none();
        let call = row.call;
        let is_estimated = call.certainty.as_deref() == Some(Certainty::Estimated.as_str());
        let is_unknown = call.verdict == Verdict::Unknown.as_str() && call.usage.is_none();
        let is_awaited = is_first
            && (is_unknown || is_estimated)
            && call.response_id.as_deref() == Some(response_id);
        let endpoint = Metered::ALL
            .into_iter()
            .find(|endpoint| endpoint.as_str() == call.endpoint)
            .filter(|_| is_awaited)?;
        let estimated = is_estimated.then(|| row::estimate(&call, rules)).flatten();
        if is_estimated && estimated.is_none() {
            return None;
        }
        let text =
            |text: Option<std::borrow::Cow<'static, str>>| text.map(|text| text.as_ref().into());
        let uncounted = Uncounted::of_row(&call, rules);
        Some(Unseen {
            call: CallId::of_text(&call.call)?,
            response_id: response_id.into(),
            request_id: text(call.request_id),
            began_at: call.began_at,
            whose: Whose {
                project: text(call.project),
                may_know: call.standing_shown,
                ..whose
            },
            key: call.key_hash.map(KeyHash::of_bytes),
            endpoint,
            model_asked: text(call.model_asked),
            service_tier: text(call.service_tier),
            // The row does not say whether one was offered; the answer says whether one ran.
            hosted_tool: false,
            stream: call.stream,
            status: call.status,
            client: text(call.client),
            estimated: estimated.map(Box::new),
            uncounted,
        })
    }
}

impl Uncounted {
    /// What a row put there; `None` also where the offer no longer has its group, whose slack is not kept here either.
    fn of_row(call: &SettledCall<'_>, rules: &Rules) -> Option<Self> {
        let unknown_calls = SlackSource::UnknownCalls.assumption().as_str();
        let slack = call.slack.as_ref();
        let slack = slack.filter(|slack| slack.source == unknown_calls)?;
        let group = match call.group.as_deref().filter(|_| !slack.any_group) {
            Some(name) => Some(rules.offer().group_named(name)?),
            None => None,
        };
        Some(Self {
            day: Day::of_number(call.day),
            group,
            at_most: slack.at_most,
        })
    }
}

/// The calls awaited.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Boxed: a table with room for more is mostly empty.
    by_response: HashMap<Arc<str>, Box<Unseen>, ahash::RandomState>,
    /// Oldest first; some of those taken meanwhile among them, and former calls of an id that came again.
    order: VecDeque<Arc<str>>,
    /// Responses that were taken, and pairs of key and response that the ledger was asked for. By hashes that nobody
    /// outside can foresee: of two alike, one call would not be looked for in the ledger.
    looked_for: HashSet<u64, ahash::RandomState>,
    looked_for_order: VecDeque<u64>,
}

impl Awaited {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits a call.
    pub(crate) fn put(&self, unseen: Unseen) {
        let mut state = self.state();
        let id = Arc::clone(&unseen.response_id);
        // A response of this id was seen before: ids can come again.
        let hash = state.hash(&id);
        state.looked_for.remove(&hash);
        state.order.push_back(Arc::clone(&id));
        state.by_response.insert(id, Box::new(unseen));
        state.forget_taken();
        if state.order.len() > MOST_AWAITED
            && let Some(oldest) = state.order.pop_front()
            && state.awaits(&oldest)
        {
            state.by_response.remove(&oldest);
        }
    }

    /// The call that awaits this response, if it may be told of; to whoever asks first.
    pub(crate) fn take(
        &self,
        response_id: &str,
        may: impl FnOnce(&Unseen) -> bool,
    ) -> Option<Unseen> {
        let mut state = self.state();
        if !may(state.by_response.get(response_id)?) {
            return None;
        }
        let unseen = state.by_response.remove(response_id)?;
        let hash = state.hash(response_id);
        state.look_for(hash);
        Some(*unseen)
    }

    /// Whether this is the first time that this response is looked for with this key, and none of it was taken: only then
    /// the ledger may know a call that awaits it. It looks by key, so that of another key says nothing.
    pub(crate) fn is_new(&self, key: KeyHash, response_id: &str) -> bool {
        let mut state = self.state();
        let hash = state.hash((key, response_id));
        !state.looked_for.contains(&state.hash(response_id)) && state.look_for(hash)
    }
}

impl State {
    /// Most are seen whole soon: their places in the order would stay until as many others came.
    fn forget_taken(&mut self) {
        if self.order.len() > 2 * self.by_response.len() + FEW {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|id| self.awaits(id));
            self.order = order;
        }
    }

    /// Whether the call that has this place in the order is awaited: not one of the same id that came later.
    fn awaits(&self, place: &Arc<str>) -> bool {
        let unseen = self.by_response.get(place);
        unseen.is_some_and(|unseen| Arc::ptr_eq(&unseen.response_id, place))
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.by_response.hasher().hash_one(what)
    }

    fn look_for(&mut self, hash: u64) -> bool {
        if !self.looked_for.insert(hash) {
            return false;
        }
        self.looked_for_order.push_back(hash);
        if self.looked_for_order.len() > MOST_LOOKED_FOR
            && let Some(oldest) = self.looked_for_order.pop_front()
        {
            self.looked_for.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Slack;
    use meter::{AfterCrossing, Meter, ModelGroup, Offer, OfferParts, Terms};

    const KEY: KeyHash = KeyHash::of_bytes([1; 16]);

    fn unseen(response_id: &str) -> Unseen {
        Unseen {
            call: CallId::new().unwrap(),
            response_id: response_id.into(),
            request_id: None,
            began_at: 1_000,
            whose: Whose {
                organization: Meter::new(0).organizations().unknown(),
                project: None,
                may_know: false,
            },
            key: None,
            endpoint: Metered::Responses,
            model_asked: None,
            service_tier: None,
            hosted_tool: false,
            stream: false,
            status: 200,
            client: None,
            estimated: None,
            uncounted: None,
        }
    }

    /// Which groups a row of this group takes its slack back from; `None`: it takes none back.
    fn taken_back_from(group: Option<&'static str>, any_group: bool) -> Option<&'static str> {
        let offer = Offer::new(OfferParts {
            list_date: Day::of_number(20_779),
            price_date: None,
            groups: vec![ModelGroup {
                name: "small".into(),
                allowances: [1_000_000; 5],
            }],
            models: Vec::new(),
            prices: Vec::new(),
        });
        let rules = Rules::new(
            Arc::new(offer.unwrap()),
            AfterCrossing::Billed,
            Terms::default(),
            Vec::new(),
        );
        let call = SettledCall {
            group: group.map(Into::into),
            slack: Some(Slack {
                source: "unknown-calls".into(),
                at_most: Some(5),
                any_group,
            }),
            ..SettledCall::default()
        };
        let uncounted = Uncounted::of_row(&call, &rules)?;
        Some(uncounted.group.map_or("all", |_one| "its own"))
    }

    #[test]
    fn slack_is_taken_back_where_it_was_put_and_nowhere_for_a_group_that_is_gone() {
        assert_eq!(taken_back_from(Some("small"), false), Some("its own"));
        assert_eq!(taken_back_from(Some("gone"), false), None);
        assert_eq!(taken_back_from(Some("small"), true), Some("all"));
        assert_eq!(taken_back_from(None, false), Some("all"));
    }

    #[test]
    fn each_is_given_out_once_and_an_id_can_come_again() {
        let awaited = Awaited::default();
        awaited.put(unseen("resp_1"));
        assert!(awaited.take("resp_1", |_| true).is_some());
        assert!(awaited.take("resp_1", |_| true).is_none());
        assert!(
            !awaited.is_new(KEY, "resp_1"),
            "it is not looked for in the ledger either"
        );
        awaited.put(unseen("resp_1"));
        assert!(awaited.take("resp_1", |_| true).is_some());
        assert!(awaited.is_new(KEY, "resp_2") && !awaited.is_new(KEY, "resp_2"));
        assert!(
            awaited.is_new(KeyHash::of_bytes([2; 16]), "resp_2"),
            "another key found none of this one's"
        );
    }

    #[test]
    fn an_id_that_came_again_is_awaited_as_long_as_any_other() {
        let awaited = Awaited::default();
        awaited.put(unseen("again"));
        for number in 1..MOST_AWAITED {
            awaited.put(unseen(&number.to_string()));
        }
        awaited.put(unseen("again"));
        assert!(awaited.take("again", |_| true).is_some());
    }

    #[test]
    fn who_was_taken_leaves_no_trace_but_that() {
        let awaited = Awaited::default();
        awaited.put(unseen("stays"));
        for number in 0..1_000 {
            let id = number.to_string();
            awaited.put(unseen(&id));
            assert!(awaited.take(&id, |_| true).is_some());
        }
        assert!(awaited.state().order.len() <= FEW + 4);
        assert!(awaited.take("stays", |_| true).is_some());
    }

    #[test]
    fn no_more_than_the_limits_are_kept() {
        let awaited = Awaited::default();
        for number in 0..=MOST_AWAITED {
            awaited.put(unseen(&number.to_string()));
            assert!(awaited.is_new(KEY, &format!("other {number}")));
        }
        assert!(awaited.take("0", |_| true).is_none() && awaited.take("1", |_| true).is_some());
        let state = awaited.state();
        assert!(state.by_response.len() <= MOST_AWAITED && state.order.len() <= MOST_AWAITED);
        assert!(state.looked_for.len() <= MOST_LOOKED_FOR);
    }

    #[test]
    fn a_day_is_waited_and_no_longer() {
        let unseen = unseen("resp_1");
        assert!(!unseen.is_given_up(1_000 + LONGEST_WAIT));
        assert!(unseen.is_given_up(1_001 + LONGEST_WAIT));
    }
}
