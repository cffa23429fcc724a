//! The figures of a day on every surface of the program: header, page, command, metrics and ledger say the same integers
//! at the same moment, and the metrics are as the format is written.
//!
//! Knows how each surface is asked; who is answered at all is tested in `admin`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;

use harness::beside::{self, get, json};
use harness::chat;
use harness::command::Task;
use harness::day::{Way, keyed, taking};
use harness::foreign::{root, run, target};
use harness::kept::{KEYS, Kept};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, Connection, Request};
use harness::sdks::{MOST_RUN, installed};
use harness::sqlite::{self, Ledger};
use harness::upstream::{Step, Upstream, sized};
use serde_json::Value;
use simulator::{AfterCrossing, Clock};

/// Connections that make calls at once, and calls on each: some thousands in all.
const CONNECTIONS: usize = 6;
const CALLS_EACH: usize = 400;
/// How a reader of metrics asks for the newer of their two formats.
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";
/// More organizations than have series of their own.
const ORGANIZATIONS: usize = 70;

async fn kept() -> Kept {
    Kept::new(Clock::System, AfterCrossing::Billed).await
}

/// A text of metrics as a strict reader reads it.
struct Metrics {
    families: BTreeSet<String>,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Metrics {
    /// Nothing where the reader cannot be had here. The older format must have the same samples.
    async fn of(address: SocketAddr) -> Option<Metrics> {
        if !installed().await {
            return None;
        }
        let newer = Metrics::read(address, OPEN_METRICS, &[]).await;
        let older = Metrics::read(address, "text/plain;version=0.0.4", &["text"]).await;
        let names = |metrics: &Metrics| -> BTreeSet<_> {
            let samples = metrics.samples.iter();
            samples
                .map(|(name, labels, _)| (name.clone(), labels.clone()))
                .collect()
        };
        assert_eq!(names(&newer), names(&older));
        Some(newer)
    }

    async fn read(address: SocketAddr, format: &str, words: &[&str]) -> Metrics {
        let asked = Request::get("/metrics").header("accept", format);
        let answer = raw::exchange(address, &asked).await;
        assert_eq!(answer.status(), 200);
        let said = answer
            .header("content-type")
            .expect("a type")
            .replace("; ", ";");
        assert!(said.starts_with(format), "{said}");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("metrics");
        std::fs::write(&file, &answer.body.bytes).expect("a file");
        let mut reader = Command::new(target().join("clients/python/bin/python"));
        reader
            .arg("-B")
            .arg(root().join("tests/clients/python/metrics.py"))
            .arg(&file)
            .args(words);
        let read: Value = serde_json::from_str(&run(reader, MOST_RUN).await).expect("JSON");
        let samples = read["samples"]
            .as_array()
            .expect("samples")
            .iter()
            .map(|one| {
                let labels = one["labels"].as_object().expect("labels").iter();
                let labels = labels
                    .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()));
                let value = one["value"].as_f64().expect("a number");
                (
                    one["name"].as_str().expect("a name").to_owned(),
                    labels.collect(),
                    value,
                )
            });
        Metrics {
            families: read["families"]
                .as_object()
                .expect("families")
                .keys()
                .cloned()
                .collect(),
            samples: samples.collect(),
        }
    }

    /// The sum of the samples of this name that have all of these labels.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of a test are small"
    )]
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let chosen = self.samples.iter().filter(|(named, found, _)| {
            let has =
                |(label, value): &(&str, &str)| found.get(*label).is_some_and(|one| one == value);
            named == name && labels.iter().all(has)
        });
        chosen.map(|(.., value)| value).sum::<f64>() as u64
    }
}

/// What the answers of some thousand calls said, added up by whoever made them.
#[derive(Default)]
struct Seen {
    calls: u64,
    free: u64,
    billed: u64,
    pending: u64,
    /// Of the whole answers.
    tokens: u64,
}

async fn many_calls(address: SocketAddr, connection: usize) -> Seen {
    let ways = [Way::Chat, Way::ChatStream, Way::Response, Way::Chat];
    let models = ["gpt-4o-mini", "gpt-5.6", "gpt-3.5-turbo"];
    let mut open = Connection::open(address).await.expect("a listener");
    let mut seen = Seen::default();
    for number in 0..CALLS_EACH {
        let model = models[number % models.len()];
        let tokens = 900 + u64::try_from(number).expect("small");
        let request = ways[number % ways.len()].request(model, &taking(tokens));
        let answer = open
            .exchange(&keyed(request, KEYS[connection % KEYS.len()]))
            .await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        seen.calls += 1;
        match answer.header("x-tollfree-verdict").expect("a verdict") {
            "free" => seen.free += 1,
            "billed" => seen.billed += 1,
            _ => seen.pending += 1,
        }
        seen.tokens += tokens;
    }
    seen
}

