//! Everything at once, for as long as one has: whole answers, streams, clients that leave, background responses, upstream
//! faults, configurations that change (good and bad ones), stops and kills. In the end the ledger's totals are the
//! simulated `OpenAI`'s bill to the token, or the ledger says of which call a token may be missing; and a program that
//! rests weighs what it weighed before.
//!
//! Knows answers, look-ups, tables and bills; not how an entry is kept. `SEED` says which calls and moments (else the
//! clock does, and it is printed), `SECONDS` how long.

mod grown;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::agreement::{self, Agreement};
use harness::background::{Background, Unseen};
use harness::chance::Chance;
use harness::crowd::{self, Crowd, Load, Seen};
use harness::figures::{self, Figures};
use harness::kept::{self, KEYS, Kept};
use harness::note::Note;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::reckoning::Reckoning;
use harness::{clock, command, gauge, sqlite};
use simulator::{AfterCrossing, Clock};
use tokio::task::JoinHandle;

/// How long where nobody says: in the gate, and in the long run. Half of it is short lives, half one long life.
const SECONDS: [u64; 2] = [8, 1_800];
/// Clients at once, beside the one that makes background responses.
const CLIENTS: usize = 8;
/// A client's pause between two calls: in the long run the simulator must still remember its whole bill.
const PAUSE: [Duration; 2] = [Duration::ZERO, Duration::from_millis(100)];
/// How long a look-up waits, in seconds: a truncated response may yet be seen whole, and is waited for.
const LOOKUP_WAIT: u64 = 1;
/// A stream is open for a while, or nobody could leave it: so many chunks at this distance.
const CHUNKS: &str = "[chunks 20]";
const RHYTHM: Duration = Duration::from_millis(5);
/// A short life, least and most, in milliseconds.
const LIFE: [(u64, u64); 2] = [(300, 1_500), (5_000, 60_000)];
/// Of a hundred short lives, those that end by a kill; the others end by a stop.
const KILLS: u64 = 50;
/// Between two changes of the configuration, least and most, in milliseconds.
const CHANGE: [(u64, u64); 2] = [(100, 800), (1_000, 15_000)];
/// Calls until what is remembered of recent ones is all that ever is: only then memory can be flat.
const WARM: [usize; 2] = [200, 12_000];
/// What the program may weigh more at rest after the load than before. Where the run is short it does not remember all
/// calls yet that it ever will, and its allocator has not seen all it will: only a flood would show.
const MOST_GROWN: [u64; 2] = [24 << 20, 2 << 20];
/// The most that its weight may grow under load, in bytes in ten minutes; a short run cannot tell.
const MOST_SLOPE: f64 = 1024.0 * 1024.0;
/// How long an idle connection to the upstream is kept: less than a rest.
const IDLE: &str = "200 ms";
/// The longest wait for the accounts to agree.
const MOST_WAIT: Duration = Duration::from_secs(10);
/// How often the accounts are looked at until they agree.
const LOOK: Duration = Duration::from_millis(30);

/// What stands before it.
const ADDED: &str = "\n# added\n";
/// What a configuration may say beside what always holds; the last one is refused.
const CONFIGS: [&str; 5] = [
    "",
    "[streams]\nclient_gone = \"finish\"",
    "[streams]\ncomment = true",
    "[streams]\nask_for_usage = false",
    "[streams]\nclient_gone = \"stay\"",
];

/// What stays while proxies come and go.
struct Soak {
    kept: Kept,
    chance: Chance,
    deep: usize,
    notes: Vec<Note>,
    unseen: Unseen,
    backgrounds: usize,
    kills: usize,
    stops: usize,
    reloads: usize,
}

/// Clients at work.
struct Work {
    crowd: Crowd,
    background: JoinHandle<usize>,
    stop: Arc<AtomicBool>,
}

impl Soak {
    async fn new(seed: u64) -> Soak {
        let mut settings = kept::settings(Clock::System, AfterCrossing::Billed);
        settings.chunk_interval = RHYTHM;
        let kept = Kept::of(settings).await;
        grown::ledger(kept.folder(), 0, clock::real());
        // Nothing that follows waits for the program to be built.
        Proxy::start(kept.setup()).kill();
        Soak {
            kept,
            chance: Chance::of(seed),
            deep: usize::from(figures::is_deep()),
            notes: Vec::new(),
            unseen: Unseen::default(),
            backgrounds: 0,
            kills: 0,
            stops: 0,
            reloads: 0,
        }
    }

