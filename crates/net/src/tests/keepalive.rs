//! Signs of life that TCP asks for, as the system's table of connections tells of them.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Raw, Serving, connector, echo_path, listener, post, sending, upstream, within};
use crate::transport::KEEPALIVE_AFTER;

/// The state of a connection that is open.
const OPEN: &str = "01";
/// The timer of a connection that will be asked for a sign of life.
const KEEPALIVE: &str = "02";

/// When the connection with these ends is asked, if it is.
fn asked_in(ours: SocketAddr, theirs: SocketAddr) -> Option<Duration> {
    let port = |end: SocketAddr| format!(":{:04X}", end.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, from, to, state, _, timer, ..] = columns[..] else {
            return None;
        };
        let is_it = from.ends_with(&port(ours)) && to.ends_with(&port(theirs)) && state == OPEN;
        let (kind, ticks) = timer.split_once(':').filter(|_| is_it)?;
        let ticks = u64::from_str_radix(ticks, 16).unwrap();
        (kind == KEEPALIVE).then(|| Duration::from_millis(ticks * 10))
    })
}

/// Waits until it will be asked, and gives when.
async fn asked(ours: SocketAddr, theirs: SocketAddr) -> Duration {
    loop {
        if let Some(time) = asked_in(ours, theirs) {
            return time;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn who_says_nothing_is_asked_for_a_sign_of_life() {
    within(async {
        let serving = Serving::start(listener(|_| {}).await, echo_path);
        let client = Raw::connect(serving.address).await;
        let ends = (serving.address, client.stream.local_addr().unwrap());
        assert!(asked(ends.0, ends.1).await <= KEEPALIVE_AFTER);

        let (listener, settings) = upstream().await;
        let _answer = sending(&connector(settings), post("/", "one"));
        let mut far = Raw::accept(&listener).await;
        far.until("one").await;
        let ends = (far.stream.peer_addr(), far.stream.local_addr());
        assert!(asked(ends.0.unwrap(), ends.1.unwrap()).await <= KEEPALIVE_AFTER);
    })
    .await;
}