async fn some_thousand_calls(address: SocketAddr) -> Seen {
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|connection| tokio::spawn(many_calls(address, connection)))
        .collect();
    let mut all = Seen::default();
    for task in tasks {
        let one = task.await.expect("calls");
        all.calls += one.calls;
        all.free += one.free;
        all.billed += one.billed;
        all.pending += one.pending;
        all.tokens += one.tokens;
    }
    all
}

/// The groups of an organization as `/api/v1/standing` and `status --json` say them.
fn group<'v>(said: &'v Value, organization: &str, group: &str) -> &'v Value {
    let named = |list: &'v Value, member: &str, name: &str| {
        let mut all = list.as_array().expect("a list").iter();
        all.find(|one| one[member] == name)
            .unwrap_or_else(|| panic!("{name} in {list}"))
    };
    let organization = named(&said["organizations"], "organization", organization);
    named(&organization["groups"], "group", group)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_page_command_metric_and_ledger_say_the_same_integers() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let address = beside::address(&proxy);
    if Metrics::of(address).await.is_none() {
        return;
    }
    let seen = some_thousand_calls(proxy.address()).await;
    let calls = usize::try_from(seen.calls).expect("small");
    let ledger = eventually("every call in the tables", || {
        sqlite::read(kept.folder())
            .ok()
            .filter(|ledger| ledger.rows.len() == calls)
    })
    .await;
    // The very last word of each header: a call after all others, once for each total.
    let standing = json(address, "/api/v1/standing").await;
    let metrics = Metrics::of(address).await.expect("a reader");
    let status = Task::new(["status", "--json"])
        .variable("TOLLFREE_DATA_DIR", &kept.folder().display().to_string())
        .run();
    let status: Value = serde_json::from_str(&status.output).expect("JSON");
    let days = json(address, "/api/v1/days?days=1").await;
    let today = standing["day"].as_str().expect("a day");
    for organization in ["acme", "globex", "initech"] {
        for name in ["large", "small"] {
            let said = group(&standing, organization, name);
            let commanded = group(&status, organization, name);
            let labels = [("organization", organization), ("group", name)];
            for member in ["allowance_tokens", "taken_tokens", "remaining_tokens"] {
                let number = said[member].as_u64().expect("a number");
                assert_eq!(
                    commanded[member], number,
                    "status: {organization} {name} {member}"
                );
                let metric = metrics.sum(&format!("tollfree_{member}"), &labels);
                assert_eq!(metric, number, "metric: {organization} {name} {member}");
            }
            let taken = said["taken_tokens"].as_u64().expect("a number");
            let place = (organization.to_owned(), name.to_owned(), today.to_owned());
            let by_rows = ledger.taken_by_rows().get(&place).copied().unwrap_or(0);
            assert_eq!(by_rows, taken, "ledger: {organization} {name}");
            let day = days["days"].as_array().expect("days").iter();
            let mine: u64 = day
                .filter(|one| one["organization"] == organization && one["group"] == name)
                .map(|one| one["taken_tokens"].as_u64().expect("a number"))
                .sum();
            assert_eq!(mine, taken, "page: {organization} {name}");
        }
    }
    counts_agree(&seen, &days, &metrics, &ledger);
    headers_go_on_from_there(&proxy, &standing).await;
}

/// Counts over everything: what clients saw, what was counted, what was written.
fn counts_agree(seen: &Seen, days: &Value, metrics: &Metrics, ledger: &Ledger) {
    let sum = |member: &str| -> u64 {
        let days = days["days"].as_array().expect("days").iter();
        days.map(|one| one[member].as_u64().expect("a number"))
            .sum()
    };
    assert_eq!(seen.calls, sum("calls"));
    assert_eq!(seen.calls, metrics.sum("tollfree_settlements_total", &[]));
    assert_eq!(seen.tokens, metrics.sum("tollfree_tokens_total", &[]));
    for verdict in ["free", "billed"] {
        let rows = ledger.rows.iter().filter(|row| row.verdict == verdict);
        let tokens: u64 = rows.clone().filter_map(|row| row.tokens).sum();
        let rows = u64::try_from(rows.count()).expect("small");
        assert_eq!(sum(&format!("{verdict}_calls")), rows, "{verdict}");
        assert_eq!(sum(&format!("{verdict}_tokens")), tokens, "{verdict}");
        let labels = [("verdict", verdict)];
        assert_eq!(
            metrics.sum("tollfree_calls_total", &labels),
            rows,
            "{verdict}"
        );
        assert_eq!(
            metrics.sum("tollfree_tokens_total", &labels),
            tokens,
            "{verdict}"
        );
    }
}

