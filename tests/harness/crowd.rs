//! Several clients at once that make mixed calls until they are told to stop or the proxy is gone, each
//! writing down what it saw.
//!
//! It must not know what is right, or that a proxy may be killed on purpose: a connection that ends is
//! the end of what a client knows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::day::{Way, keyed};
use crate::http1::End;
use crate::note::{Note, Word};
use crate::raw::{Connection, Request};

/// The most tokens a call may take by its own word: what is under way has a bound that means something.
const MOST_OUTPUT: u64 = 4_000;
/// The longest that a look-up is asked to wait for a verdict where nobody says, in seconds.
const LOOKUP_SECONDS: u64 = 5;
/// Of a hundred calls, those that go wrong upstream, and those whose client leaves in the middle.
const ODD: u64 = 12;
const LEAVING: u64 = 3;
/// How calls go wrong upstream.
const ODDITIES: [&str; 5] = [
    "[status 429]",
    "[status 500]",
    "[break]",
    "[truncate]",
    "[no usage]",
];

/// How the end of a client is told whose look-up found nothing: no proxy that lives forgets a call so soon.
pub const NO_WORD: &str = "no word";

/// What kind of calls a crowd makes.
#[derive(Clone, Debug)]
pub struct Load {
    /// The API keys that calls are made with.
    pub keys: Vec<&'static str>,
    /// The models that are asked.
    pub models: Vec<&'static str>,
    /// The ways of calling.
    pub ways: Vec<Way>,
    /// Tokens of a call, least and most.
    pub tokens: (u64, u64),
    /// Whether some calls go wrong upstream and some clients leave.
    pub mixed: bool,
    /// Words that every call carries, to steer the simulated `OpenAI`.
    pub words: String,
    /// How long a client waits between two calls.
    pub pause: Duration,
    /// A look-up is asked to wait for a verdict at most so many seconds.
    pub lookup_wait: u64,
}

impl Load {
    /// Every way of calling two models of either group, by these organizations.
    pub fn mixed(keys: &[&'static str]) -> Load {
        Load {
            keys: keys.to_vec(),
            models: vec!["gpt-4o", "gpt-4.1", "gpt-4o-mini", "gpt-4.1-mini"],
            ways: Way::OF_CHAT_MODELS.to_vec(),
            tokens: (20, 3_000),
            mixed: true,
            words: String::new(),
            pause: Duration::ZERO,
            lookup_wait: LOOKUP_SECONDS,
        }
    }

    /// The same without anything that goes wrong.
    pub fn sound(keys: &[&'static str]) -> Load {
        Load {
            mixed: false,
            ..Load::mixed(keys)
        }
    }
}

/// What a crowd saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// All its notes.
    pub notes: Vec<Note>,
    /// Clients whose connection ended without an answer: why.
    pub cut: Vec<String>,
}

/// A running crowd.
#[derive(Debug)]
pub struct Crowd {
    clients: JoinSet<Client>,
    stop: Arc<AtomicBool>,
}

impl Crowd {
    /// Starts so many clients of the proxy at this address.
    pub fn start(address: SocketAddr, clients: usize, load: &Load, chance: &mut Chance) -> Crowd {
        let stop = Arc::new(AtomicBool::new(false));
        let mut set = JoinSet::new();
        for _ in 0..clients {
            let client = Client {
                address,
                load: load.clone(),
                chance: chance.branch(),
                stop: Arc::clone(&stop),
                notes: Vec::new(),
                cut: None,
            };
            set.spawn(client.run());
        }
        Crowd { clients: set, stop }
    }

    /// Lets the calls under way end and returns all notes; those of a proxy that is gone end by themselves.
    pub async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let clients = self.clients.join_all().await;
        let mut seen = Seen {
            notes: Vec::new(),
            cut: Vec::new(),
        };
        for client in clients {
            seen.notes.extend(client.notes);
            seen.cut.extend(client.cut);
        }
        seen
    }
}

