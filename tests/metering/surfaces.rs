//! One day with everything in it (a crossing, a call that is unknown, some that are not eligible) on every surface: header,
//! `status`, `report`, `calls`, the page's answers and the metrics say the same numbers, and name the same crossing call.
//!
//! Knows how each surface is asked and what its members are called; whether the numbers are right is for others.

use std::net::SocketAddr;

use harness::beside::{self, get, json};
use harness::command::Task;
use harness::day::{ACME, GLOBEX, Way, keyed};
use harness::kept::Kept;
use harness::patience::eventually;
use harness::proxy::Proxy;
use harness::raw::Answer;
use harness::sqlite;
use serde_json::Value;
use simulator::{AfterCrossing, Clock, PayerShown};

/// Calls of a day: whose, the model, and what it takes or how it goes. One crosses, one is unknown.
const CALLS: [(&str, &str, &str); 10] = [
    (ACME, "gpt-5.6", "[tokens in=399990 out=10]"),
    (ACME, "gpt-5.6", "[tokens in=574990 out=10]"),
    (ACME, "gpt-5.6", CROSSING),
    (ACME, "gpt-5.6", "[tokens in=790 out=10]"),
    (ACME, "gpt-4o-mini", "[tokens in=6000 out=10]"),
    (ACME, "gpt-4o-mini", "[no usage]"),
    (ACME, "gpt-4o-mini", "[tokens in=7000 out=10]"),
    (ACME, "gpt-3.5-turbo", "[tokens in=41190 out=10]"),
    (GLOBEX, "gpt-4o-mini", "[tokens in=500 out=10]"),
    (GLOBEX, "gpt-5.6", "[tokens in=600 out=10]"),
];
const CROSSING: &str = "[tokens in=29990 out=10]";
/// The sums that `report` and the page's answer both have, by their names in both.
const SUMS: [&str; 8] = [
    "calls",
    "free_calls",
    "billed_calls",
    "unknown_calls",
    "free_tokens",
    "billed_tokens",
    "allowance_tokens",
    "unused_free_tokens",
];

/// What `status` and the page's answer say of all calls of an organization, in dollars.
const SUMS_OF_MONEY: [&str; 4] = ["cost_usd", "cost_is_more", "saved_usd", "saved_is_more"];

/// A day that was lived through.
struct Lived {
    kept: Kept,
    address: SocketAddr,
    /// The answer of the call that crossed.
    crossing: Answer,
    _proxy: Proxy,
}

impl Lived {
    async fn through() -> Lived {
        let mut settings = harness::kept::settings(Clock::System, AfterCrossing::Billed);
        settings.show_payer = PayerShown::Never;
        let kept = Kept::of(settings).await;
        let proxy = Proxy::start(kept.setup());
        let mut crossing = None;
        for (key, model, words) in CALLS {
            let request = keyed(Way::Chat.request(model, words), key);
            let answer = proxy.exchange(&request).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            if words == CROSSING {
                crossing = Some(answer);
            }
        }
        eventually("every call in the tables", || {
            let ledger = sqlite::read(kept.folder()).ok()?;
            (ledger.rows.len() == CALLS.len()).then_some(())
        })
        .await;
        Lived {
            address: beside::address(&proxy),
            crossing: crossing.expect("one of them"),
            kept,
            _proxy: proxy,
        }
    }

    /// What a command prints.
    fn printed(&self, arguments: &[&str]) -> String {
        let folder = self.kept.folder().display().to_string();
        let task = Task::new(arguments).variable("TOLLFREE_DATA_DIR", &folder);
        let ended = task.run();
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.errors);
        ended.output
    }

    fn object(&self, arguments: &[&str]) -> Value {
        let text = self.printed(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// What the only sample of the metric says that has all of these labels.
    async fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> String {
        let text = get(self.address, "/metrics").await.text();
        let has = |line: &str| {
            let labelled =
                |(label, value): &(&str, &str)| line.contains(&format!("{label}=\"{value}\""));
            line.starts_with(&format!("{name}{{")) && labels.iter().all(labelled)
        };
        let line = text.lines().find(|line| has(line)).expect("a sample");
        line.rsplit(' ').next().expect("a value").to_owned()
    }

    /// The sum of the metric's samples that have all of these labels.
    async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let text = get(self.address, "/metrics").await.text();
        let mut sum = 0;
        for line in text.lines() {
            let Some((named, rest)) = line.split_once('{') else {
                continue;
            };
            let (found, value) = rest.rsplit_once("} ").expect("labels");
            let has =
                |(label, value): &(&str, &str)| found.contains(&format!("{label}=\"{value}\""));
            if named == name && labels.iter().all(has) {
                sum += value.parse::<u64>().expect("a count");
            }
        }
        sum
    }
}

fn list<'v>(value: &'v Value, member: &str) -> &'v Vec<Value> {
    value[member]
        .as_array()
        .unwrap_or_else(|| panic!("{member} in {value}"))
}

