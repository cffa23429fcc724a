//! HTTP on both sides of the proxy: framing, bodies, heads, when bytes pass, TLS, the way to upstream, and clients
//! that leave.
//!
//! Knows how requests and answers look on sockets; what a call costs is for others.

mod bodies;
mod client_gone;
mod messages;
mod mutated;
mod rhythm;
mod tls;
mod transparency;
mod way;
