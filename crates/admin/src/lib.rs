//! What people and programs beside the calls may ask: how organizations stand, and what an operator states. What is
//! said and how it is carried are apart, so that one content serves a socket file and a port. It must not know how a
//! call is metered, nor how anything is shown.

mod api;
mod control;
mod standing;
mod total;

pub use api::{Answer, Api, Refusal, STANDING, TOTALS, Why};
pub use control::{Control, SOCKET};
pub use standing::{
    GroupStanding, InFlight, OrganizationStanding, ProxyNow, SCHEMA, SlackStanding, Standings,
};
pub use total::{StateTotal, StatedTotal};
