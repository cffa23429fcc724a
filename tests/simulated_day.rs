//! A day of a large house in a minute: ten million calls of a thousand organizations with a midnight among them, settled
//! by the meter and kept by the ledger. Every span and every verdict is held against sums made here, the tables against
//! the same sums afterwards; memory is watched, and the program is started on what came of it.
//!
//! Knows the meter, the ledger and the documented tables; no sockets until the start. `CALLS` says how many.

#[path = "grown/sample.rs"]
mod sample;

use std::path::Path;
use std::time::{Duration, Instant};

use counted::{LARGE_MODEL, SMALL_MODEL, rules};
use harness::chance::Chance;
use harness::chat::{self, JSON};
use harness::day::keyed;
use harness::figures::{self, Figures};
use harness::gauge::{self, MIB, mib};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::Request;
use harness::upstream::{Step, Upstream, sized};
use harness::{clock, sqlite};
use ledger::{Durability, Entry, Kept, Ledger, LedgerSettings, Lock, SettledCall, Tokens};
use meter::{Evidence, FinishedCall, Meter, Organization, Rules, Settlement, Usage};
use sample::DAY_MS;

/// Calls where nobody says how many: in the gate, and in the long run.
const CALLS: [u64; 2] = [20_000, 10_000_000];
/// Organizations.
const ORGANIZATIONS: usize = 1_000;
/// Model groups: name, model, allowance at usage tier 3.
const GROUPS: [(&str, &str, u64); 2] = [
    ("large", LARGE_MODEL, 1_000_000),
    ("small", SMALL_MODEL, 10_000_000),
];
/// Tokens of a call, least and most, where the day has ten million; fewer calls take more, so that allowances are
/// crossed all the same.
const TOKENS: (u64, u64) = (20, 1_600);
/// Calls between two looks at memory and at whether the ledger keeps up.
const LOOK: u64 = 1_000;
/// Of the calls, the part after which everything has been made once and memory may not grow any more.
const WARM_PART: u64 = 5;
/// It may all the same, by so much.
const MOST_GROWN: u64 = 16 * MIB;
/// The longest wait for the last entry to be moved.
const MOST_CLOSING: Duration = Duration::from_mins(2);
/// The longest start. An unoptimised program on a busy machine gets more.
const MOST_START: Duration = if cfg!(debug_assertions) {
    Duration::from_secs(5)
} else {
    Duration::from_secs(1)
};
/// Organizations whose standing is asked for after the start.
const ASKED: usize = 20;
/// Tokens of such a call.
const ASKED_TOKENS: u64 = 46;

/// What one organization took of one group on one day, counted by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    calls: u64,
    taken: u64,
    free: u64,
}

impl Sum {
    /// Counts a call by the published rule; says whether it is free.
    fn add(&mut self, tokens: u64, allowance: u64) -> bool {
        let is_free = self.taken + tokens <= allowance;
        self.calls += 1;
        self.taken += tokens;
        self.free += if is_free { tokens } else { 0 };
        is_free
    }
}

/// By organization, group, and whether it is the second day.
type Sums = Vec<[[Sum; 2]; 2]>;

struct Day {
    meter: Meter,
    rules: Rules,
    organizations: Vec<Organization>,
    ledger: Ledger,
    sums: Sums,
    /// Unix milliseconds of the first call; the last is a day later.
    began: i64,
    /// Resident memory now and then.
    weights: Vec<u64>,
}

impl Day {
    /// The day until now.
    fn new(folder: &Path) -> Day {
        let began = clock::real() - DAY_MS;
        let settings = LedgerSettings {
            folder: folder.to_owned(),
            durability: Durability::Crash,
            keep_days: 400,
        };
        let lock = Lock::take(folder, MOST_CLOSING).expect("a folder of our own");
        // It began before the first of the two days: nothing of them has to be assumed.
        let opened = Ledger::open(settings, Some(lock), began - DAY_MS);
        assert!(opened.troubles.is_empty(), "{:?}", opened.troubles);
        let meter = Meter::new(0);
        let named = |number| meter.organizations().named(&name(number)).expect("room");
        Day {
            organizations: (0..ORGANIZATIONS).map(named).collect(),
            meter,
            rules: rules(),
            ledger: opened.ledger,
            sums: vec![Default::default(); ORGANIZATIONS],
            began,
            weights: Vec::new(),
        }
    }