/// Makes so many calls one after the other and returns the notes.
pub async fn calls(
    address: SocketAddr,
    number: usize,
    load: &Load,
    chance: &mut Chance,
) -> Vec<Note> {
    let mut client = Client {
        address,
        load: load.clone(),
        chance: chance.branch(),
        stop: Arc::default(),
        notes: Vec::new(),
        cut: None,
    };
    for number in 0..number {
        let called = client.call().await;
        called.unwrap_or_else(|error| panic!("call {number}: {error}"));
    }
    client.notes
}

struct Client {
    address: SocketAddr,
    load: Load,
    chance: Chance,
    stop: Arc<AtomicBool>,
    notes: Vec<Note>,
    cut: Option<String>,
}

/// What a client decided to ask.
struct Ask {
    request: Request,
    key: &'static str,
    tokens: u64,
    leaves: bool,
}

impl Client {
    async fn run(mut self) -> Client {
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.call().await {
                self.cut = Some(error.to_string());
                break;
            }
            if !self.load.pause.is_zero() {
                tokio::time::sleep(self.load.pause).await;
            }
        }
        self
    }

    fn ask(&mut self) -> Ask {
        let chance = &mut self.chance;
        let key = *chance.of_these(&self.load.keys);
        let way = *chance.of_these(&self.load.ways);
        let model = *chance.of_these(&self.load.models);
        let tokens = chance.between(self.load.tokens.0, self.load.tokens.1);
        let output = chance.between(1, tokens / 2);
        let odd = self.load.mixed && chance.percent(ODD);
        let odd = if odd { *chance.of_these(&ODDITIES) } else { "" };
        let leaves = self.load.mixed && chance.percent(LEAVING);
        let words = &self.load.words;
        let text = format!("[tokens in={} out={output}]{odd}{words}", tokens - output);
        let mut request = keyed(way.request(model, &text), key);
        assert_eq!(request.body.pop(), Some(b'}'));
        let bound = match way {
            Way::Response | Way::ResponseStream => "max_output_tokens",
            Way::Chat | Way::ChatStream | Way::AskedChatStream => "max_completion_tokens",
            _ => "max_tokens",
        };
        request
            .body
            .extend(format!(r#","{bound}":{MOST_OUTPUT}}}"#).bytes());
        Ask {
            request,
            key,
            tokens,
            leaves,
        }
    }

    /// Makes one call and notes what came; an error means that the proxy is gone.
    async fn call(&mut self) -> io::Result<()> {
        let ask = self.ask();
        let mut connection = Connection::open(self.address).await?;
        connection.send(&ask.request.bytes()).await?;
        let sent = Instant::now();
        let head = connection.head("POST").await?;
        let tags = Word::of_headers(&head.headers);
        let number = self.notes.len();
        self.notes.push(Note {
            call: tags.text("call").unwrap_or_default().to_owned(),
            key: ask.key,
            tokens: ask.tokens,
            status: head.status,
            is_whole: false,
            word: tags.is_settled().then(|| tags.clone()),
            head: tags,
            took: sent.elapsed(),
        });
        let leaves = ask.leaves && self.notes[number].word.is_none();
        if !leaves {
            let body = connection.body(&head).await;
            self.notes[number].took = sent.elapsed();
            self.notes[number].is_whole = body.end == End::Complete;
        }
        drop(connection);
        if self.notes[number].word.is_none() && self.notes[number].head.verdict() != "none" {
            let word = self.look_up(&self.notes[number].call).await?;
            self.notes[number].word = word.filter(Word::is_settled);
        }
        Ok(())
    }

    async fn look_up(&self, call: &str) -> io::Result<Option<Word>> {
        let target = format!("/_tollfree/calls/{call}?wait={}", self.load.lookup_wait);
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.exchange(&Request::get(&target)).await?;
        if answer.body.end != End::Complete {
            return Err(io::Error::other("the look-up broke off"));
        }
        if answer.status() != 200 {
            let (status, text) = (answer.status(), answer.text());
            return Err(io::Error::other(format!(
                "{NO_WORD} on {call}: {status} {text}"
            )));
        }
        Ok(Word::of_lookup(&answer))
    }
}
