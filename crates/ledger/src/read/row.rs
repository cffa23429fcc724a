//! A row of the table `settlements`, read back. Must not know SQL.

use meter::Verdict;

use crate::SettledCall;

/// A settled call as the ledger keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number: rows kept later have greater ones.
    pub number: i64,
    /// The call.
    pub call: SettledCall<'static>,
    /// Our id of the call whose row this one adjusts.
    pub adjusts: Option<String>,
    /// The number of the newest row that knows the call better, and counts in place of this one. Derived.
    pub counted_by: Option<i64>,
    /// The answer said that the usage comes later, and nobody has seen it yet: `unknown`, but not for good. Derived, by the
    /// clock of whoever reads.
    pub is_awaited: bool,
}

impl Row {
    /// The verdict as it is to be shown: `pending` while the call is awaited.
    #[must_use]
    pub fn verdict(&self) -> &str {
        if self.is_awaited {
            Verdict::Pending.as_str()
        } else {
            &self.call.verdict
        }
    }
}