    /// Lives through it.
    fn pass(&mut self, calls: u64) {
        let mut chance = Chance::of(1);
        let scale = (CALLS[1] / calls).max(1);
        for number in 0..calls {
            let at = self.began
                + DAY_MS * i64::try_from(number).expect("few") / i64::try_from(calls).expect("few");
            let whose =
                usize::try_from(chance.between(0, ORGANIZATIONS as u64 - 1)).expect("an index");
            let group = usize::from(chance.percent(50));
            let tokens = chance.between(TOKENS.0, TOKENS.1) * scale;
            self.call(number, at, (whose, group), tokens);
            if number % LOOK == 0 {
                sample::keeps_up(&self.ledger);
                self.weights.push(gauge::resident(std::process::id()));
            }
        }
    }

    fn call(&mut self, number: u64, at: i64, (whose, group): (usize, usize), tokens: u64) {
        let (_, model, allowance) = GROUPS[group];
        let usage = Usage {
            input: tokens - tokens / 4,
            output: tokens / 4,
            ..Usage::default()
        };
        let settlement = self.meter.settle(
            &self.rules,
            &FinishedCall {
                organization: &self.organizations[whose],
                project: Some("proj_1"),
                model: Some(model),
                model_is_asked: false,
                service_tier: Some("default"),
                payer: None,
                hosted_tool: false,
                usage,
                evidence: Evidence::Reported,
                began: at / 1_000,
                at: at / 1_000,
            },
        );
        let second = usize::from(at.div_euclid(DAY_MS) != self.began.div_euclid(DAY_MS));
        let sum = &mut self.sums[whose][group][second];
        let before = sum.taken;
        let verdict = if sum.add(tokens, allowance) {
            "free"
        } else {
            "billed"
        };
        let span = settlement.span.expect("an eligible call");
        assert_eq!(
            (span.before, span.after),
            (before, before + tokens),
            "call {number}"
        );
        assert_eq!(settlement.verdict.as_str(), verdict, "call {number}");
        let kept = self.ledger.keep(&[Entry::Settled(self.row(
            number,
            at,
            (whose, group),
            &settlement,
        ))]);
        assert!(!matches!(kept, Kept::No), "call {number} was refused");
    }

    fn row(
        &self,
        number: u64,
        at: i64,
        (whose, group): (usize, usize),
        settlement: &Settlement,
    ) -> SettledCall<'_> {
        let usage = settlement.usage.expect("reported");
        let mut key = [0; 16];
        key[..8].copy_from_slice(&(whose as u64).to_le_bytes());
        SettledCall {
            day: settlement.day.number(),
            organization: self.organizations[whose].name().into(),
            key_hash: Some(key),
            model: Some(GROUPS[group].1.into()),
            group: Some(GROUPS[group].0.into()),
            usage: Some(Tokens {
                input: usage.input,
                output: usage.output,
                ..Tokens::default()
            }),
            span: settlement.span.map(|span| (span.before, span.after)),
            fitted: settlement.fitted,
            allowance: settlement.allowance,
            remaining: settlement.remaining,
            verdict: settlement.verdict.as_str().into(),
            certainty: settlement
                .certainty
                .map(|certainty| certainty.as_str().into()),
            assumes: settlement.assumes.to_string().into(),
            reason: settlement.reason.as_str().into(),
            ours: settlement.ours.as_str().into(),
            disputed: settlement.disputed,
            ..sample::settlement(usize::try_from(number).expect("few"), at)
        }
    }

    /// The sums by the names that the tables have for them.
    fn named(&self) -> Vec<(String, &'static str, bool, Sum)> {
        let mut named = Vec::new();
        for (whose, groups) in self.sums.iter().enumerate() {
            for (group, days) in groups.iter().enumerate() {
                for (day, sum) in days.iter().enumerate().filter(|(_, sum)| sum.calls > 0) {
                    named.push((name(whose), GROUPS[group].0, day == 1, *sum));
                }
            }
        }
        named
    }
}

fn name(organization: usize) -> String {
    format!("house-{organization:04}")
}

/// The sums as the tables have them, in the same order.
fn kept_sums(folder: &Path) -> Vec<(String, String, bool, Sum)> {
    let tables = sqlite::open(folder).expect("tables");
    let mut query = tables
        .prepare(
            "SELECT organization, model_group, day > (SELECT min(day) FROM totals), calls, taken_tokens, free_tokens
             FROM totals ORDER BY organization, model_group, day",
        )
        .expect("the documented columns");
    let number = |row: &rusqlite::Row<'_>, column| row.get(column).map(i64::cast_unsigned);
    let rows = query.query_map([], |row| {
        let sum = Sum {
            calls: number(row, 3)?,
            taken: number(row, 4)?,
            free: number(row, 5)?,
        };
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, sum))
    });
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

