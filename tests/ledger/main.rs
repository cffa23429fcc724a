//! What was told survives: starts, stops, kills, failing disks, lost power and wrong clocks.
//!
//! Knows files, signals, clocks, tables and answers; not how an entry is kept.

#[path = "../grown/mod.rs"]
mod grown;

mod crash;
mod disks;
mod faults;
mod names;
mod power;
mod starts;
mod stops;
mod wrong_clock;
