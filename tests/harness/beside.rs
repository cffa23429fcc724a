//! The second listener of a running proxy: where it is, and what it answers.
//!
//! It must not know what the answers mean.

use std::net::SocketAddr;

use serde_json::Value;

use crate::proxy::Proxy;
use crate::raw::{self, Answer, Request};

/// The words of the log line before the listener's address.
const BEFORE: &str = "page=\"http://";

/// Where the page, the metrics and the health are.
pub fn address(proxy: &Proxy) -> SocketAddr {
    let line = proxy.wait_for_log(BEFORE);
    let after = line.split(BEFORE).nth(1).expect("an address");
    let address = after.split('/').next().expect("an address");
    address.parse().expect("an address")
}

/// What a GET of this target is answered.
pub async fn get(address: SocketAddr, target: &str) -> Answer {
    raw::exchange(address, &Request::get(target)).await
}

/// The JSON of an answer that must be 200.
pub async fn json(address: SocketAddr, target: &str) -> Value {
    let answer = get(address, target).await;
    assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.body.bytes).expect("JSON")
}