/// The next answer's header is the standing less its own tokens.
async fn headers_go_on_from_there(proxy: &Proxy, standing: &Value) {
    for (model, name) in [("gpt-4o-mini", "small"), ("gpt-5.6", "large")] {
        let before = group(standing, "acme", name)["remaining_tokens"]
            .as_u64()
            .expect("a number");
        let call = keyed(Way::Chat.request(model, &taking(700)), KEYS[0]);
        let answer = proxy.exchange(&call).await;
        let said = answer
            .header("x-tollfree-remaining-tokens")
            .expect("a number");
        let after = before.saturating_sub(700);
        assert_eq!(said.parse(), Ok(after), "{name}: {:?}", answer.head.headers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_figure_that_dashboard_and_alerts_name_is_there_from_the_start() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let address = beside::address(&proxy);
    let Some(metrics) = Metrics::of(address).await else {
        return;
    };
    let crossing = |(name, labels, _): &(String, BTreeMap<String, String>, f64)| {
        name == "tollfree_settlements_total" && labels["reason"] == "crossing-call"
    };
    // An alert on an increase sees none where the series begins at 1.
    assert!(
        metrics.samples.iter().any(crossing),
        "no series before the first crossing"
    );
    for file in [
        "deploy/grafana/tollfree.json",
        "deploy/prometheus/alerts.yml",
    ] {
        let text = std::fs::read_to_string(root().join(file)).expect("text");
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let named: BTreeSet<&str> = text
            .match_indices("tollfree_")
            .map(|(at, _)| {
                let rest = &text[at..];
                &rest[..rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())]
            })
            .collect();
        assert!(named.len() > 5, "{file}: {named:?}");
        for name in named {
            let family = ["_total", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name);
            assert!(
                metrics.families.contains(family),
                "{file}: {name} is no figure"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_organizations_and_models_make_no_more_series_than_are_allowed() {
    let upstream = Upstream::start(|request| {
        let number = request.headers.get("x-number").unwrap_or("0").to_owned();
        let organization = format!("organization-{number}");
        let usage = chat::usage(10, 5);
        let model = format!("strange-\"{number}\\n");
        let model = model.replace('\\', "\\\\").replace('"', "\\\"");
        let body = chat::completion("c", &model, "Hi", &format!(",{usage}"));
        let headers = [
            chat::JSON,
            chat::DATE,
            ("openai-organization", &organization),
        ];
        vec![Step::Bytes(sized(200, &headers, &body))]
    })
    .await;
    let setup = ProxySetup::to(&upstream.url());
    let proxy = Proxy::start(setup.variable("TOLLFREE_DATA_DIR", "off"));
    let address = beside::address(&proxy);
    for number in 0..ORGANIZATIONS {
        let ask = Request::post(chat::PATH, chat::ask(chat::MODEL, ""))
            .header("x-number", &number.to_string());
        let answer = proxy.exchange(&keyed(ask, &format!("sk-{number}"))).await;
        assert_eq!(answer.status(), 200);
    }
    let Some(metrics) = Metrics::of(address).await else {
        return;
    };
    let named = metrics
        .samples
        .iter()
        .filter_map(|(_, labels, _)| labels.get("organization"));
    let named: BTreeSet<_> = named.collect();
    assert!(
        named.len() <= 51,
        "{} organizations have series",
        named.len()
    );
    assert!(
        named.contains(&"other".to_owned()),
        "those after them are lost"
    );
    let standing = json(address, "/api/v1/standing").await;
    let taken = standing["organizations"].as_array().expect("a list").iter();
    let taken: u64 = taken
        .flat_map(|one| one["groups"].as_array().expect("a list"))
        .map(|one| one["taken_tokens"].as_u64().expect("a number"))
        .sum();
    assert_eq!(
        metrics.sum("tollfree_taken_tokens", &[]),
        taken,
        "`other` is the rest"
    );
    let text = get(address, "/metrics").await.text();
    assert!(!text.contains("strange-"), "a model is no label");
    assert!(
        text.lines().count() < 1_500,
        "{} lines",
        text.lines().count()
    );
}
