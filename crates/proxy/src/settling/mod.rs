//! How a call is settled: once, when it ends, into the ledger; and where its usage was not seen, once more when it is. It
//! must not know how its bytes travel.

pub(crate) mod awaited;
pub(crate) mod call_under_way;
pub(crate) mod first_sight;
pub(crate) mod learned;
pub(crate) mod outbox;
pub(crate) mod row;
pub(crate) mod sight;

use meter::Evidence;
use wire::Metered;

/// The service tier that a call was served in: the answer's, and the one asked for where that names none. `auto` names
/// none.
fn served_tier<'t>(answered: Option<&'t str>, asked: Option<&'t str>) -> Option<&'t str> {
    let named = |tier: &&str| *tier != "auto";
    answered.filter(named).or(asked.filter(named))
}

/// Whether a hosted tool ran: as the answer shows, and where it cannot show that none did, as the request offered.
fn hosted_tool_ran(endpoint: Metered, evidence: Evidence, shown: bool, offered: bool) -> bool {
    let shows_all = evidence == Evidence::Reported && endpoint.shows_tools();
    shown || (offered && !shows_all)
}