/// The one of a list with these members.
fn one<'v>(list: &'v [Value], members: &[(&str, &Value)]) -> &'v Value {
    let is_it = |value: &&Value| {
        members
            .iter()
            .all(|(name, wanted)| value[*name] == **wanted)
    };
    let mut found = list.iter().filter(is_it);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{members:?} in {list:?}"));
    assert!(found.next().is_none(), "{members:?} twice in {list:?}");
    first
}

/// Rows with a header, each as an object of texts.
fn rows(text: &str, between: char) -> Vec<Value> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(between).collect();
    let row = |line: &str| {
        let cells = line
            .split(between)
            .map(|cell| Value::from(cell.trim_matches('"')));
        let members = names.iter().map(|name| (*name).to_owned()).zip(cells);
        Value::Object(members.collect())
    };
    lines.map(row).collect()
}

/// A value as the cell of a row.
fn cell(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crossing_call_is_the_same_one_everywhere() {
    let lived = Lived::through().await;
    let header = |name: &str| lived.crossing.header(name).expect("a tag").to_owned();
    assert_eq!(header("x-tollfree-reason"), "crossing-call");
    let (call, tokens) = (header("x-tollfree-call"), header("x-tollfree-tokens"));
    let row = sqlite::row_of(lived.kept.folder(), &call);
    let row = row.expect("a ledger").expect("a row");
    let (before, after) = row.span.expect("a span");
    let organization = Value::from("acme");
    let status = lived.object(&["status", "--json"]);
    let mine = one(
        list(&status, "organizations"),
        &[("organization", &organization)],
    );
    let commanded =
        &one(list(mine, "groups"), &[("group", &Value::from("large"))])["crossing_call"];
    let days = json(lived.address, "/api/v1/days?days=1").await;
    let members = [
        ("organization", &organization),
        ("group", &Value::from("large")),
    ];
    let counted = &one(list(&days, "days"), &members)["crossing"];
    let curve = json(lived.address, "/api/v1/curve?organization=acme&group=large").await;
    let listed = json(lived.address, "/api/v1/calls?reason=crossing-call").await;
    let listed = one(list(&listed, "calls"), &[]);
    let line = lived.object(&["calls", "--reason", "crossing-call", "--json"]);
    for (where_, id, took) in [
        ("status", &commanded["call"], &commanded["tokens"]),
        ("days", &counted["call"], &counted["tokens"]),
        (
            "curve",
            &curve["crossing"]["call"],
            &curve["crossing"]["tokens"],
        ),
        ("page's list", &listed["call"], &listed["tokens"]),
        ("calls", &line["call"], &line["tokens"]),
    ] {
        assert_eq!(
            (cell(id), cell(took)),
            (call.clone(), tokens.clone()),
            "{where_}"
        );
    }
    let at = &counted["at"];
    assert!(at.is_string(), "{counted}");
    assert_eq!(&curve["crossing"]["at"], at);
    assert_eq!(&commanded["at"], at);
    assert_eq!(&listed["settled_at"], at);
    assert_eq!(&line["settled_at"], at);
    assert_eq!(counted["before_tokens"], before);
    assert_eq!(commanded["before_tokens"], before);
    // The curve steps there, to where the call ended.
    let stepped = list(&curve, "points").iter().any(|point| point[1] == after);
    assert!(stepped, "{after} in {curve}");
    // Nothing is left, on any of them.
    assert_eq!(header("x-tollfree-remaining-tokens"), "0");
    assert_eq!(
        lived.printed(&["status", "--remaining", "large"]).trim(),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_report_page_and_metrics_say_the_same_sums() {
    let lived = Lived::through().await;
    let days = json(lived.address, "/api/v1/days?days=1").await;
    let standing = json(lived.address, "/api/v1/standing").await;
    let report = lived.object(&["report", "--days", "1", "--json"]);
    let as_rows = rows(&lived.printed(&["report", "--days", "1", "--header"]), '\t');
    let as_csv = rows(&lived.printed(&["report", "--days", "1", "--csv"]), ',');
    let status = lived.object(&["status", "--json"]);
    let status_rows = rows(&lived.printed(&["status", "--header"]), '\t');
    assert_eq!(as_rows, as_csv);
    for sum in list(&days, "sums") {
        let members = [("organization", &sum["organization"])];
        let total = &one(list(&status, "organizations"), &members)["total"];
        for name in SUMS[..6].iter().chain(&SUMS_OF_MONEY) {
            assert_eq!(total[*name], sum[*name], "status: {name} of {sum}");
        }
    }
    let days = list(&days, "days");
    assert_eq!(list(&report, "rows").len(), days.len());
    for day in days {
        let (organization, group) = (&day["organization"], &day["group"]);
        // Calls that are not eligible have no group: null, everywhere.
        let members = [("organization", organization), ("group", group)];
        let reported = one(list(&report, "rows"), &members);
        for name in SUMS {
            // Where there is no number yet, each says so in a word of its own.
            let numbers = (reported[name].as_u64(), day[name].as_u64());
            assert_eq!(numbers.0, numbers.1, "report: {name} of {day}");
        }
        let mine = one(
            list(&status, "organizations"),
            &[("organization", organization)],
        );
        let today = one(list(mine, "today"), &[("group", group)]);
        for name in &SUMS[..6] {
            assert_eq!(today[*name], day[*name], "status: {name} of {day}");
        }
        for dollars in ["cost_usd", "saved_usd"] {
            assert_eq!(reported[dollars], today[dollars], "{dollars} of {day}");
            assert_eq!(reported[dollars], day[dollars], "{dollars} of {day}");
        }
        if !group.is_null() {
            let members = [("organization", organization), ("group", group)];
            let row = one(&status_rows, &members);
            let stands = one(list(&standing, "organizations"), &members[..1]);
            let stands = one(list(stands, "groups"), &members[1..]);
            for name in [
                "allowance_tokens",
                "taken_tokens",
                "remaining_tokens",
                "at_most",
            ] {
                assert_eq!(cell(&row[name]), cell(&stands[name]), "{name} of {row}");
            }
            for name in ["calls", "free_tokens", "billed_tokens", "unknown_calls"] {
                assert_eq!(cell(&row[name]), cell(&day[name]), "{name} of {row}");
            }
        }
    }
    metrics_agree(&lived, days, &report["total"]).await;
}

/// Counts of all calls: the metrics' are the days', and the report's last line.
async fn metrics_agree(lived: &Lived, days: &[Value], total: &Value) {
    for (verdict, calls) in [
        ("free", "free_calls"),
        ("billed", "billed_calls"),
        ("unknown", "unknown_calls"),
    ] {
        let sum: u64 = days
            .iter()
            .map(|day| day[calls].as_u64().expect("a count"))
            .sum();
        assert!(sum > 0, "{verdict}");
        assert_eq!(total[calls], sum, "{verdict}");
        let labels = [("verdict", verdict)];
        assert_eq!(
            lived.metric("tollfree_calls_total", &labels).await,
            sum,
            "{verdict}"
        );
    }
    for (verdict, tokens) in [("free", "free_tokens"), ("billed", "billed_tokens")] {
        let labels = [("verdict", verdict)];
        let sum = total[tokens].as_u64().expect("a count");
        assert_eq!(
            lived.metric("tollfree_tokens_total", &labels).await,
            sum,
            "{verdict}"
        );
    }
}

/// What is said of it everywhere.
const SAID: &str = "OpenAI bills group small of acme until 00:00 UTC";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_openai_says_it_bills_is_free_nowhere() {
    let mut settings = harness::kept::settings(Clock::System, AfterCrossing::Billed);
    settings.show_payer = PayerShown::Always;
    for organization in &mut settings.organizations {
        organization.enrolled = false;
    }
    let kept = Kept::of(settings).await;
    let proxy = Proxy::start(kept.setup());
    let mut remaining = None;
    for _ in 0..5 {
        let request = keyed(
            Way::Response.request("gpt-4o-mini", "[tokens in=90 out=10]"),
            ACME,
        );
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.header("x-tollfree-verdict"), Some("billed"));
        remaining = answer
            .header("x-tollfree-remaining-tokens")
            .map(ToOwned::to_owned);
    }
    assert_eq!(remaining.as_deref(), Some("0"));
    let stream = keyed(
        Way::ResponseStream.request("gpt-4o-mini", "[tokens in=90 out=10]"),
        ACME,
    );
    let head = proxy.exchange(&stream).await;
    assert_eq!(head.header("x-tollfree-reason"), Some("payer-says-billed"));
    assert_eq!(head.header("x-tollfree-remaining-tokens"), Some("0"));
    let lived = Lived {
        address: beside::address(&proxy),
        crossing: head,
        kept,
        _proxy: proxy,
    };
    let standing = json(lived.address, "/api/v1/standing").await;
    let members = [("organization", &Value::from("acme"))];
    let stands = one(list(&standing, "organizations"), &members);
    let small = one(list(stands, "groups"), &[("group", &Value::from("small"))]);
    assert_eq!(small["remaining_tokens"], 0);
    assert_eq!(small["largest_free_call_tokens"], 0);
    assert_eq!(small["payer_says_billed"], true);
    let labels = [("organization", "acme"), ("group", "small")];
    assert_eq!(
        lived.gauge("tollfree_remaining_tokens", &labels).await,
        "0.0"
    );
    assert_eq!(
        lived.printed(&["status", "--remaining", "small"]).trim(),
        "0"
    );
    let folder = lived.kept.folder().display().to_string();
    let upstream = format!("http://{}", lived.kept.simulator.address());
    let check = Task::new(&["check"])
        .variable("TOLLFREE_DATA_DIR", &folder)
        .variable("TOLLFREE_UPSTREAM", &upstream)
        .run();
    let status = Task::new(&["status"])
        .variable("TOLLFREE_DATA_DIR", &folder)
        .run();
    let health = get(lived.address, "/healthz").await.text();
    for said in [&health, &check.output, &status.errors] {
        assert!(said.contains(SAID), "{said}");
    }
}