    fn setup(&self) -> ProxySetup {
        self.kept
            .setup()
            .variable("TOLLFREE_UPSTREAM_IDLE_TIMEOUT", IDLE)
    }

    fn work(&mut self, proxy: &Proxy) -> Work {
        let load = Load {
            pause: PAUSE[self.deep],
            words: CHUNKS.to_owned(),
            lookup_wait: LOOKUP_WAIT,
            ..Load::mixed(&KEYS)
        };
        let stop = Arc::new(AtomicBool::new(false));
        let background = Background {
            address: proxy.address(),
            chance: self.chance.branch(),
            unseen: self.unseen.clone(),
            stop: Arc::clone(&stop),
        };
        Work {
            crowd: Crowd::start(proxy.address(), CLIENTS, &load, &mut self.chance),
            background: tokio::spawn(background.run()),
            stop,
        }
    }

    /// Lets everybody finish, or find that the proxy is gone, and takes their notes.
    async fn rest(&mut self, work: Work) {
        work.stop.store(true, Ordering::Relaxed);
        let Seen { notes, cut } = work.crowd.stop().await;
        let forgotten: Vec<_> = cut
            .iter()
            .filter(|why| why.contains(crowd::NO_WORD))
            .collect();
        assert!(forgotten.is_empty(), "{forgotten:?}");
        self.notes.extend(notes);
        self.backgrounds += work.background.await.expect("no panic");
    }

    /// Changes the configuration now and then until the time is over.
    async fn changes(&mut self, proxy: &Proxy, until: Instant) {
        let file = proxy.folder().join("tollfree.toml");
        let written = std::fs::read_to_string(&file).expect("a file");
        // What an earlier change added comes after this line.
        let base = written.split(ADDED).next().unwrap_or_default();
        loop {
            let (least, most) = CHANGE[self.deep];
            let pause = Duration::from_millis(self.chance.between(least, most));
            if Instant::now() + pause > until {
                tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
                return;
            }
            tokio::time::sleep(pause).await;
            let said = || proxy.log().matches("reloaded").count();
            let before = said();
            let more = self.chance.of_these(&CONFIGS);
            std::fs::write(&file, format!("{base}{ADDED}{more}\n")).expect("a file");
            command::signal(proxy.id(), "HUP");
            eventually("a reload", || (said() > before).then_some(())).await;
            self.reloads += 1;
        }
    }

