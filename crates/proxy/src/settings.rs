//! What the operator may set about forwarding. Plain data; parsed elsewhere.

use std::time::Duration;

/// What becomes of a stream whose client left before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientGone {
    /// Upstream is left too, as without a proxy: what was generated is estimated.
    Cancel,
    /// It is read to its end, within limits, and settled from its usage.
    Finish,
}

impl ClientGone {
    /// The setting's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ClientGone::Cancel => "cancel",
            ClientGone::Finish => "finish",
        }
    }
}

/// The limits and switches of the proxy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ask chat and completions streams for their usage where the client did not.
    pub ask_for_usage: bool,
    /// What becomes of a stream whose client left.
    pub client_gone: ClientGone,
    /// Put the final tags into each stream, as a comment of its last event.
    pub comment: bool,
    /// Bytes of a request body up to which it is read before it is forwarded.
    pub request_inspect_bytes: usize,
    /// Bytes of request bodies held at once over all calls.
    pub request_inspect_total: usize,
    /// How long a request body may take to arrive and still be read before it is forwarded.
    pub request_inspect_time: Duration,
    /// Bytes of a JSON answer up to which its head waits for its verdict.
    pub held_answer_bytes: usize,
    /// Bytes of JSON answers held at once over all calls.
    pub held_answers_total: usize,
    /// How long after upstream's head a JSON answer's head may wait for its verdict.
    pub held_answer_time: Duration,
    /// Longest `?wait=` of the look-up.
    pub lookup_wait: Duration,
    /// Look-ups waiting at once over all keys.
    pub lookup_waits_total: usize,
    /// Look-ups waiting at once for one key.
    pub lookup_waits_per_key: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            ask_for_usage: true,
            client_gone: ClientGone::Cancel,
            comment: false,
            request_inspect_bytes: 8 << 20,
            request_inspect_total: 64 << 20,
            request_inspect_time: Duration::from_secs(5),
            held_answer_bytes: 1 << 20,
            held_answers_total: 64 << 20,
            held_answer_time: Duration::from_secs(2),
            lookup_wait: Duration::from_mins(1),
            lookup_waits_total: 1024,
            lookup_waits_per_key: 64,
        }
    }
}
