//! How a call is settled: once, when it ends, into the ledger; and where its usage was not seen, once more when it is. It
//! must not know how its bytes travel.

pub(crate) mod awaited;
pub(crate) mod call_under_way;
pub(crate) mod first_sight;
pub(crate) mod learned;
pub(crate) mod outbox;
pub(crate) mod row;
pub(crate) mod sight;