    /// What clients saw and what was billed, held against the ledger as soon as all agree.
    async fn account(&self, when: &str) -> Reckoning {
        let deadline = Instant::now() + MOST_WAIT;
        loop {
            let ledger = sqlite::read(self.kept.folder()).expect("a ledger");
            let bill = self.kept.simulator.bill();
            let told: Agreement = agreement::calls(&self.notes, &ledger, &bill);
            let reckoning = Reckoning::of(&ledger, &bill);
            let agree = told.findings.is_empty() && reckoning.findings.is_empty();
            if agree || Instant::now() > deadline {
                told.assert_nothing(when);
                reckoning.assert_exact(when);
                return reckoning;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lives that end by a stop or a kill in the middle of their work.
    async fn short_lives(&mut self, until: Instant) {
        while Instant::now() < until {
            let proxy = Proxy::start(self.setup());
            let when = format!("after {} stops and {} kills", self.stops, self.kills);
            self.account(&when).await;
            let work = self.work(&proxy);
            let (least, most) = LIFE[self.deep];
            let life = Duration::from_millis(self.chance.between(least, most));
            self.changes(&proxy, Instant::now() + life).await;
            if self.chance.percent(KILLS) {
                proxy.kill();
                self.kills += 1;
            } else {
                stopped(proxy);
                self.stops += 1;
            }
            self.rest(work).await;
        }
    }
}

/// Ends it as a service manager does.
fn stopped(mut proxy: Proxy) {
    proxy.terminate();
    let status = proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once_leaves_exact_totals_and_nothing_behind() {
    let seconds = figures::number("SECONDS").unwrap_or(SECONDS[usize::from(figures::is_deep())]);
    let chosen = u64::try_from(clock::real()).expect("after 1970");
    let seed = figures::number("SEED").unwrap_or(chosen);
    println!("SEED={seed} SECONDS={seconds}");
    let mut soak = Soak::new(seed).await;
    let began = Instant::now();
    soak.short_lives(began + Duration::from_secs(seconds) / 2)
        .await;

    let proxy = Proxy::start(soak.setup());
    let work = soak.work(&proxy);
    let warm = soak.notes.len() + WARM[soak.deep];
    soak.changes(&proxy, Instant::now() + Duration::from_secs(seconds) / 8)
        .await;
    soak.rest(work).await;
    while soak.notes.len() < warm {
        let work = soak.work(&proxy);
        soak.changes(&proxy, Instant::now() + Duration::from_secs(1))
            .await;
        soak.rest(work).await;
    }
    let before = gauge::at_rest(proxy.id()).await;
    let work = soak.work(&proxy);
    let weighing = tokio::spawn(gauge::weighed(proxy.id(), Arc::clone(&work.stop)));
    let until = began + Duration::from_secs(seconds);
    let least = Instant::now() + Duration::from_secs(2);
    soak.changes(&proxy, until.max(least)).await;
    soak.rest(work).await;
    let weights = weighing.await.expect("no panic");
    soak.unseen.all(proxy.address()).await;
    let after = gauge::at_rest(proxy.id()).await;
    let reckoning = soak.account("in the end").await;
    stopped(proxy);
    assert_eq!(
        sqlite::integrity(soak.kept.folder()).expect("a ledger"),
        "ok"
    );
    report(&soak, seed, began.elapsed(), &reckoning);
    weigh(&soak, before, after, &weights);
}

fn report(soak: &Soak, seed: u64, took: Duration, found: &Reckoning) {
    let mut figures = Figures::of("Soak", "soak");
    figures.line("time", format!("{} s", took.as_secs()));
    figures.line("seed", seed);
    figures.line("calls seen by clients", soak.notes.len());
    figures.line("background responses", soak.backgrounds);
    figures.line("stops, kills", format!("{}, {}", soak.stops, soak.kills));
    figures.line("changes of the configuration", soak.reloads);
    figures.line("tokens billed", found.billed);
    figures.line("tokens in the ledger's totals", found.taken);
    figures.line("calls in them to the token", found.exact.lines);
    figures.line(
        "of these corrected when they were seen whole",
        found.corrected,
    );
    let lines = |what: &harness::reckoning::Lines| format!("{}, {}", what.lines, what.missing);
    figures.line(
        "estimated, tokens missing (within slack)",
        lines(&found.estimated),
    );
    figures.line(
        "estimated above the bill, tokens missing",
        lines(&found.above),
    );
    figures.line(
        "unknown, tokens missing (within slack)",
        lines(&found.unknown),
    );
    figures.line(
        "open at a kill, tokens missing (within slack)",
        lines(&found.open),
    );
    figures.line(
        "tokens that nothing explains",
        found.billed - found.taken - found.missing(),
    );
    figures.keep();
    let at_kills = soak.kills * (CLIENTS + 1);
    assert!(
        found.open.lines <= at_kills,
        "{} calls without a row",
        found.open.lines
    );
}

fn weigh(soak: &Soak, before: (u64, usize), after: (u64, usize), weights: &[u64]) {
    let slope = gauge::slope(weights);
    let mut figures = Figures::of("Soak: weight", "soak-weight");
    figures.line(
        "memory at rest before and after the load",
        format!("{}, {}", gauge::mib(before.0), gauge::mib(after.0)),
    );
    figures.line(
        "memory under load in ten minutes (most: 1 MiB)",
        if soak.deep == 0 {
            "too short to tell".to_owned()
        } else {
            format!("{:+.2} MiB", slope / MOST_SLOPE)
        },
    );
    figures.line(
        "file descriptors at rest before and after",
        format!("{}, {}", before.1, after.1),
    );
    figures.keep();
    assert!(
        after.1 <= before.1,
        "file descriptors: {before:?}, {after:?}"
    );
    assert!(
        after.0 <= before.0 + MOST_GROWN[soak.deep],
        "memory: {before:?}, {after:?}"
    );
    assert!(
        soak.deep == 0 || slope < MOST_SLOPE,
        "{slope} bytes in ten minutes"
    );
}
