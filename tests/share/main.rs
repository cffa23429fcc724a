//! Replicas that share their totals by a Redis.
//!
//! Knows answers, tables, keys and bills; not how replicas speak with each other.

#[path = "../grown/mod.rs"]
mod grown;

mod midnight;
mod sights;
mod totals;
