//! Connections as Prometheus reads them: how many there are, and which limit ended them. Must not know a call.

use std::fmt;

use net::{ConnectFigures, ListenFigures};

use super::{Families, tokens};

/// Those of clients, on the listener of the calls.
pub(super) fn of_clients(families: &mut Families<'_>, figures: &ListenFigures) -> fmt::Result {
    families.counter(
        "connections",
        "Connections of clients that were served",
        [(Vec::new(), figures.accepted())],
    )?;
    let closed = [
        ("over-limit", figures.over_limit()),
        ("failed-tls", figures.failed_tls()),
        ("spoke-tls", figures.spoke_tls()),
        ("slow-head", figures.slow_heads()),
        ("idle", figures.idle()),
        ("stalled-read", figures.stalled_reads()),
        ("stalled-write", figures.stalled_writes()),
        ("cut", figures.cut()),
    ];
    families.counter(
        "connections_closed",
        "Connections of clients that were closed at a limit, by which; stalled-read and stalled-write over HTTP/2 also streams alone",
        closed.map(|(reason, count)| (vec![("reason", reason)], count)),
    )?;
    families.counter(
        "accept_errors",
        "Errors of accept, such as too many open files, after which the listener paused",
        [(Vec::new(), figures.accept_errors())],
    )
}

/// Those to upstream.
pub(super) fn upstream(families: &mut Families<'_>, figures: ConnectFigures) -> fmt::Result {
    let tried = [("opened", figures.opened), ("failed", figures.failed)];
    families.counter(
        "upstream_connections",
        "Attempts to connect to upstream, by what became of them",
        tried.map(|(outcome, count)| (vec![("outcome", outcome)], count)),
    )?;
    families.counter(
        "upstream_connections_turned_away",
        "Connections to upstream that were closed because as many as are kept were idle already",
        [(Vec::new(), figures.turned_away)],
    )?;
    families.gauge(
        ("upstream_idle_connections", None),
        "Connections to upstream that wait for a call now",
        [(Vec::new(), tokens(figures.idle as u64))],
    )
}
