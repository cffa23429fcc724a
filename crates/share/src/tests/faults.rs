//! The store is killed, stopped, emptied: calls go on, say what they assume, and afterwards all is whole again.

use std::time::{Duration, Instant};

use meter::{
    AfterCrossing, Assumption, Certainty, Claim, Day, Meter, Settlement, SlackSource, Verdict,
};

use super::relay::{Fault, Relay};
use super::{HEALED, NOW, Replica, Server, in_step, until_it_is, until_sure, until_whole};
use crate::pending_grant::{Ask, PATIENCE};

/// The longest that a call may take because of the store.
const DEADLINE: Duration = Duration::from_millis(250);
/// Room for a machine that does much else.
const ROOM: Duration = Duration::from_millis(250);

async fn call_in_time(replica: &Replica, tokens: u64) -> Settlement {
    let began = Instant::now();
    let settled = replica.call("acme", tokens).await;
    assert!(began.elapsed() < DEADLINE + ROOM, "{:?}", began.elapsed());
    settled
}

fn assert_assumed(settled: &Settlement) {
    assert_eq!(settled.verdict, Verdict::Free);
    assert_eq!(settled.certainty, Some(Certainty::Assumed), "{settled:?}");
    assert!(settled.assumes.contains(Assumption::SharedTotals));
}

async fn two(server: &Server) -> Vec<Replica> {
    let replicas = in_step(server, &["a", "b"], AfterCrossing::Billed, "acme").await;
    for replica in &replicas {
        replica.call("acme", 1_000).await;
        until_sure(replica, "acme").await;
    }
    replicas
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_is_filled_again_from_what_replicas_hold() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let replicas = two(&server).await;
    server.stop();
    until_it_is("both know", || {
        replicas.iter().all(|one| !one.share.now().is_reached)
    })
    .await;
    for replica in &replicas {
        for _ in 0..20 {
            assert_assumed(&call_in_time(replica, 10).await);
        }
    }
    server.restart();
    until_whole(&server, &replicas, "acme").await;
    assert_eq!(server.totals("acme"), (2_400, 2_400));
    for replica in &replicas {
        until_sure(replica, "acme").await;
        assert_eq!(replica.share.now().losses, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_costs_no_call_more_than_the_deadline_and_counts_nothing_twice() {
    let Some(server) = Server::start() else {
        return;
    };
    let replicas = two(&server).await;
    server.signal("-STOP");
    // These are on their way when nobody reads them; the store will, later, and must not count them again.
    for replica in &replicas {
        let calls = (0..20).map(|_| call_in_time(replica, 10));
        for settled in futures_util::future::join_all(calls).await {
            assert_assumed(&settled);
        }
    }
    server.signal("-CONT");
    until_whole(&server, &replicas, "acme").await;
    assert_eq!(server.totals("acme"), (2_400, 2_400));
    for replica in &replicas {
        until_sure(replica, "acme").await;
    }
    assert_eq!(server.totals("acme"), (2_400, 2_400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_store_is_noticed_and_filled_again() {
    let Some(server) = Server::start() else {
        return;
    };
    let replicas = two(&server).await;
    server.command(&["FLUSHALL"]);
    // The first to come finds nothing: it knows that others may have counted, and says so.
    assert_assumed(&call_in_time(&replicas[0], 10).await);
    until_whole(&server, &replicas, "acme").await;
    assert_eq!(server.totals("acme"), (2_010, 2_010));
    for replica in &replicas {
        until_sure(replica, "acme").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_replica_is_gone_without_a_word_nothing_is_sure() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut replicas = two(&server).await;
    let gone = replicas.pop().unwrap();
    // As if it had died: its task ends in the middle of whatever it did.
    gone.share.abort();
    let stays = &replicas[0];
    until_it_is("it is missed", || stays.share.now().missing == 1).await;
    assert_assumed(&call_in_time(stays, 10).await);
    let meter = meter::Meter::new(super::Day::at(super::NOW).start());
    let back = Replica::with(&server, "b", AfterCrossing::Billed, meter);
    back.share.reached(super::HEALED).await;
    until_sure(stays, "acme").await;
}

#[tokio::test]
async fn a_call_waits_no_longer_than_its_patience_whoever_holds_its_place_in_line() {
    let meter = Meter::new(Day::at(NOW).start());
    let rules = super::rules(AfterCrossing::Billed);
    let claim = Claim {
        organization: meter.organizations().named("acme").unwrap(),
        group: rules.offer().group_named("small").unwrap(),
        day: Day::at(NOW),
        tokens: 7,
        allowance: super::ALLOWANCE,
    };
    let (ask, asked) = Ask::new(claim);
    assert!(asked.await.is_none());
    let waited = ask.since.elapsed();
    assert!((PATIENCE..PATIENCE + ROOM).contains(&waited), "{waited:?}");
    assert!(ask.answer.is_closed(), "nothing is handed to it any more");
}

/// One that is in step, over this way.
async fn over(relay: &Relay) -> Replica {
    let meter = Meter::new(Day::at(NOW).start());
    let replica = Replica::at(&relay.url(), "a", AfterCrossing::Billed, meter);
    replica.share.reached(HEALED).await;
    until_sure(&replica, "acme").await;
    replica
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_late_costs_its_call_and_no_other() {
    let Some(server) = Server::start() else {
        return;
    };
    let relay = Relay::to(&server, Duration::ZERO).await;
    let replica = over(&relay).await;
    for held in 1..=3 {
        // Tokens of a call that is late, as they stand in its message.
        let tokens = 4_320 + held;
        relay.fail_at(
            &format!("\r\n{tokens}\r\n"),
            Fault::Hold(Duration::from_millis(300)),
        );
        let before = replica.own("acme").0;
        assert_assumed(&call_in_time(&replica, tokens).await);
        assert!(relay.has_failed());
        // The late answer is for nobody: the next call is handed what is its own.
        until_sure(&replica, "acme").await;
        let settled = replica.call("acme", 10).await;
        assert_eq!(settled.certainty, Some(Certainty::Final), "{settled:?}");
        assert_eq!(settled.span.unwrap().before, before + tokens);
    }
    assert_eq!(replica.share.now().losses, 0, "the connection stayed");
    until_whole(&server, std::slice::from_ref(&replica), "acme").await;
}

/// More totals than one answer that is quick can be about.
const MANY: i64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beat_with_very_much_to_say_leaves_calls_their_time() {
    let Some(server) = Server::start() else {
        return;
    };
    let relay = Relay::to(&server, Duration::from_millis(5)).await;
    let replica = over(&relay).await;
    let day = Day::at(NOW);
    for number in 0..MANY {
        let organization = replica.organization(&format!("org-{number}"));
        let source = SlackSource::UncleanStop;
        (replica.meter).add_uncounted(&organization, replica.group(), day, source, Some(7));
    }
    let known = || {
        let keys = server.command(&["EVAL", "return #redis.call('KEYS', 'test:*:small')", "0"]);
        keys == redis::Value::Int(1 + MANY)
    };
    let deadline = Instant::now() + HEALED;
    let mut calls = Vec::new();
    while !known() {
        assert!(Instant::now() < deadline, "the store never knew of all");
        let settled = call_in_time(&replica, 1).await;
        calls.push(settled.certainty == Some(Certainty::Final));
    }
    let sure = calls.iter().filter(|is_final| **is_final).count();
    assert!(sure > calls.len() / 2, "{sure} of {}", calls.len());
    assert_eq!(replica.share.now().losses, 0);
}
