//! What a token costs the allowance: `OpenAI`'s complimentary daily tokens as pure functions and atomics.
//!
//! A call that has ended is handed to [`Meter::settle`]; what comes back says whether `OpenAI` gave its
//! tokens free, how surely that is known and what it assumes. Time is an argument, the dated offer is an
//! argument: this crate must not know a clock, a socket, a file, a format or an executor.

mod announced;
mod assumptions;
mod call;
mod correction;
mod day;
mod eligibility;
mod elsewhere;
mod forecast;
mod habits;
mod in_flight;
mod listing;
mod meter;
mod model_group;
mod offer;
mod offer_error;
mod organization;
mod price;
mod reason;
mod rules;
mod running_total;
mod settle;
mod settlement;
mod sharing;
mod slack;
mod standing;
mod sync;
mod terms;
mod totals;
mod usage;
mod verdict;

pub use announced::Announcement;
pub use assumptions::{Assumption, Assumptions};
pub use call::{CallAhead, Evidence, FinishedCall, MissingCall};
pub use correction::Correction;
pub use day::Day;
pub use elsewhere::{Grant, Portion};
pub use in_flight::{Forecast, InFlight, UnderWay};
pub use listing::Listing;
pub use meter::Meter;
pub use model_group::{GroupId, Model, ModelGroup, UsageTier};
pub use offer::{Offer, OfferParts};
pub use offer_error::OfferError;
pub use organization::{Organization, Organizations};
pub use price::{Dollars, Price, Rates};
pub use reason::Reason;
pub use rules::{AfterCrossing, Rules};
pub use running_total::{Fit, Moved, RunningTotal, Span};
pub use settle::UNNOTICED;
pub use settlement::{Expectation, Settlement};
pub use sharing::Claim;
pub use slack::{SlackParts, SlackSource};
pub use standing::{Carried, Forecasts, SlackNow, Standing};
pub use terms::{Coverage, DeclaredOrganization, SharedProjects, Terms};
pub use usage::{Payer, Usage};
pub use verdict::{Certainty, Verdict};

#[cfg(test)]
mod tests;
