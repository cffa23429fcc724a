//! What is said and heard of responses that are seen through another replica: at least once, whatever breaks meanwhile.

use std::time::Duration;

use meter::{AfterCrossing, Day, Meter};
use tokio::time::timeout;

use super::relay::{Fault, Relay};
use super::{HEALED, NOW, Replica, Server, until_it_is};
use crate::Sight;

const ID: &str = "resp_1";
const TEXT: &str = "what was seen of it";

/// A replica whose calls ask the store, and the way from it to there.
async fn replica(server: &Server, name: &str) -> (Replica, Relay) {
    let relay = Relay::to(server, Duration::ZERO).await;
    let meter = Meter::new(Day::at(NOW).start());
    let replica = Replica::at(&relay.url(), name, AfterCrossing::Billed, meter);
    until_it_is("it is in step", || replica.share.now().is_in_step).await;
    (replica, relay)
}

/// `here` waits for a response and `there` sees it, each over a way of its own, on which this breaks.
async fn heard_although(here_fails: &[(&str, Fault)], there_fails: &[(&str, Fault)]) {
    let Some(server) = Server::start() else {
        return;
    };
    let (here, here_way) = replica(&server, "here").await;
    let (there, there_way) = replica(&server, "there").await;
    for (way, faults) in [(&here_way, here_fails), (&there_way, there_fails)] {
        for (bytes, fault) in faults {
            way.fail_at(bytes, *fault);
        }
    }
    let mut heard = here.share.heard().unwrap();
    here.share.awaits(ID);
    until_it_is("the store knows who waits", || {
        server.command(&["EXISTS", "test:awaited:resp_1"]) == redis::Value::Int(1)
    })
    .await;
    there.share.saw(Sight {
        response_id: ID.into(),
        text: TEXT.to_owned(),
    });
    let text = timeout(HEALED, heard.recv()).await.expect("it is heard");
    assert_eq!(text.as_deref(), Some(TEXT));
    until_it_is("nothing is left", || {
        server.command(&["EXISTS", "test:awaited:resp_1", "test:sights:here"])
            == redis::Value::Int(0)
    })
    .await;
    assert!(here_way.has_failed() && there_way.has_failed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_says_so_again_when_nobody_answers() {
    heard_although(&[("awaited:resp_1", Fault::Swallow)], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_is_said_again_when_nobody_answers() {
    heard_although(&[], &[("awaited:resp_1", Fault::Swallow)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sight_is_lost_between_who_waits_for_it_and_its_way_there() {
    heard_although(&[], &[("RPUSH", Fault::Cut)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sight_is_lost_on_its_last_way() {
    heard_although(&[(TEXT, Fault::Cut)], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_last_is_said_before_it_leaves() {
    let Some(server) = Server::start() else {
        return;
    };
    let (here, _way) = replica(&server, "here").await;
    let (there, way) = replica(&server, "there").await;
    here.share.awaits(ID);
    until_it_is("the store knows who waits", || {
        server.command(&["EXISTS", "test:awaited:resp_1"]) == redis::Value::Int(1)
    })
    .await;
    // It is under way when the replica leaves.
    way.fail_at("awaited:resp_1", Fault::Hold(Duration::from_millis(50)));
    there.share.saw(Sight {
        response_id: ID.into(),
        text: TEXT.to_owned(),
    });
    until_it_is("it is under way", || way.has_failed()).await;
    there.share.leave(HEALED).await;
    let mut heard = here.share.heard().unwrap();
    let text = timeout(HEALED, heard.recv()).await.expect("it is heard");
    assert_eq!(text.as_deref(), Some(TEXT));
}
