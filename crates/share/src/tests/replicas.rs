//! Replicas in step: spans never overlap, the allowance is given once, what one says the others hear.

use meter::{AfterCrossing, Assumption, Certainty, Day, SlackSource, Verdict};

use super::{ALLOWANCE, NOW, Replica, Server, in_step, until_it_is, until_sure, until_whole};

/// Calls of odd sizes from every replica at once.
async fn calls(replicas: &[Replica], each: u64) -> Vec<meter::Settlement> {
    let tasks: Vec<_> = replicas
        .iter()
        .enumerate()
        .flat_map(|(place, replica)| {
            (0..each).map(move |number| {
                let replica = replica.clone();
                let tokens = 1 + (number * 37 + place as u64 * 101) % 900;
                tokio::spawn(async move { replica.call("acme", tokens).await })
            })
        })
        .collect();
    let mut settled = Vec::new();
    for task in tasks {
        settled.push(task.await.unwrap());
    }
    settled
}

async fn one_total(after_crossing: AfterCrossing) {
    let Some(server) = Server::start() else {
        return;
    };
    let replicas = in_step(&server, &["a", "b", "c"], after_crossing, "acme").await;
    let settled = calls(&replicas, 300).await;
    let mut spans: Vec<_> = settled
        .iter()
        .map(|settled| settled.span.unwrap())
        .collect();
    spans.sort_by_key(|span| span.before);
    let mut end = 0;
    for span in &spans {
        assert_eq!(span.before, end, "spans follow each other without a gap");
        end = span.after;
    }
    let free: u64 = settled
        .iter()
        .filter(|settled| settled.verdict == Verdict::Free)
        .map(|settled| settled.usage.unwrap().tokens())
        .sum();
    assert!(free <= ALLOWANCE && free > ALLOWANCE - 1_000, "{free}");
    assert!(end > ALLOWANCE, "the allowance was crossed");
    let assumed = settled
        .iter()
        .filter(|settled| settled.certainty != Some(Certainty::Final));
    assert_eq!(assumed.count(), 0);
    let crossing = settled.iter().filter(|settled| {
        let span = settled.span.unwrap();
        span.before <= ALLOWANCE && span.after > ALLOWANCE
    });
    assert_eq!(crossing.count(), 1);
    until_whole(&server, &replicas, "acme").await;
    assert_eq!(server.totals("acme").0, end);
    let granted: u64 = replicas.iter().map(|one| one.share.now().granted).sum();
    assert!(granted >= 900);
    assert_eq!(replicas[0].share.now().replicas, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_hand_out_one_total() {
    one_total(AfterCrossing::Billed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_reading_is_shared_as_well() {
    one_total(AfterCrossing::FreeIfItFits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_is_everybodys_until_a_total_is_stated() {
    let Some(server) = Server::start() else {
        return;
    };
    let replicas = in_step(&server, &["a", "b"], AfterCrossing::Billed, "acme").await;
    let [one, other] = &replicas[..] else {
        unreachable!()
    };
    let acme = one.organization("acme");
    let day = Day::at(NOW);
    one.call("acme", 30_000).await;
    other.call("acme", 20_000).await;
    one.meter.add_uncounted(
        &acme,
        one.group(),
        day,
        SlackSource::UncleanStop,
        Some(60_000),
    );
    until_it_is("the other hears of the slack", || {
        other.standing("acme").slack.tokens == 60_000
    })
    .await;
    let settled = other.call("acme", 10).await;
    assert!(settled.assumes.contains(Assumption::UncleanStop));
    // The dashboard says a total that all of that is in.
    other
        .meter
        .state_total(&other.organization("acme"), other.group(), day, 70_000);
    other
        .share
        .stated(&other.organization("acme"), other.group(), day);
    until_it_is("both know the stated total", || {
        replicas.iter().all(|replica| {
            let standing = replica.standing("acme");
            standing.taken == 70_000 && standing.slack.tokens == 0
        })
    })
    .await;
    let settled = one.call("acme", 10).await;
    assert_eq!(settled.certainty, Some(Certainty::Final), "{settled:?}");
    assert_eq!(settled.span.unwrap().before, 70_000);
    assert_eq!(server.totals("acme").0, 70_010);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_a_group_that_came_later_is_counted_as_settled_alone() {
    let Some(server) = Server::start() else {
        return;
    };
    let replicas = in_step(&server, &["a"], AfterCrossing::Billed, "acme").await;
    let before = replicas[0].share.now().alone;
    let settled = replicas[0].call_of("later", "acme", 10).await;
    assert!(settled.assumes.contains(Assumption::SharedTotals));
    assert_eq!(replicas[0].share.now().alone, before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_leaves_is_not_missed_and_its_portion_stays() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut replicas = in_step(&server, &["a", "b"], AfterCrossing::Billed, "acme").await;
    replicas[1].call("acme", 5_000).await;
    let leaving = replicas.pop().unwrap();
    leaving.share.leave(super::HEALED).await;
    let stays = &replicas[0];
    until_it_is("it is alone", || stays.share.now().replicas == 1).await;
    assert_eq!(stays.share.now().missing, 0);
    until_sure(stays, "acme").await;
    assert_eq!(stays.call("acme", 10).await.span.unwrap().before, 5_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_ledger_has_lost_is_taken_back_and_a_crossed_day_stays_crossed() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut replicas = in_step(&server, &["a", "b"], AfterCrossing::Billed, "acme").await;
    replicas[0].call("acme", 40_000).await;
    replicas[1].call("acme", ALLOWANCE - 40_000 + 1).await;
    // The second dies before its ledger has the call, and comes back.
    let died = replicas.pop().unwrap();
    died.share.leave(super::HEALED).await;
    drop(died);
    let meter = meter::Meter::new(Day::at(NOW).start());
    let back = Replica::with(&server, "b", AfterCrossing::Billed, meter);
    back.share.reached(super::HEALED).await;
    back.call("acme", 7).await;
    replicas.push(back);
    until_whole(&server, &replicas, "acme").await;
    assert_eq!(server.totals("acme").0, 40_007);
    for replica in &replicas {
        let settled = replica.call("acme", 1).await;
        assert_eq!(settled.verdict, Verdict::Billed);
        assert_eq!(settled.remaining, Some(0));
    }
}
