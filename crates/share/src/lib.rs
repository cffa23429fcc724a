//! Running totals that several replicas share through Redis or Valkey: each call's span is handed out by one script
//! on the server, and each replica's own number stands there beside the sum, so that nothing is ever counted twice.
//! The only crate that knows redis. Must not know calls, HTTP or the ledger.

mod account;
mod figures;
mod key;
mod lane;
mod message;
mod pending_grant;
mod settings;
mod share;
mod sights;
mod store;

pub use figures::SharingNow;
pub use pending_grant::PendingGrant;
pub use settings::{Replica, ShareSettings, ShareSettingsError, Times};
pub use share::Share;
pub use sights::Sight;

#[cfg(test)]
mod tests;
