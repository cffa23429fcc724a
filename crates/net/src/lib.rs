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

mod connect;
mod error;
mod http1;
mod listen;
mod tls;
mod transport;
mod upgrade;

#[cfg(test)]
mod tests;

pub use connect::{
    ConnectFigures, ConnectSettings, Connector, ProxySettings, Scheme, Upstream, UpstreamBody,
};
pub use error::{Break, Cause, ConnectSettingsError, ListenError, SendError};
pub use http1::answer_head::HeadError;
pub use http1::chunked_decoder::ChunkError;
pub use http1::lines::Lines;
pub use listen::{
    ClientBody, Drain, DrainHandle, Identity, ListenFigures, ListenSettings, Listener,
    MOST_REFUSALS, PastLimit, Peer, RefusalAnswer, Renewal, TlsIdentity,
};
pub use upgrade::{Switched, Upgrade};
