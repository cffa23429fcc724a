//! The page in a real Chromium, before the real binary and a simulated `OpenAI`: what people see, by hand and by
//! keyboard, through a restart, with names that want to be more than text. Pictures of it are written to
//! `target/page`.
//!
//! Knows how the scripts in `page/` are run and what they need from outside; what is to be seen stands in them.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::beside;
use harness::chat;
use harness::clock::{self, FakedClock};
use harness::day::{ACME, Way, keyed};
use harness::foreign::{here, root, run, target};
use harness::kept::Kept;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::Request;
use harness::sdks::{MOST_RUN, installed};
use harness::sqlite;
use harness::upstream::{Step, Upstream, sized};
use simulator::{AfterCrossing, Clock};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Where Debian's package puts the browser.
const CHROMIUM: &str = "chromium";
/// Models, organizations and ids that want to be more than text, as they stand in a JSON string; all in lines that HTTP
/// can carry.
const HOSTILE: [&str; 4] = [
    "<img src=x onerror='window.wasRun=1;alert(1)'>",
    "<script>window.wasRun=1</script>",
    "rtl-\u{202e}gnirts-\u{2066}txet\u{2069}-end",
    "x' onfocus='window.wasRun=1' autofocus='",
];
/// A day and a minute in milliseconds.
const DAY: i64 = 24 * 60 * MINUTE;
const MINUTE: i64 = 60_000;
/// The days before the one that is shown.
const DAYS_BEFORE: i64 = 24;
/// When that day's calls of the large group come, in minutes after midnight, and their tokens; the last but two crosses.
const LARGE: [(i64, u64); 11] = [
    (45, 20_000),
    (190, 64_000),
    (415, 82_000),
    (520, 120_000),
    (610, 96_000),
    (745, 143_000),
    (880, 175_000),
    (1_015, 118_000),
    (1_150, 157_000),
    (1_274, 30_000),
    (1_276, 30_000),
];
/// When on that day the proxy is not running, in minutes after midnight.
const NOT_RUNNING: Range<i64> = 440..515;
/// When on that day a call comes whose usage never does, in minutes after midnight.
const UNKNOWN: i64 = 1_290;
/// A model without free tokens: nothing of it leaves open what remains.
const NOT_ELIGIBLE: &str = "gpt-3.5-turbo-0125";
/// When it is looked at: some time after the crossing, in minutes after midnight.
const SEEN: i64 = 1_394;
/// Minutes of a day.
const WHOLE_DAY: i64 = 1_440;
/// Calls of the small group each day.
const SMALL: i64 = 30;
/// Letters of a name that is too long for any line.
const LONG: usize = 240;

/// Lays out the browser's driver beside the other pinned packages, and the scripts where they find it. False where the
/// browser cannot be had here.
async fn is_ready() -> bool {
    static READY: OnceCell<bool> = OnceCell::const_new();
    *READY.get_or_init(laid_out).await
}

async fn laid_out() -> bool {
    if !here(&[CHROMIUM], "THE PAGE IN A BROWSER") || !installed().await {
        return false;
    }
    let folder = scripts();
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::create_dir_all(pictures()).expect("a folder");
    for entry in std::fs::read_dir(root().join("tests/page")).expect("scripts") {
        let entry = entry.expect("a script");
        std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
    }
    true
}

/// A module finds its packages from where it stands.
fn scripts() -> PathBuf {
    target().join("clients/node/page")
}

fn pictures() -> PathBuf {
    target().join("page")
}

fn browser() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&folders).map(|folder| folder.join(CHROMIUM));
    found.find(|path| path.is_file()).expect("a browser")
}

fn script(name: &str, proxy: &Proxy, page: SocketAddr) -> Command {
    let mut node = Command::new("node");
    node.arg(scripts().join(name));
    node.env("PAGE", format!("http://{page}/"));
    node.env("PROXY", format!("http://{}", proxy.address()));
    node.env("PICTURES", pictures());
    node.env("CHROMIUM", browser());
    node
}

fn all_passed(output: &str) {
    let last = output.trim_end().lines().last().unwrap_or_default();
    let passed = last.strip_suffix(" passed, 0 failed");
    let passed: u32 = passed.and_then(|text| text.parse().ok()).unwrap_or(0);
    assert!(passed > 0, "{output}");
}

fn on(setup: ProxySetup, page: &str) -> ProxySetup {
    setup.variable("TOLLFREE_ADMIN_LISTEN", page)
}

