//! 00:00 UTC on three replicas with one Redis between them, under load, while their clocks differ a little and one
//! jumps: each call counts on one day, and the totals of both days are the sums of the ledgers, in Redis as in them.
//!
//! Knows clocks, days, rows, keys and the bill; not how replicas speak with each other. The clocks of the programs
//! under test are libfaketime's; that of Redis is right in its own way, hours away. `DEEP=1` stands for all jumps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use harness::agreement;
use harness::chance::Chance;
use harness::clock::{self, FakedClock, RunningClock};
use harness::crowd::{Crowd, Load};
use harness::day::{ACME, Way, keyed, taking};
use harness::figures::{self, Figures};
use harness::kept;
use harness::night::{DATE_TELLS, DAY, Night};
use harness::note::Note;
use harness::proxy::{Proxy, ProxySetup};
use harness::redis::Redis;
use harness::sqlite::{self, Ledger, Place, Total};
use simulator::{AfterCrossing, BillLine, Clock, LogEntry, PayerShown, Simulator};
use tempfile::TempDir;

use crate::grown;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
/// What replicas have to come into step, and how long the load lasts before midnight and after it.
const TO_BEGIN: i64 = 14 * SECOND;
const BEFORE: i64 = 5 * SECOND;
const AFTER: i64 = 4 * SECOND;
/// When a clock that jumps does so, and when it is set right again, seen from midnight.
const JUMPS_AT: i64 = -3 * SECOND;
const JUMPS_BACK_AT: i64 = 2 * SECOND;
/// How far the replicas' clocks are from `OpenAI`'s; the last one jumps as well.
const APART: [i64; 3] = [300, -300, 0];
/// How far it jumps: in the gate the first two, each with one reading of the rule.
const JUMPS: [i64; 4] = [2 * HOUR, -DAY, -2 * HOUR, DAY];
/// Clients of each replica, and the time between two events of their streams.
const CLIENTS: usize = 4;
const CHUNK: Duration = Duration::from_millis(60);
/// Tokens of a call, least and most: both days of the large group are crossed, those of the small one are not.
const TOKENS: (u64, u64) = (10_000, 50_000);
const AT_ONCE: u64 = (APART.len() * CLIENTS) as u64 * TOKENS.1;
const ALLOWANCES: [(&str, u64); 2] = [("large", 1_000_000), ("small", 10_000_000)];
/// A machine so busy that replicas fall out of step shows nothing of replicas in step: a night is lived through so
/// often before it counts all the same.
const TRIES: usize = 3;

/// What outlives the replicas.
struct Scene {
    redis: Redis,
    simulator: Simulator,
    folders: Vec<TempDir>,
    openai: RunningClock,
    apart: i64,
    midnight: i64,
    after_crossing: AfterCrossing,
}

/// What was there at the end.
struct Found {
    notes: Vec<Note>,
    ledger: Ledger,
    bill: Vec<BillLine>,
    log: Vec<LogEntry>,
    shared: BTreeMap<Place, Total>,
}

impl Scene {
    async fn begin(after_crossing: AfterCrossing) -> Option<Scene> {
        let redis = Redis::start().await?;
        let midnight = (clock::real() / DAY + 1) * DAY;
        let apart = midnight - BEFORE - TO_BEGIN - clock::real();
        let openai = RunningClock::apart(apart);
        let mut settings = kept::settings(Clock::Shared(openai.shared()), after_crossing);
        settings.chunk_interval = CHUNK;
        settings.show_payer = PayerShown::Never;
        let scene = Scene {
            redis,
            simulator: Simulator::start(settings).await.expect("a simulator"),
            folders: APART.map(|_| TempDir::new().expect("a folder")).into(),
            openai,
            apart,
            midnight,
            after_crossing,
        };
        for place in 0..APART.len() {
            grown::ledger(&scene.folder(place), 0, midnight - DAY);
        }
        Some(scene)
    }

    fn folder(&self, place: usize) -> PathBuf {
        self.folders[place].path().join("data")
    }

    fn setup(&self, place: usize) -> ProxySetup {
        let folder = self.folder(place).display().to_string();
        let setup = ProxySetup::to(&format!("http://{}", self.simulator.address()))
            .variable("TOLLFREE_DATA_DIR", &folder)
            .variable("TOLLFREE_ADMIN_LISTEN", "off")
            .variable("TOLLFREE_USAGE_TIER", "3")
            .variable("TOLLFREE_SHARED_PROJECTS", "all")
            .variable("TOLLFREE_SHARE_URL", &self.redis.url())
            .declared();
        match self.after_crossing {
            AfterCrossing::Billed => setup,
            AfterCrossing::FreeIfItFits => {
                setup.variable("TOLLFREE_OFFER_AFTER_CROSSING", "free-if-it-fits")
            }
        }
    }

