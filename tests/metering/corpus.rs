//! Recorded exchanges with `api.openai.com`, played directly and through the proxy: the client must
//! not notice the difference, and what the ledger says must be what was recorded.
//!
//! Reads `../shared/corpus`; says so and tests nothing where that folder is not there.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use harness::coding::Coding;
use harness::compare;
use harness::corpus::{Class, Recording, Usage, recordings};
use harness::findings::Findings;
use harness::http1::End;
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{Answer, Connection, Request};
use harness::replay::{self, Play, WhenAsked};
use harness::upstream::Upstream;
use tokio::task::JoinSet;

/// What the tags say is compared, so no answer may be let go for slowness: a busy machine is no finding.
const PATIENT: &str = "[limits]\nheld_answer_time = \"60 s\"";
/// Exchanges under way at once.
const AT_ONCE: usize = 16;

/// What the ledger is to say of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Nothing to settle.
    None,
    /// Settled with these tokens.
    Settled(Usage),
    /// A metered call whose usage never came.
    Unknown,
}

/// Endpoints that create something and never report tokens.
fn never_reports(path: &str) -> bool {
    let silent = [
        "/v1/moderations",
        "/v1/audio/translations",
        "/v1/images/variations",
    ];
    silent.contains(&path)
}

fn expected(recording: &Recording, play: Play) -> Expected {
    let path = recording.path.split('?').next().unwrap_or_default();
    if recording.class != Class::Count || never_reports(path) {
        return Expected::None;
    }
    if recording.status != 200 {
        return Expected::None;
    }
    if let Some(usage) = recording.usage {
        return Expected::Settled(usage);
    }
    if replay::is_unasked(recording) && play.when_asked == WhenAsked::Answer {
        return Expected::Settled(replay::invented_usage(recording));
    }
    Expected::Unknown
}

/// One walk over some of the recordings.
#[derive(Clone, Copy)]
struct Walk {
    /// Which recordings, and how each of them is played.
    choose: fn(&Recording) -> Option<Play>,
    /// Whether the second way goes through the proxy.
    through_proxy: bool,
}

/// What came of a walk.
#[derive(Debug, Default)]
struct Outcome {
    played: usize,
    settled: usize,
    tokens: u64,
    expected_tokens: u64,
    findings: Findings,
}

impl Outcome {
    fn print_and_judge(&self, what: &str) {
        println!(
            "{what}: {} exchanges, {} settled with {} tokens, {} differences",
            self.played,
            self.settled,
            self.tokens,
            self.findings.len()
        );
        print!("{}", self.findings);
        assert!(self.played > 0, "{what}: no recording was played");
        assert_eq!(self.findings.len(), 0, "{what}: differences, see above");
        assert_eq!(self.tokens, self.expected_tokens, "{what}: tokens in all");
    }
}

