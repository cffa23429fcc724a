//! What a start goes on from. Must not know SQL.

/// What a start goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Nothing before this was counted, Unix milliseconds; of a new or replaced ledger: now.
    pub began_at: i64,
    /// The last stop was a clean one.
    pub was_clean: bool,
    /// Totals of the days that may still be settled on.
    pub totals: Vec<CarriedTotal>,
    /// Organizations and their other names.
    pub aliases: Vec<(String, String)>,
    /// Keys seen with an organization, the newest 100,000.
    pub keys: Vec<SeenKey>,
    /// Organizations and when OpenAI last said that it paid for one of their calls, Unix milliseconds; of the last
    /// 31 days.
    pub paid: Vec<(String, i64)>,
}

/// One total of an organization, model group and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarriedTotal {
    /// The organization's name.
    pub organization: String,
    /// The model group's name; empty: any group.
    pub group: String,
    /// The day, in days since 1970-01-01.
    pub day: i32,
    /// The running total, in tokens.
    pub taken: u64,
    /// The other reading's total, in tokens.
    pub fitted: u64,
    /// The greatest allowance that the total was past before it was lowered.
    pub was_past: Option<u64>,
    /// Eligible calls in a row that we held free and OpenAI called the developer's.
    pub contradictions: u32,
    /// Sources and tokens that may have been taken uncounted; `None`: without limit.
    pub slack: Vec<(String, Option<u64>)>,
    /// An operator stated the day's total: what came before the ledger began is in it.
    pub stated: bool,
}

/// A key seen with an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenKey {
    /// Keyed hash of the credential.
    pub key_hash: [u8; 16],
    /// Whose it was last seen to be.
    pub organization: String,
    /// And of which project.
    pub project: Option<String>,
}

impl Restored {
    /// Of a ledger that begins now.
    pub(crate) fn empty(now_ms: i64) -> Restored {
        Restored {
            began_at: now_ms,
            was_clean: true,
            ..Restored::default()
        }
    }
}
