//! Lines of HTTP/1.1 as suites about framing write them by hand, and a proxy between them and an upstream that always says
//! the same. It must not know what is tried with them.

use std::time::Duration;

use crate::proxy::{Proxy, ProxySetup};
use crate::upstream::Upstream;

/// The first line of a request with a body that nobody meters.
pub const BEGIN: &str = "POST /v1/files HTTP/1.1\r\n";
/// A good host.
pub const HOST: &str = "host: localhost\r\n";
/// A body in chunks follows.
pub const CHUNKED: &str = "transfer-encoding: chunked\r\n";
/// The end of a head, and `abc` in chunks.
pub const CHUNKS: &str = "\r\n3\r\nabc\r\n0\r\n\r\n";
/// A whole answer.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
/// The longest that a connection that must be closed may stay open.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy in front of an upstream that always gives this answer.
pub async fn between(answer: &[u8]) -> (Upstream, Proxy) {
    let upstream = Upstream::constant(answer).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    (upstream, proxy)
}
