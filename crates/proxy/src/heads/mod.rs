//! Heads of requests and answers on their way through: which have one reading, what of them goes on, and the answers that
//! are our own. It must not know what a call takes.

pub(crate) mod clear_head;
pub(crate) mod forward;
pub(crate) mod hop_by_hop;
pub(crate) mod refusal;
