//! The script by itself: a message counts once, whenever and however often it arrives.

use meter::{Day, Portion};

use super::{ALLOWANCE, NOW, Server};
use crate::ShareSettings;
use crate::key::Keys;
use crate::message::{Answer, Message, Reply};
use crate::store::Store;

pub(super) async fn store(url: &str, replica: &str) -> Store {
    let settings = ShareSettings {
        url: url.to_owned(),
        cluster: false,
        prefix: "test:".to_owned(),
        roots: None,
        times: super::TIMES,
    };
    Store::connect(&settings, replica).await.unwrap()
}

fn keys() -> Keys {
    Keys::of("test:", "acme", "small", Day::at(NOW))
}

pub(super) fn message<'a>(
    keys: &'a Keys,
    replica: &'a str,
    version: u64,
    calls: &'a [u64],
) -> Message<'a> {
    Message {
        keys,
        replica,
        version,
        known: 0,
        own: Portion::default(),
        allowance: ALLOWANCE,
        since: NOW,
        is_stated: false,
        calls,
    }
}

async fn answered(store: &Store, message: Message<'_>) -> Reply {
    match store.send(&[message]).await.unwrap().remove(0) {
        Answer::Now(reply) => *reply,
        Answer::Outdated(version) => panic!("outdated by {version}"),
    }
}

#[tokio::test]
async fn a_message_counts_once_however_often_and_late_it_comes() {
    let Some(server) = Server::start() else {
        return;
    };
    let (keys, store) = (keys(), store(&server.url(), "a").await);
    let first = message(&keys, "a", 10, &[100, 20]);
    let spans = answered(&store, first.clone()).await.spans;
    assert_eq!((spans[0].0.before, spans[1].0.after), (0, 120));
    // The same again: nothing is done.
    let again = store.send(&[first]).await.unwrap();
    assert_eq!(again, [Answer::Outdated(10)]);
    // Nobody heard the answer, and the calls were settled elsewhere as one of 7: that holds.
    let own = Portion {
        taken: 7,
        fitted: 7,
        ..Portion::default()
    };
    let second = Message {
        own,
        ..message(&keys, "a", 12, &[])
    };
    answered(&store, second).await;
    assert_eq!(server.totals("acme"), (7, 7));
    // What was sent before it and comes after it is too late.
    let late = store.send(&[message(&keys, "a", 11, &[1_000])]).await;
    assert_eq!(late.unwrap(), [Answer::Outdated(12)]);
    assert_eq!(server.totals("acme"), (7, 7));
}

#[tokio::test]
async fn both_readings_are_kept_and_large_numbers_stay_exact() {
    let Some(server) = Server::start() else {
        return;
    };
    let (keys, store) = (keys(), store(&server.url(), "a").await);
    let first = answered(&store, message(&keys, "a", 1, &[60_000, 50_000, 40_000])).await;
    let fits: Vec<_> = first.spans.iter().map(|(_, fit)| fit.fits).collect();
    assert_eq!(fits, [true, false, true]);
    assert_eq!(server.totals("acme"), (150_000, 100_000));
    let huge = (1_u64 << 52) - 3;
    let own = Portion {
        taken: huge,
        fitted: 5,
        ..Portion::default()
    };
    answered(
        &store,
        Message {
            own,
            ..message(&keys, "a", 2, &[])
        },
    )
    .await;
    assert_eq!(server.totals("acme"), (huge, 5));
}

#[tokio::test]
async fn a_store_that_lost_what_it_had_answered_says_that_it_is_young() {
    let Some(server) = Server::start() else {
        return;
    };
    let (keys, store) = (keys(), store(&server.url(), "a").await);
    answered(&store, message(&keys, "a", 1, &[])).await;
    server.command(&["HSET", "test:{acme}", "born", "1"]);
    let old = answered(&store, message(&keys, "a", 2, &[])).await;
    assert!(old.age > 1_000_000);
    server.command(&["DEL", &keys.total]);
    let known = Message {
        known: 2,
        ..message(&keys, "a", 3, &[])
    };
    assert_eq!(answered(&store, known).await.age, 0);
}

/// Who is here and who is missing where it is so many seconds after midnight, and another one was last heard then.
async fn present(server: &Server, seconds: i64, other_heard: i64) -> (u64, u64) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let midnight = Day::at(NOW).start();
    let key = format!("at:{seconds}:{other_heard}");
    let heard = (midnight + other_heard) * 1_000;
    let mut other = redis::cmd("ZADD");
    other.arg(&key).arg(heard).arg("other");
    let () = other.query_async(&mut connection).await.unwrap();
    // The server's own clock cannot be set.
    let clock = format!("{{{}, 0}}", midnight + seconds);
    let text = include_str!("../scripts/presence.lua").replace("redis.call('TIME')", &clock);
    let script = redis::Script::new(&text);
    let mut asking = script.prepare_invoke();
    asking.key(&key).arg("a").arg(5_000).arg(0);
    asking.invoke_async(&mut connection).await.unwrap()
}

#[tokio::test]
async fn who_fell_silent_is_missed_for_the_day_and_for_an_hour_at_least() {
    let Some(server) = Server::start() else {
        return;
    };
    assert_eq!(present(&server, 50_000, 49_998).await, (2, 0));
    assert_eq!(present(&server, 50_000, 10).await, (1, 1));
    // Just before midnight, seen from just after it; and an hour later.
    assert_eq!(present(&server, 2, -1).await, (2, 0));
    assert_eq!(present(&server, 20, -10).await, (1, 1));
    assert_eq!(present(&server, 3_580, -10).await, (1, 1));
    assert_eq!(present(&server, 3_595, -10).await, (1, 0));
}
