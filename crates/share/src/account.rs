//! What a replica remembers of one total in the store: what it reported last, what it was answered. Must not know
//! connections.

use std::sync::Arc;

use meter::{Day, GroupId, Organization, Portion};

use crate::key::Keys;
use crate::message::Message;
use crate::pending_grant::Ask;

/// Which total: an organization by the name that it had when it was reported, a group, a day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TotalKey {
    pub(crate) organization: Box<str>,
    pub(crate) group: GroupId,
    pub(crate) day: Day,
}

impl TotalKey {
    pub(crate) fn of(organization: &Organization, group: GroupId, day: Day) -> Self {
        Self {
            organization: organization.name().into(),
            group,
            day,
        }
    }
}

/// One total, as far as this replica and the store spoke of it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) organization: Organization,
    pub(crate) keys: Arc<Keys>,
    /// The version answered last; 0: none.
    pub(crate) known: u64,
    /// What the store has of this replica, by its last answer; `None`: not known.
    pub(crate) acknowledged: Option<Portion>,
    /// How often the total was stated, by the last answer.
    pub(crate) stated: Option<u64>,
    /// An operator stated it here, and the store does not know yet.
    pub(crate) is_stated: bool,
    /// The beat in which it was answered last, so that totals have their turns.
    pub(crate) answered_in: u64,
}

/// What is said of one total, and which calls wait for the answer.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) total: TotalKey,
    pub(crate) keys: Arc<Keys>,
    pub(crate) version: u64,
    pub(crate) known: u64,
    pub(crate) own: Portion,
    pub(crate) is_stated: bool,
    /// Tokens of the calls, one for each that waits.
    pub(crate) tokens: Vec<u64>,
    pub(crate) asks: Vec<Ask>,
}

impl Update {
    pub(crate) fn message<'a>(&'a self, replica: &'a str, since: i64) -> Message<'a> {
        Message {
            keys: &self.keys,
            replica,
            version: self.version,
            known: self.known,
            own: self.own,
            allowance: self.asks.first().map_or(0, |ask| ask.claim.allowance),
            since,
            is_stated: self.is_stated,
            calls: &self.tokens,
        }
    }
}