/// Waits until a script asks for something.
async fn wish(file: &Path) {
    eventually(&file.display().to_string(), || file.exists().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_appear_by_themselves_and_a_restart_is_survived() {
    if !is_ready().await {
        return;
    }
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    let proxy = Proxy::start(on(kept.setup(), "127.0.0.1:0"));
    let page = beside::address(&proxy);
    let wishes = tempfile::tempdir().expect("a folder");
    let file = |name: &str| wishes.path().join(name);
    let mut node = script("live.mjs", &proxy, page);
    for name in ["KILL", "START", "STOP"] {
        node.env(name, file(name));
    }
    let mut seeing = tokio::spawn(run(node, MOST_RUN));
    let restarting = async {
        wish(&file("KILL")).await;
        proxy.kill();
        wish(&file("START")).await;
        let mut again = Proxy::start(on(kept.setup(), &page.to_string()));
        assert_eq!(beside::address(&again), page);
        wish(&file("STOP")).await;
        again.terminate();
        again.wait_for_exit();
    };
    tokio::select! {
        seen = &mut seeing => panic!("it ended too soon: {seen:?}"),
        () = restarting => {}
    }
    all_passed(&seeing.await.expect("a run"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_seen_on_any_width_in_both_schemes_and_by_keyboard_alone() {
    if !is_ready().await {
        return;
    }
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    let proxy = Proxy::start(on(kept.setup(), "127.0.0.1:0"));
    let page = beside::address(&proxy);
    all_passed(&run(script("day.mjs", &proxy, page), MOST_RUN).await);
}

/// A proxy whose clock is set from call to call, before an upstream that says no date: nothing corrects it.
struct Month {
    data: TempDir,
    proxy: Proxy,
    clock: FakedClock,
    begins: i64,
    upstream: Upstream,
}

impl Month {
    async fn begin() -> Month {
        let upstream = Upstream::start(|request| {
            let said = |name| request.headers.get(name).unwrap_or_default().to_owned();
            let tokens = said("x-tokens").parse();
            let usage = tokens.map_or_else(
                |_none| String::new(),
                |tokens| format!(",{}", chat::usage(tokens, 0)),
            );
            let body = chat::completion("c", &said("x-model"), "Hi", &usage);
            let organization = ("openai-organization", "acme");
            vec![Step::Bytes(sized(200, &[chat::JSON, organization], &body))]
        })
        .await;
        let begins = (clock::real() / DAY - DAYS_BEFORE - 1) * DAY;
        let clock = FakedClock::apart(begins - clock::real());
        let data = tempfile::tempdir().expect("a folder");
        let proxy = Month::proxy(&upstream, &data, &clock);
        Month {
            data,
            proxy,
            clock,
            begins,
            upstream,
        }
    }

    fn proxy(upstream: &Upstream, data: &TempDir, clock: &FakedClock) -> Proxy {
        let setup = ProxySetup::to(&upstream.url())
            .variable("TOLLFREE_DATA_DIR", &data.path().display().to_string())
            .variable("TOLLFREE_USAGE_TIER", "3")
            .variable("TOLLFREE_ENROLLED", "true")
            .variable("TOLLFREE_SHARED_PROJECTS", "all")
            .variable("TOLLFREE_COVERAGE", "all");
        Proxy::start(clock.around(on(setup, "127.0.0.1:0")))
    }

    /// The clock so many minutes after the midnight of that day.
    fn at(&self, day: i64, minute: i64) {
        let now = self.begins + day * DAY + minute * MINUTE;
        self.clock.set(now - clock::real());
    }

    /// The proxy is stopped at the one minute of a day and started again at the other.
    fn not_running(&mut self, day: i64, minutes: &Range<i64>) {
        self.at(day, minutes.start);
        self.proxy.terminate();
        self.proxy.wait_for_exit();
        self.at(day, minutes.end);
        self.proxy = Month::proxy(&self.upstream, &self.data, &self.clock);
    }

    /// A call so many minutes after the midnight of that day; without tokens its usage never comes.
    async fn call(&self, day: i64, minute: i64, model: &str, tokens: Option<u64>) {
        self.at(day, minute);
        let mut call = Request::post(chat::PATH, chat::ask(model, "")).header("x-model", model);
        if let Some(tokens) = tokens {
            call = call.header("x-tokens", &tokens.to_string());
        }
        let answer = self.proxy.exchange(&keyed(call, ACME)).await;
        assert_eq!(answer.status(), 200);
    }

    /// The calls of a day between these minutes.
    async fn day(&self, day: i64, large: &[(i64, u64)], minutes: Range<i64>) {
        let mut calls: Vec<_> = large
            .iter()
            .map(|(at, tokens)| (*at, "gpt-5.6-sol", *tokens))
            .collect();
        for number in 0..SMALL {
            let tokens = 40_000 + u64::try_from(number * number % 17 * 19_000).expect("small");
            calls.push((60 + number * 40, "gpt-5.4-mini-2026-03-17", tokens));
        }
        calls.push((700, NOT_ELIGIBLE, 41_200));
        calls.retain(|(minute, ..)| minutes.contains(minute));
        calls.sort_unstable();
        for (minute, model, tokens) in calls {
            self.call(day, minute, model, Some(tokens)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_that_ends_with_a_crossing_is_seen_as_a_whole() {
    if !is_ready().await {
        return;
    }
    if clock::library_or_skip("no month passed before the page").is_none() {
        return;
    }
    let mut month = Month::begin().await;
    for day in 0..DAYS_BEFORE {
        let share = usize::try_from(4 + day * day % 8).expect("small");
        let large = &LARGE[..share.min(LARGE.len())];
        month.day(day, large, 0..WHOLE_DAY).await;
    }
    month.day(DAYS_BEFORE, &LARGE, 0..NOT_RUNNING.start).await;
    month.not_running(DAYS_BEFORE, &NOT_RUNNING);
    let rest = NOT_RUNNING.end..WHOLE_DAY;
    month.day(DAYS_BEFORE, &LARGE, rest).await;
    let (minute, model) = (UNKNOWN, NOT_ELIGIBLE);
    month.call(DAYS_BEFORE, minute, model, None).await;
    let page = beside::address(&month.proxy);
    eventually("the last day in the tables", || {
        let ledger = sqlite::read(month.data.path()).ok()?;
        let mut rows = ledger.rows.iter();
        rows.any(|row| row.verdict == "unknown").then_some(())
    })
    .await;
    month.at(DAYS_BEFORE, SEEN);
    all_passed(&run(script("month.mjs", &month.proxy, page), MOST_RUN).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_stays_open_goes_on_with_the_next_day() {
    if !is_ready().await {
        return;
    }
    if clock::library_or_skip("no midnight passed before the page").is_none() {
        return;
    }
    let month = Month::begin().await;
    let (minute, model) = (WHOLE_DAY - 10, "gpt-5.6-sol");
    month.call(0, minute, model, Some(20_000)).await;
    let page = beside::address(&month.proxy);
    let wishes = tempfile::tempdir().expect("a folder");
    let midnight = wishes.path().join("MIDNIGHT");
    let mut node = script("midnight.mjs", &month.proxy, page);
    node.env("MIDNIGHT", &midnight);
    let mut seeing = tokio::spawn(run(node, MOST_RUN));
    tokio::select! {
        seen = &mut seeing => panic!("it ended too soon: {seen:?}"),
        () = wish(&midnight) => month.at(1, 5),
    }
    all_passed(&seeing.await.expect("a run"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_from_outside_are_only_text() {
    if !is_ready().await {
        return;
    }
    let upstream = Upstream::start(|request| {
        let number: usize = request
            .headers
            .get("x-number")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let long = "long-".repeat(LONG / 5);
        let name = HOSTILE.get(number).copied().unwrap_or(&long);
        let usage = chat::usage(10, 5);
        let body = chat::completion(&format!("{name}{number}"), name, "Hi", &format!(",{usage}"));
        let organization = ("openai-organization", "<b>bold</b>");
        let id = format!("<i>req{number}</i>");
        vec![Step::Bytes(sized(
            200,
            &[chat::JSON, organization, ("x-request-id", &id)],
            &body,
        ))]
    })
    .await;
    let proxy = Proxy::start(on(ProxySetup::to(&upstream.url()), "127.0.0.1:0"));
    let page = beside::address(&proxy);
    for number in 0..=HOSTILE.len() {
        let ask = Way::Chat
            .request("gpt-4o-mini", "Hi")
            .header("x-number", &number.to_string());
        let answer = proxy.exchange(&keyed(ask, "sk-of-somebody")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let settled = format!(
            "/api/v1/calls/{}",
            answer.header("x-tollfree-call").expect("an id")
        );
        let deadline = std::time::Instant::now() + Duration::from_secs(15);
        while beside::get(page, &settled).await.status() != 200 {
            assert!(
                std::time::Instant::now() < deadline,
                "{settled} is not in the tables"
            );
        }
    }
    all_passed(&run(script("hostile.mjs", &proxy, page), MOST_RUN).await);
}