/// Starts the program on the ledger and asks for the standings of some organizations; how long the start took.
async fn start(folder: &Path, day: &Day) -> Duration {
    let today = day.began + DAY_MS;
    let upstream = Upstream::start(|asked| {
        let whose = asked.headers.get("x-whose").unwrap_or_default().to_owned();
        let heads = [JSON, ("openai-organization", whose.as_str())];
        let usage = format!(",{}", chat::usage(12, ASKED_TOKENS - 12));
        vec![Step::Bytes(sized(
            200,
            &heads,
            &chat::completion("chatcmpl-1", SMALL_MODEL, "Hi", &usage),
        ))]
    })
    .await;
    let setup = ProxySetup::to(&upstream.url())
        .variable("TOLLFREE_DATA_DIR", &folder.display().to_string())
        .variable("TOLLFREE_USAGE_TIER", "3")
        .declared();
    // The first one may have to be built; the second is the one that is timed.
    Proxy::start(setup.clone()).kill();
    let began = Instant::now();
    let proxy = Proxy::start(setup);
    let took = began.elapsed();
    for whose in (0..ORGANIZATIONS).step_by(ORGANIZATIONS / ASKED) {
        let request =
            Request::post(chat::PATH, chat::ask(SMALL_MODEL, "")).header("x-whose", &name(whose));
        let answer = proxy.exchange(&keyed(request, "sk-asked")).await;
        let remains = answer.header("x-tollfree-remaining-tokens");
        let taken = day.sums[whose][1][1].taken + ASKED_TOKENS;
        let expected = GROUPS[1].2.saturating_sub(taken).to_string();
        // Only a test that met a real midnight itself has nothing to compare with.
        if clock::real().div_euclid(DAY_MS) == today.div_euclid(DAY_MS) {
            assert_eq!(remains, Some(&*expected), "{}", name(whose));
        }
    }
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_a_thousand_organizations_is_exact_and_memory_stays_flat() {
    let calls = figures::number("CALLS").unwrap_or(CALLS[usize::from(figures::is_deep())]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let mut day = Day::new(&data);
    let began = Instant::now();
    day.pass(calls);
    day.ledger.close(MOST_CLOSING).expect("closed");
    let took = began.elapsed();

    let counted = day.named();
    let kept = kept_sums(&data);
    let same = |ours: &(String, &str, bool, Sum), theirs: &(String, String, bool, Sum)| {
        (&*ours.0, ours.1, ours.2, ours.3) == (&*theirs.0, &*theirs.1, theirs.2, theirs.3)
    };
    assert_eq!(counted.len(), kept.len());
    for (ours, theirs) in counted.iter().zip(&kept) {
        assert!(same(ours, theirs), "{ours:?} {theirs:?}");
    }
    assert_eq!(counted.iter().map(|sum| sum.3.calls).sum::<u64>(), calls);
    let crossed = counted
        .iter()
        .filter(|sum| sum.3.free < sum.3.taken)
        .count();
    assert!(
        crossed > 0 && crossed < counted.len(),
        "{crossed} of {}",
        counted.len()
    );
    let size = std::fs::metadata(data.join("ledger.sqlite"))
        .expect("a file")
        .len();
    let start = start(&data, &day).await;
    report(
        calls,
        took,
        (counted.len(), crossed),
        &day.weights,
        size,
        start,
    );
}

fn report(
    calls: u64,
    took: Duration,
    (totals, crossed): (usize, usize),
    weights: &[u64],
    size: u64,
    start: Duration,
) {
    let warm = weights[weights.len() / usize::try_from(WARM_PART).expect("few")];
    let most = *weights.iter().max().expect("weights");
    let last = *weights.last().expect("weights");
    let mut figures = Figures::of("A simulated day", "simulated-day");
    figures.line("calls, organizations", format!("{calls}, {ORGANIZATIONS}"));
    figures.line(
        "time until the last one is in the tables",
        format!("{:.1} s", took.as_secs_f64()),
    );
    figures.line(
        "totals (organization, group, day), all exact; of these crossed",
        format!("{totals}, {crossed}"),
    );
    figures.line(
        &format!("memory after a {WARM_PART}th of the day, at its end, and the most there was"),
        format!("{}, {}, {}", mib(warm), mib(last), mib(most)),
    );
    figures.line("size of the ledger", mib(size));
    figures.line(
        "start on it, after a kill",
        format!("{} ms", start.as_millis()),
    );
    figures.keep();
    assert!(
        last < warm + MOST_GROWN,
        "memory grew from {} to {}",
        mib(warm),
        mib(last)
    );
    assert!(start < MOST_START, "the start took {start:?}");
}
