//! A client that makes background responses and looks at earlier ones until they are whole, also those that were made
//! through a proxy before the one at hand.
//!
//! It must not know what is counted, or that a proxy may be killed on purpose: a connection that ends is the end of it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::day::keyed;
use crate::http1::End;
use crate::kept::KEYS;
use crate::raw::{Answer, Connection, Request};

/// Responses are done after this, at most, in milliseconds.
const MOST_DELAY: u64 = 300;
/// Of a hundred looks, those at a response that was just begun.
const EARLY: u64 = 20;
/// So many that nobody saw whole, and only the oldest are looked at: the upstream forgets one that nobody asks for.
const MOST_UNSEEN: usize = 50;
/// The pause between a response and the next.
const PAUSE: Duration = Duration::from_millis(30);
/// The longest wait for a response to be whole.
const MOST_WAIT: Duration = Duration::from_secs(10);

/// A response that nobody saw whole.
#[derive(Clone, Debug)]
struct Begun {
    id: String,
    key: &'static str,
}

/// Those that nobody saw whole yet, oldest first. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Unseen(Arc<Mutex<Vec<Begun>>>);

impl Unseen {
    /// Looks at each of them until it is whole.
    pub async fn all(&self, address: SocketAddr) {
        let begun = self.0.lock().expect("no panic").split_off(0);
        for one in begun {
            let deadline = Instant::now() + MOST_WAIT;
            while !is_whole(&look(address, &one).await.expect("an answer")) {
                assert!(Instant::now() < deadline, "{} never ended", one.id);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A client that makes them and looks at them.
#[derive(Debug)]
pub struct Background {
    /// The proxy.
    pub address: SocketAddr,
    /// Decides what they take.
    pub chance: Chance,
    /// Those of now and before.
    pub unseen: Unseen,
    /// It ends when this is true.
    pub stop: Arc<AtomicBool>,
}

impl Background {
    /// Until it is told to stop or the proxy is gone; how many were created.
    pub async fn run(mut self) -> usize {
        let mut created = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if self.once().await.is_err() {
                break;
            }
            created += 1;
            tokio::time::sleep(PAUSE).await;
        }
        created
    }

    async fn once(&mut self) -> io::Result<()> {
        let key = *self.chance.of_these(&KEYS);
        let tokens = self.chance.between(20, 3_000);
        let delay = self.chance.between(0, MOST_DELAY);
        let body = json!({
            "model": "gpt-4o-mini",
            "input": format!("[tokens in={tokens} out=10] [delay {delay}]"),
            "background": true,
            "max_output_tokens": 4_000,
        });
        let request = keyed(Request::post("/v1/responses", body.to_string()), key);
        let answer = exchange(self.address, &request).await?;
        let id = json_of(&answer)["id"].as_str().expect("an id").to_owned();
        self.unseen
            .0
            .lock()
            .expect("no panic")
            .push(Begun { id, key });
        let one = {
            let unseen = self.unseen.0.lock().expect("no panic");
            // The oldest is done by now, the newest may not be.
            let early = self.chance.percent(EARLY) && unseen.len() < MOST_UNSEEN;
            let one = if early { unseen.last() } else { unseen.first() };
            one.expect("the one just made").clone()
        };
        if is_whole(&look(self.address, &one).await?) {
            let mut unseen = self.unseen.0.lock().expect("no panic");
            unseen.retain(|other| other.id != one.id);
        }
        Ok(())
    }
}

async fn exchange(address: SocketAddr, request: &Request) -> io::Result<Answer> {
    let answer = Connection::open(address).await?.exchange(request).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    if answer.body.end != End::Complete {
        return Err(io::Error::other("it broke off"));
    }
    Ok(answer)
}

async fn look(address: SocketAddr, one: &Begun) -> io::Result<Answer> {
    let request = Request::get(&format!("/v1/responses/{}", one.id));
    exchange(address, &keyed(request, one.key)).await
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body.bytes).unwrap_or_else(|_| panic!("{}", answer.text()))
}

fn is_whole(answer: &Answer) -> bool {
    !matches!(
        json_of(answer)["status"].as_str(),
        Some("queued" | "in_progress")
    )
}
