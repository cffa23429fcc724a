//! Sockets and TLS: [`Listener`] takes calls in, [`Connector`] sends them upstream, [`Drain`] ends both in good order.
//!
//! This crate knows HTTP's framing and nothing of what is inside: it must not know `OpenAI`, tokens, tags or config
//! files, and reads no environment. Whatever it needs to know comes in as settings.
//!
//! The path of a call holds two ideas worth knowing before reading:
//! - An upstream connection has no task of its own. Whoever awaits its answer drives it, so a call runs from the
//!   client's socket to upstream's and back inside one task, without hand-over and without wake-ups between tasks.
//! - Deadlines of a client's connection (silent head, idle, stalled writer) share one timer that no call touches: a
//!   call only writes down when things happened (`watch`), the timer looks at it from time to time.

mod answer_head;
mod answer_out;
mod body;
mod chunks;
mod client_body;
mod connect;
mod connection;
mod dial;
mod drain;
mod error;
mod head;
mod http1;
mod left;
mod line;
mod listen;
mod origins;
mod outgoing;
mod pool;
mod request_head;
mod request_out;
mod tls;
mod transport;
mod tunnel;
mod unread;
mod upgrade;
mod warm;
mod watch;
mod watched;

#[cfg(test)]
mod tests;

pub use answer_head::HeadError;
pub use body::UpstreamBody;
pub use chunks::ChunkError;
pub use client_body::ClientBody;
pub use connect::{ConnectFigures, ConnectSettings, Connector, ProxySettings, Scheme, Upstream};
pub use connection::Peer;
pub use drain::{Drain, DrainHandle};
pub use error::{Break, Cause, ConnectSettingsError, ListenError, SendError};
pub use listen::{ListenFigures, ListenSettings, Listener, RefusalAnswer, TlsIdentity};
pub use upgrade::{Switched, Upgrade};
