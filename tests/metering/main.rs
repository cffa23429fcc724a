//! What the program makes of each call: verdict, certainty, tokens, on every endpoint and wherever it is shown.
//!
//! Knows what goes in and what is said of it; how it is read and counted is the product's affair.

mod corpus;
mod estimates;
mod first_sight;
mod forecast;
mod lookup;
mod runs;
mod socket_bytes;
mod sockets;
mod sparse;
mod surfaces;
mod verdicts;
