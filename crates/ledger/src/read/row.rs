//! A row of the table `settlements`, read back. Must not know SQL.

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
}
