//! How far one server goes: many organizations, many replicas, every span handed out once. `DEEP=1` stands for 1,000
//! organizations and 100 replicas.

use std::time::Instant;

use meter::{Day, Portion};

use super::script::{message, store};
use super::{NOW, Server};
use crate::key::Keys;
use crate::message::{Answer, Message};

/// Organizations, replicas, and calls in a message: in the gate, and in the long run.
const SIZES: [(usize, usize, usize); 2] = [(20, 5, 4), (1_000, 100, 4)];
/// Messages under way at once, of one replica.
const TOGETHER: usize = 25;
/// Replicas that speak at once.
const AT_ONCE: usize = 10;
/// Tokens of each call.
const TOKENS: u64 = 7;

#[expect(
    clippy::print_stdout,
    reason = "a figure that the long run writes down"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_organizations_and_replicas_take_each_span_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let (organizations, replicas, calls) = SIZES[usize::from(std::env::var_os("DEEP").is_some())];
    let began = Instant::now();
    let mut ends = vec![0; organizations];
    let names: Vec<usize> = (0..replicas).collect();
    for names in names.chunks(AT_ONCE) {
        let tasks: Vec<_> = names
            .iter()
            .map(|replica| {
                let (url, replica) = (server.url(), *replica);
                tokio::spawn(async move { one_replica(&url, replica, organizations, calls).await })
            })
            .collect();
        for task in tasks {
            for (end, sum) in ends.iter_mut().zip(task.await.unwrap()) {
                *end += sum;
            }
        }
    }
    let took = began.elapsed();
    let each = (replicas * calls) as u64 * TOKENS;
    assert!(ends.iter().all(|end| *end == each), "{ends:?}");
    for organization in [0, organizations - 1] {
        assert_eq!(server.totals(&format!("org-{organization}")).0, each);
    }
    let messages = organizations * replicas;
    let spent = redis::Client::open(server.url())
        .and_then(|client| client.get_connection())
        .and_then(|mut to| {
            redis::cmd("INFO")
                .arg("commandstats")
                .query::<String>(&mut to)
        })
        .unwrap();
    let spent = spent
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    println!(
        "{organizations} organizations, {replicas} replicas: {messages} messages with {} calls in {} ms, {} messages/s; \
         the server: {}",
        messages * calls,
        took.as_millis(),
        messages as u128 * 1_000 / took.as_millis().max(1),
        spent.unwrap_or_default()
    );
}

/// Takes spans of every organization; the tokens of each that were handed out.
async fn one_replica(url: &str, replica: usize, organizations: usize, calls: usize) -> Vec<u64> {
    let name = format!("replica-{replica}");
    let store = store(url, &name).await;
    let tokens = vec![TOKENS; calls];
    let keys: Vec<Keys> = (0..organizations)
        .map(|number| Keys::of("test:", &format!("org-{number}"), "small", Day::at(NOW)))
        .collect();
    let mut sums = Vec::with_capacity(organizations);
    for keys in keys.chunks(TOGETHER) {
        let messages: Vec<Message<'_>> = keys
            .iter()
            .map(|keys| Message {
                own: Portion::default(),
                ..message(keys, &name, 1, &tokens)
            })
            .collect();
        for answer in store.send(&messages).await.unwrap() {
            let Answer::Now(reply) = answer else {
                panic!("outdated")
            };
            sums.push(
                reply
                    .spans
                    .iter()
                    .map(|(span, _)| span.after - span.before)
                    .sum(),
            );
        }
    }
    sums
}
