//! What people and programs beside the calls may ask: how organizations stand, and what an operator states. What is
//! said and how it is carried are apart, so that one content serves a socket file and a port. It must not know how a
//! call is metered, nor how anything is shown.

mod about;
mod answers;
mod api;
mod board;
mod call;
mod control;
mod csv;
mod events;
mod exposition;
mod file;
mod guard;
mod health;
mod history;
mod metrics;
mod money;
mod page;
mod query;
mod reading;
mod standing;
mod sums;
mod total;
mod web;

pub use about::About;
pub use answers::Answers;
pub use api::{Answer, Api, NO_ORGANIZATION, Refusal, STANDING, TOTALS, Why};
pub use call::{csv_header, csv_row, fields, instant, text_of};
pub use control::{Control, SOCKET};
pub use csv::{is_command, line as csv_line};
pub use file::BrokeOff;
pub use money::dollars;
pub use standing::{
    GroupStanding, InFlight, OrganizationStanding, ProxyNow, SCHEMA, Sharing, SlackStanding,
    Standings,
};
pub use sums::Amount;
pub use total::{StateTotal, StatedTotal};
pub use web::{NoRandomness, Said, Web};