/// A connection that is opened again after the other side closed it.
struct Way {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Way {
    fn to(address: SocketAddr) -> Self {
        let connection = None;
        Way {
            address,
            connection,
        }
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        let answer = connection.exchange(request).await?;
        let closes = answer.head.headers.get("connection") == Some("close");
        if answer.body.end == End::Complete && !closes {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

/// Plays the chosen recordings both ways, [`AT_ONCE`] at a time.
async fn walk(recordings: &'static [Recording], walk: Walk) -> Outcome {
    let upstream = Arc::new(replay::start(recordings).await);
    let proxy = walk
        .through_proxy
        .then(|| Proxy::start(ProxySetup::to(&upstream.url()).config(PATIENT)));
    let second = proxy.as_ref().map_or(upstream.address(), Proxy::address);
    let next = Arc::new(AtomicUsize::new(0));
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let mut walkers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let walker = Walker {
            walk,
            upstream: Arc::clone(&upstream),
            direct: Way::to(upstream.address()),
            through: Way::to(second),
            outcome: Arc::clone(&outcome),
        };
        let next = Arc::clone(&next);
        walkers.spawn(walker.run(recordings, next));
    }
    walkers.join_all().await;
    if let Some(proxy) = proxy {
        assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    }
    std::mem::take(&mut *outcome.lock().expect("no panic"))
}

struct Walker {
    walk: Walk,
    upstream: Arc<Upstream>,
    direct: Way,
    through: Way,
    outcome: Arc<Mutex<Outcome>>,
}

impl Walker {
    async fn run(mut self, recordings: &'static [Recording], next: Arc<AtomicUsize>) {
        while let Some(recording) = recordings.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(play) = (self.walk.choose)(recording) else {
                continue;
            };
            let found = self.play(recording, play).await;
            let found = found.unwrap_or_else(|error| vec![format!("no answer: {error}")]);
            let what = format!("{} {}", recording.method, recording.path);
            let mut outcome = self.outcome.lock().expect("no panic");
            outcome.played += 1;
            let what = format!("line {} {what}", recording.line);
            outcome.findings.add(&what, found);
        }
    }

    /// Plays one recording both ways and returns every difference.
    async fn play(&mut self, recording: &'static Recording, play: Play) -> io::Result<Vec<String>> {
        let marks = ["direct", "through"].map(|way| format!("{}-{way}", recording.line));
        let [direct, through] = marks
            .each_ref()
            .map(|mark| replay::request(recording, play, mark));
        let direct = self.direct.exchange(&direct).await?;
        let through = self.through.exchange(&through).await?;
        let mut found = compare::answers(&direct, &through);
        let [sent, forwarded] = marks.map(|mark| self.upstream.take("x-replay-exchange", &mark));
        let (Some(sent), Some(forwarded)) = (sent, forwarded) else {
            found.push("the upstream did not receive both requests".to_owned());
            return Ok(found);
        };
        let asked = self.walk.through_proxy && replay::is_unasked(recording);
        if asked && !replay::is_asked(&forwarded.body) {
            found.push("the upstream was not asked for usage".to_owned());
        }
        if asked && !inserted_once(&sent.body, &forwarded.body) {
            let body = String::from_utf8_lossy(&forwarded.body);
            found.push(format!(
                "more than an insertion happened to the body: {body}"
            ));
        }
        found.extend(compare::requests(&sent, &forwarded, asked));
        if self.walk.through_proxy {
            found.extend(compare::marks(&direct, &through));
            found.extend(self.settlement(recording, play, &through).await?);
        } else if play.coding.is_none() && direct.body.bytes != recording.body {
            found.push("the replay is not what was recorded".to_owned());
        }
        Ok(found)
    }

    /// Compares the head's tags and the look-up with what is expected of the recording.
    async fn settlement(
        &mut self,
        recording: &Recording,
        play: Play,
        answer: &Answer,
    ) -> io::Result<Vec<String>> {
        let expected = expected(recording, play);
        let verdict = answer.header("x-tollfree-verdict").unwrap_or_default();
        let usage = match expected {
            Expected::None if verdict == "none" => return Ok(Vec::new()),
            Expected::None => return Ok(vec![format!("verdict {verdict}, expected none")]),
            Expected::Unknown => None,
            Expected::Settled(usage) => Some(usage),
        };
        let Some(call) = answer.header("x-tollfree-call") else {
            return Ok(Vec::new());
        };
        let lookup = Request::get(&format!("/_tollfree/calls/{call}"));
        let lookup = self.through.exchange(&lookup).await?;
        if lookup.status() != 200 {
            let status = lookup.status();
            return Ok(vec![format!("look-up {status}: {}", lookup.text())]);
        }
        let settled = Settled::of(&lookup);
        // A recording that shows the same run or response whole may have been played meanwhile.
        let comes_later = ["/runs", "/responses"]
            .iter()
            .any(|end| recording.path.ends_with(end));
        if usage.is_none() && comes_later && settled.number("tokens").is_some() {
            return Ok(Vec::new());
        }
        let mut found = settled_differences(recording, usage, &settled);
        // Images are read while they pass: their head leaves before their tokens are known.
        let head_waits = !recording.stream && !recording.path.contains("/images/");
        if let (Some(usage), true) = (usage, head_waits) {
            let total = (usage.input + usage.output).to_string();
            let tagged = answer.header("x-tollfree-tokens");
            if tagged != Some(&total) {
                found.push(format!("head's tokens {tagged:?}, expected {total}"));
            }
        }
        let mut outcome = self.outcome.lock().expect("no panic");
        outcome.settled += usize::from(usage.is_some());
        outcome.tokens += settled.number("tokens").unwrap_or(0);
        outcome.expected_tokens += usage.map_or(0, |usage| usage.input + usage.output);
        Ok(found)
    }
}

/// Whether `longer` is `body` with something put in at one place.
fn inserted_once(body: &[u8], longer: &[u8]) -> bool {
    let same = |(a, b): &(&u8, &u8)| a == b;
    let before = body.iter().zip(longer).take_while(same).count();
    let backwards = body.iter().rev().zip(longer.iter().rev());
    before + backwards.take_while(same).count() >= body.len()
}

fn settled_differences(
    recording: &Recording,
    usage: Option<Usage>,
    settled: &Settled,
) -> Vec<String> {
    let mut found = Vec::new();
    let fits = match usage {
        Some(_) => ["free", "billed"].contains(&settled.verdict()),
        // A background response or a run whose usage comes later says what may be said before.
        None if settled.text("certainty") == Some("expected") => true,
        None => ["unknown", "pending"].contains(&settled.verdict()),
    };
    if !fits {
        found.push(format!("settled as {:?} for {usage:?}", settled.verdict()));
    }
    for (field, number) in [
        ("input-tokens", usage.map(|usage| usage.input)),
        ("output-tokens", usage.map(|usage| usage.output)),
        ("tokens", usage.map(|usage| usage.input + usage.output)),
    ] {
        if settled.number(field) != number {
            let now = settled.number(field);
            found.push(format!("settled {field} {now:?}, expected {number:?}"));
        }
    }
    let request_id = recording.headers.get("x-request-id");
    let mut texts = vec![("request-id", request_id)];
    // What a call without usage shows of itself depends on how far its answer came.
    if usage.is_some() {
        texts.push(("model", recording.model.as_deref()));
        texts.push(("response-id", recording.id.as_deref()));
    }
    for (field, text) in texts {
        if text.is_some() && settled.text(field) != text {
            let now = settled.text(field);
            found.push(format!("settled {field} {now:?}, expected {text:?}"));
        }
    }
    found
}

/// The recordings, or nothing and a word about it.
fn corpus() -> Option<&'static [Recording]> {
    let recordings = recordings();
    if recordings.is_none() {
        println!("skipped: ../shared/corpus is not there");
    }
    recordings
}

fn plain(recording: &Recording) -> Play {
    Play {
        seed: recording.line as u64,
        coding: None,
        when_asked: WhenAsked::Answer,
    }
}

/// In a content coding: every answer with a body, but the streams that are asked for usage, which
/// the proxy takes without a coding.
fn coded(recording: &Recording, coding: Coding) -> Option<Play> {
    let coding = Some(coding);
    let codable = !recording.body.is_empty() && !replay::is_unasked(recording);
    codable.then_some(Play {
        coding,
        ..plain(recording)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn played_twice_directly_every_recording_is_as_recorded() {
    let Some(recordings) = corpus() else { return };
    let direct = Walk {
        choose: |recording| Some(plain(recording)),
        through_proxy: false,
    };
    let outcome = walk(recordings, direct).await;
    outcome.print_and_judge("directly");
    assert_eq!(outcome.played, recordings.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_proxy_nothing_changes_and_every_token_is_settled() {
    let Some(recordings) = corpus() else { return };
    let through = Walk {
        choose: |recording| Some(plain(recording)),
        through_proxy: true,
    };
    let outcome = walk(recordings, through).await;
    outcome.print_and_judge("plain");
    assert_eq!(outcome.played, recordings.len());
    assert!(outcome.settled > 0, "no call was settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_gzip_the_same() {
    let Some(recordings) = corpus() else { return };
    let through = Walk {
        choose: |recording| coded(recording, Coding::Gzip),
        through_proxy: true,
    };
    let outcome = walk(recordings, through).await;
    outcome.print_and_judge("gzip");
    assert!(outcome.settled > 0, "no call was settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_brotli_the_same() {
    let Some(recordings) = corpus() else { return };
    let through = Walk {
        choose: |recording| coded(recording, Coding::Brotli),
        through_proxy: true,
    };
    let outcome = walk(recordings, through).await;
    outcome.print_and_judge("br");
    assert!(outcome.settled > 0, "no call was settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_rarer_codings_the_same() {
    let Some(recordings) = corpus() else { return };
    let choose = |recording: &Recording| match recording.line % 8 {
        0 => coded(recording, Coding::Zstd),
        4 => coded(recording, Coding::Deflate),
        _ => None,
    };
    let through = Walk {
        choose,
        through_proxy: true,
    };
    let outcome = walk(recordings, through).await;
    outcome.print_and_judge("zstd, deflate");
    assert!(outcome.settled > 0, "no call was settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_do_not_answer_the_ask_are_unknown_and_unchanged() {
    let Some(recordings) = corpus() else { return };
    let choose = |recording: &Recording| {
        let when_asked = WhenAsked::Ignore;
        let silent = recording.stream && replay::is_unasked(recording);
        silent.then_some(Play {
            when_asked,
            ..plain(recording)
        })
    };
    let through = Walk {
        choose,
        through_proxy: true,
    };
    let outcome = walk(recordings, through).await;
    outcome.print_and_judge("streams that stay silent about usage");
    assert_eq!(outcome.settled, 0);
}
