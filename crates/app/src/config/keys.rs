//! The keys: where each stands in the file, the variable that overrides it, and one line about it.
//!
//! It must not know how a value is read or what it defaults to.

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// `section.name`; a name alone stands at the top of the file.
    pub(crate) path: &'static str,
    /// The variable that overrides the file.
    pub(crate) variable: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
}

/// The keys of one `[[organizations]]`.
pub(crate) const ORGANIZATION: &[&str] = &[
    "name",
    "aliases",
    "usage_tier",
    "enrolled",
    "shared_projects",
    "coverage",
];

/// The keys whose values are never shown: a proxy's URL may hold a password. Their variables have
/// a second form, `..._FILE`, that names a file with the value.
pub(crate) const SECRETS: &[&str] = &["upstream.proxy", "share.url", "admin.token"];

const fn key(path: &'static str, variable: &'static str, about: &'static str) -> Key {
    Key {
        path,
        variable,
        about,
    }
}

/// Every key but those of `[[organizations]]`, in the order of the file.
#[rustfmt::skip] // one key a line reads as the table it is
pub(crate) const KEYS: &[Key] = &[
    key("listen", "TOLLFREE_LISTEN", "address and port of the proxy"),
    key("data_dir", "TOLLFREE_DATA_DIR", "folder of the ledger; off: totals are in memory"),
    key("usage_tier", "TOLLFREE_USAGE_TIER", "usage tier (1 to 5) of organizations not in the file"),
    key("enrolled", "TOLLFREE_ENROLLED", "true: they are enrolled in the offer"),
    key("shared_projects", "TOLLFREE_SHARED_PROJECTS", "projects that share with OpenAI: all, or ids with commas"),
    key("coverage", "TOLLFREE_COVERAGE", "all: all their traffic passes through here; part: not all"),
    key("listener.tls_certificate", "TOLLFREE_LISTENER_TLS_CERTIFICATE", "certificate chain (PEM) for https to the proxy"),
    key("listener.tls_key", "TOLLFREE_LISTENER_TLS_KEY", "its private key (PEM)"),
    key("listener.tls_handshake", "TOLLFREE_LISTENER_TLS_HANDSHAKE", "longest TLS handshake"),
    key("listener.most_connections", "TOLLFREE_LISTENER_MOST_CONNECTIONS", "connections open at once"),
    key("listener.head_timeout", "TOLLFREE_LISTENER_HEAD_TIMEOUT", "longest wait for a request head"),
    key("listener.idle_timeout", "TOLLFREE_LISTENER_IDLE_TIMEOUT", "longest pause between two calls of a connection"),
    key("listener.write_stall", "TOLLFREE_LISTENER_WRITE_STALL", "longest time a client reads no byte of its answer"),
    key("listener.read_stall", "TOLLFREE_LISTENER_READ_STALL", "longest time a client sends no byte of its request's body"),
    key("listener.most_head_bytes", "TOLLFREE_LISTENER_MOST_HEAD_BYTES", "longest request head"),
    key("listener.most_headers", "TOLLFREE_LISTENER_MOST_HEADERS", "most header lines of a request"),
    key("upstream.url", "TOLLFREE_UPSTREAM", "base URL of the API"),
    key("upstream.ca_file", "TOLLFREE_UPSTREAM_CA_FILE", "roots (PEM) trusted in addition to the built-in ones"),
    key("upstream.proxy", "TOLLFREE_UPSTREAM_PROXY", "HTTP proxy on the way to the API"),
    key("upstream.connect_timeout", "TOLLFREE_UPSTREAM_CONNECT_TIMEOUT", "longest wait for a connection"),
    key("upstream.idle_timeout", "TOLLFREE_UPSTREAM_IDLE_TIMEOUT", "how long an idle connection is kept"),
    key("upstream.most_idle", "TOLLFREE_UPSTREAM_MOST_IDLE", "idle connections kept"),
    key("streams.ask_for_usage", "TOLLFREE_STREAMS_ASK_FOR_USAGE", "false: streams are not asked for their usage"),
    key("streams.client_gone", "TOLLFREE_STREAMS_CLIENT_GONE", "cancel or finish a stream whose client disconnected"),
    key("streams.comment", "TOLLFREE_STREAMS_COMMENT", "true: streams end with their verdict, as a comment"),
    key("limits.request_inspect_bytes", "TOLLFREE_LIMITS_REQUEST_INSPECT_BYTES", "longest request body that is read"),
    key("limits.request_inspect_total", "TOLLFREE_LIMITS_REQUEST_INSPECT_TOTAL", "bytes of request bodies held, all calls"),
    key("limits.request_inspect_time", "TOLLFREE_LIMITS_REQUEST_INSPECT_TIME", "longest wait for a body that is read"),
    key("limits.held_answer_bytes", "TOLLFREE_LIMITS_HELD_ANSWER_BYTES", "longest JSON answer held for its verdict"),
    key("limits.held_answers_total", "TOLLFREE_LIMITS_HELD_ANSWERS_TOTAL", "bytes of answers held, all calls"),
    key("limits.held_answer_time", "TOLLFREE_LIMITS_HELD_ANSWER_TIME", "longest time an answer is held"),
    key("limits.lookup_wait", "TOLLFREE_LIMITS_LOOKUP_WAIT", "longest ?wait= of a look-up"),
    key("limits.lookup_waits_per_key", "TOLLFREE_LIMITS_LOOKUP_WAITS_PER_KEY", "look-ups waiting, per API key"),
    key("limits.lookup_waits_total", "TOLLFREE_LIMITS_LOOKUP_WAITS_TOTAL", "look-ups waiting, in all"),
    key("ledger.durability", "TOLLFREE_LEDGER_DURABILITY", "crash or power-loss: what a tagged call survives"),
    key("ledger.keep_days", "TOLLFREE_LEDGER_KEEP_DAYS", "days of calls that are kept"),
    key("share.url", "TOLLFREE_SHARE_URL", "Redis or Valkey that replicas share their totals through"),
    key("share.cluster", "TOLLFREE_SHARE_CLUSTER", "true: it is a node of a cluster"),
    key("share.prefix", "TOLLFREE_SHARE_PREFIX", "prefix of every key there"),
    key("share.ca_file", "TOLLFREE_SHARE_CA_FILE", "roots (PEM) for rediss:// instead of the built-in ones"),
    key("admin.listen", "TOLLFREE_ADMIN_LISTEN", "address and port of page, metrics and health; off: none"),
    key("admin.token", "TOLLFREE_ADMIN_TOKEN", "every reader must send it; required beyond loopback"),
    key("admin.hosts", "TOLLFREE_ADMIN_HOSTS", "names under which they are reached, with commas"),
    key("offer.file", "TOLLFREE_OFFER_FILE", "model list instead of the built-in one"),
    key("offer.after_crossing", "TOLLFREE_OFFER_AFTER_CROSSING", "billed or free-if-it-fits"),
    key("drain.keep_accepting", "TOLLFREE_DRAIN_KEEP_ACCEPTING", "on shutdown: time new connections are accepted"),
    key("drain.grace", "TOLLFREE_DRAIN_GRACE", "on shutdown: time open calls may take"),
    key("log.format", "TOLLFREE_LOG_FORMAT", "pretty or json"),
    key("log.filter", "TOLLFREE_LOG_FILTER", "which log lines: info (with one per call), or proxy=debug"),
];

/// Whether a key of this name is true or false: its line says what one of them does.
pub(crate) fn is_switch(name: &str) -> bool {
    let mut named = KEYS.iter().filter(|key| name_of(key.path) == name);
    named.any(|key| key.about.starts_with("true: ") || key.about.starts_with("false: "))
}

/// The section of a path; empty for the top of the file.
pub(crate) fn section_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

/// The name a path ends in.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}
