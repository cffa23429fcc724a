//! Clients, upstreams and readers of the page that mean harm or know no better, and the limits that hold them.
//!
//! Knows what each side sends and sees; what the proxy keeps of it is its own affair.

#[path = "../grown/mod.rs"]
mod grown;

mod bad_input;
mod bad_usage;
mod both_sides;
mod encoded;
mod ending;
mod http2;
mod limits;
mod little;
mod page;
mod secrets;
mod sockets;
mod words;