    /// Waits for this moment, seen from midnight.
    async fn until(&self, moment: i64) {
        while self.openai.now() < self.midnight + moment {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What stands in Redis.
    fn shared(&self) -> BTreeMap<Place, Total> {
        let keys = self.redis.command(&["KEYS", "tollfree:{*}:*:*"]);
        let total = |key: &str| {
            let number = |field| self.redis.command(&["HGET", key, field]).parse();
            let words: Vec<&str> = key.split(':').collect();
            let [_, organization, day, group] = words[..] else {
                panic!("{key} is no total");
            };
            let organization = organization.trim_matches(['{', '}']);
            let place = (organization.to_owned(), group.to_owned(), day.to_owned());
            let total = Total {
                taken: number("taken").expect("a number"),
                fitted: number("fitted").expect("a number"),
                ..Total::default()
            };
            (place, total)
        };
        let totals = keys.lines().map(total);
        totals.filter(|(_, total)| total.taken > 0).collect()
    }

    /// What all ledgers hold together; slack is not looked at.
    fn ledger(&self) -> Ledger {
        let mut sum = Ledger::default();
        for place in 0..APART.len() {
            let ledger = sqlite::read(&self.folder(place)).expect("a ledger");
            sum.rows.extend(ledger.rows);
            let totals = ledger.totals.into_iter();
            for (place, total) in totals.filter(|(_, total)| total.taken > 0) {
                let all = sum.totals.entry(place).or_default();
                all.taken += total.taken;
                all.fitted += total.fitted;
            }
        }
        sum
    }
}

/// A small call, over and over, until its verdict assumes nothing of the others or the load begins.
async fn in_step(scene: &Scene, replica: &Proxy) {
    let call = keyed(Way::Chat.request("gpt-4o-mini", &taking(20)), ACME);
    while scene.openai.now() < scene.midnight - BEFORE {
        let answer = replica.exchange(&call).await;
        let assumes = answer.header("x-tollfree-assumes").unwrap_or_default();
        if !assumes.contains("shared-totals") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lives through one midnight; nothing where there is no Redis.
async fn lived(jump: i64, after_crossing: AfterCrossing) -> Option<Found> {
    let scene = Scene::begin(after_crossing).await?;
    let clocks = APART.map(|by| FakedClock::apart(scene.apart + by));
    let replicas: Vec<Proxy> = clocks
        .iter()
        .enumerate()
        .map(|(place, clock)| Proxy::start(clock.around(scene.setup(place))))
        .collect();
    for replica in &replicas {
        in_step(&scene, replica).await;
    }
    scene.until(-BEFORE).await;
    let load = Load {
        models: vec!["gpt-4o", "gpt-4o-mini"],
        tokens: TOKENS,
        words: "[chunks 8]".to_owned(),
        pause: Duration::from_millis(20),
        ..Load::sound(&[ACME])
    };
    let mut chance = Chance::of(31);
    let crowds: Vec<_> = replicas
        .iter()
        .map(|replica| Crowd::start(replica.address(), CLIENTS, &load, &mut chance))
        .collect();
    let [.., jumping] = &clocks;
    scene.until(JUMPS_AT).await;
    jumping.set(scene.apart + jump);
    scene.until(JUMPS_BACK_AT).await;
    jumping.set(scene.apart);
    scene.until(AFTER).await;
    let mut notes = Vec::new();
    for crowd in crowds {
        let seen = crowd.stop().await;
        assert!(seen.cut.is_empty(), "{:?}", seen.cut);
        notes.extend(seen.notes);
    }
    for mut replica in replicas {
        replica.terminate();
        let status = replica.wait_for_exit();
        assert_eq!(status.code(), Some(0), "{}", replica.log());
    }
    Some(Found {
        notes,
        ledger: scene.ledger(),
        bill: scene.simulator.bill(),
        log: scene.simulator.log(),
        shared: scene.shared(),
    })
}

impl Found {
    /// Calls of the load that were settled without a word of the others.
    fn out_of_step(&self) -> usize {
        let words = self.notes.iter().filter_map(|note| note.word.as_ref());
        let unsure = words.filter(|word| word.assumes().contains(&"shared-totals"));
        unsure.count()
    }

    /// Tokens told free, of each total.
    fn free(&self) -> BTreeMap<Place, u64> {
        let mut free = BTreeMap::new();
        for row in self.ledger.rows.iter().filter(|row| row.verdict == "free") {
            let group = row.group.clone().expect("a group");
            let place = (row.organization.clone(), group, row.day.clone());
            *free.entry(place).or_insert(0) += row.tokens.expect("tokens");
        }
        free
    }

    fn judged(&self) -> Night {
        let mut night = Night::of(&self.ledger, &self.bill, &self.log, DATE_TELLS);
        let mut wrong = Vec::new();
        let rows = self.ledger.taken_by_rows();
        let totals: BTreeMap<_, _> = (self.ledger.totals.iter())
            .map(|(place, total)| (place.clone(), total.taken))
            .collect();
        if rows != totals {
            wrong.push(format!("rows {rows:?}, totals {totals:?}"));
        }
        if self.shared != self.ledger.totals {
            let (shared, ledgers) = (&self.shared, &self.ledger.totals);
            wrong.push(format!("Redis {shared:?}, sum of the ledgers {ledgers:?}"));
        }
        for (place, free) in self.free() {
            let (_, allowance) = ALLOWANCES[usize::from(place.1 == "small")];
            let taken = totals[&place];
            let least = taken.min(allowance.saturating_sub(TOKENS.1));
            if free > allowance || free < least {
                wrong.push(format!("free {free} of {taken} tokens: {place:?}"));
            }
        }
        let spent = |(place, taken): (&Place, &u64)| place.1 == "large" && *taken > ALLOWANCES[0].1;
        if totals.iter().filter(|total| spent(*total)).count() != 2 || totals.len() != 4 {
            wrong.push(format!("two days, both crossed: {totals:?}"));
        }
        night.findings.add("totals", wrong);
        night
    }

    /// Both days of the large group in words.
    fn told(&self) -> String {
        let free = self.free();
        let large = (self.shared.iter()).filter(|((_, group, _), _)| group == "large");
        let days = large.map(|(place, total)| {
            let free = free.get(place).copied().unwrap_or(0);
            format!(
                "{free} free of {} in Redis = sum of the ledgers",
                total.taken
            )
        });
        days.collect::<Vec<_>>().join(", then ")
    }
}

async fn night(jump: i64, after_crossing: AfterCrossing) -> Option<(Found, Night)> {
    for further in (0..TRIES).rev() {
        let found = lived(jump, after_crossing).await?;
        let unsure = found.out_of_step();
        if unsure == 0 || further == 0 {
            assert_eq!(unsure, 0, "calls out of step");
            let night = found.judged();
            return Some((found, night));
        }
        println!("{unsure} calls out of step on a busy machine; once more");
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_days_are_the_sum_of_all_replicas_whatever_a_clock_does() {
    if clock::library_or_skip("no midnight of replicas was tried").is_none() {
        return;
    }
    let both = [AfterCrossing::Billed, AfterCrossing::FreeIfItFits];
    let mut figures = Figures::of(
        "Midnight over replicas (clocks +300, -300 and 0 ms apart, the last one jumps)",
        "replicas-midnight",
    );
    let mut wrong = String::new();
    let nights: Vec<[i64; 2]> = if figures::is_deep() {
        JUMPS.map(|jump| [jump; 2]).into()
    } else {
        vec![[JUMPS[0], JUMPS[1]]]
    };
    for jumps in nights {
        // Both readings at once: they mostly wait.
        let (billed, fitting) = tokio::join!(night(jumps[0], both[0]), night(jumps[1], both[1]));
        let (Some(billed), Some(fitting)) = (billed, fitting) else {
            return;
        };
        for (place, (found, night)) in [billed, fitting].into_iter().enumerate() {
            let what = format!("a clock jumps by {} ms, {:?}", jumps[place], both[place]);
            let agreed = agreement::calls_of(&found.notes, &found.ledger, &found.bill, AT_ONCE);
            agreed.assert_nothing(&what);
            figures.line(
                &what,
                format!("{}; {} twice; {}", night.told(), agreed.twice, found.told()),
            );
            if !night.findings.is_empty() || night.straddles == 0 {
                wrong += &format!("{what}: {} lie across\n{}", night.straddles, night.findings);
            }
        }
    }
    figures.keep();
    assert!(wrong.is_empty(), "\n{wrong}");
}
