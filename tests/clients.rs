//! The product as programs of others see it: `OpenAI`'s own SDKs, curl, and a bill that a script
//! computes from the simulated `OpenAI`'s log.
//!
//! Knows how these programs are started and what they must print in the end; what they check on the
//! way there is their own affair.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use harness::day::{self, ACME, Day, GLOBEX, Way, keyed, taking};
use harness::foreign::{here, root, run, target};
use harness::proxy::Settled;
use harness::raw::Request;
use harness::sdks::{self, MOST_RUN, base_url, installed, node, python};
use serde_json::Value;
use simulator::{AfterCrossing, PayerShown};
use tempfile::TempDir;

/// The certainties of a call that was settled from reported usage.
const SETTLED: [&str; 3] = ["confirmed", "final", "assumed"];
/// Calls of the mixed day.
const CALLS: u64 = 400;

async fn begin() -> Day {
    Day::begin(AfterCrossing::Billed, PayerShown::NineOfTen).await
}

/// Runs a client with what a user sets to come here, and the way around the proxy.
async fn client(day: &Day, key: &str, command: Command) -> String {
    let mut command = sdks::alone(command, key, &base_url(day.proxy.address()));
    command.env("OPENAI_DIRECT_URL", base_url(day.simulator.address()));
    run(command, MOST_RUN).await
}

/// That the last line says that some checks were made and none failed.
fn all_passed(output: &str) {
    println!("{output}");
    let last = output.trim_end().lines().last().unwrap_or_default();
    let passed = last.strip_suffix(" passed, 0 failed");
    let passed: u32 = passed.and_then(|text| text.parse().ok()).unwrap_or(0);
    assert!(passed > 0, "the last line is {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_sees_what_it_sees_without() {
    if installed().await {
        all_passed(&client(&begin().await, ACME, python("checks.py")).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_sdk_sees_what_it_sees_without() {
    if installed().await {
        all_passed(&client(&begin().await, ACME, node("checks.mjs")).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_the_sdks_and_of_the_packages_under_them_are_settled_response_by_response() {
    if installed().await {
        all_passed(&client(&begin().await, ACME, python("sockets.py")).await);
        all_passed(&client(&begin().await, ACME, node("sockets.mjs")).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_packages_put_the_verdict_beside_each_answer() {
    if !installed().await {
        return;
    }
    let packages = root().join("clients");
    let day = begin().await;
    // The package is found in its folder, the SDK in the environment.
    let mut python = Command::new("env");
    python.arg(format!("PYTHONPATH={}", packages.join("python").display()));
    python.arg(target().join("clients/python/bin/python"));
    python.arg("-B").arg(packages.join("python/tests/check.py"));
    all_passed(&client(&day, ACME, python).await);
    // A module finds the SDK from where it stands.
    let beside = target().join("clients/node/package.mjs");
    std::fs::copy(packages.join("node/test/check.mjs"), &beside).expect("a copy");
    let mut node = Command::new("env");
    node.arg(format!(
        "TOLLFREE_PACKAGE={}",
        packages.join("node/index.js").display()
    ));
    node.arg("node").arg(beside);
    all_passed(&client(&day, ACME, node).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_in_typescript_may_read_the_tag_of_what_carries_one() {
    if !installed().await {
        return;
    }
    // The SDK is found in the folders above, the package as if it were installed.
    let folder = target().join("clients/node/types");
    let package = folder.join("node_modules/tollfree");
    std::fs::create_dir_all(&package).expect("a folder");
    let sources = root().join("clients/node");
    for file in ["index.js", "index.d.ts", "package.json"] {
        std::fs::copy(sources.join(file), package.join(file)).expect("a copy");
    }
    let program = folder.join("types.mts");
    std::fs::copy(sources.join("test/types.ts"), &program).expect("a copy");
    let mut tsc = node("node_modules/typescript/bin/tsc");
    tsc.args(["--noEmit", "--strict", "--skipLibCheck"]);
    tsc.args(["--target", "es2022", "--module", "nodenext"]);
    tsc.arg(program);
    run(tsc, MOST_RUN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_prints_tags_and_the_final_verdict() {
    if !here(&["bash", "curl"], "the check with curl") {
        return;
    }
    let day = begin().await;
    let mut curl = Command::new("bash");
    curl.arg(root().join("tests/clients/curl.sh"));
    let output = client(&day, ACME, curl).await;
    let said = |name: &str| -> Vec<&str> {
        let line = |line| str::strip_prefix(line, name)?.strip_prefix(": ");
        output.lines().filter_map(line).map(str::trim_end).collect()
    };
    let verdicts = said("x-tollfree-verdict");
    assert_eq!(verdicts.len(), 2, "{output}");
    assert_eq!(verdicts[0], "free", "the JSON answer's head: {output}");
    assert!(["free", "pending"].contains(&verdicts[1]), "{output}");
    assert_eq!(
        said("x-tollfree-tokens").len(),
        1,
        "no stream's head has them: {output}"
    );
    let last = output.trim_end().lines().last().unwrap_or_default();
    let settled: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{output}"));
    assert_eq!(settled["verdict"], "free", "{output}");
    assert_eq!(settled["call"], said("x-tollfree-call")[1], "{output}");
    assert!(
        SETTLED.contains(&settled["certainty"].as_str().unwrap_or_default()),
        "{output}"
    );
    assert!(settled["tokens"].as_u64() > Some(0), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_that_bills_passes_its_own_tests() {
    if !here(&["python3"], "the tests of the independent bill") {
        return;
    }
    let mut tests = Command::new("python3");
    tests.args(["-B", "-m", "unittest", "discover"]);
    tests.arg(root().join("tests/bill"));
    let output = run(tests, MOST_RUN).await;
    let ran = output
        .split("Ran ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let ran: u32 = ran.and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(ran > 0 && output.trim_end().ends_with("OK"), "{output}");
}

/// What the script says of each call in the log, in its order.
async fn billed(log: &Path, after_crossing: &str) -> Vec<Value> {
    let mut script = Command::new("python3");
    script.arg("-B").arg(root().join("tests/bill/bill.py"));
    script
        .args(["--json", "--after-crossing", after_crossing])
        .arg(log);
    let output = run(script, MOST_RUN).await;
    let line = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{output}"));
    output.lines().map(line).collect()
}

/// Call `number` of the mixed day: every endpoint, way, group and organization, large calls and small
/// ones, and now and then what cannot be free or looks odd.
fn mixed(number: u64) -> Request {
    let pick = |of: &[&'static str]| of[usize::try_from(number / 2).expect("small") % of.len()];
    let way = |of: &[Way]| of[usize::try_from(number).expect("small") % of.len()];
    let spread = number * 37 % 101;
    let (way, model, tokens) = match number % 10 {
        0..=3 => {
            let models = ["gpt-4o", "gpt-5.6", "gpt-6-luna", "gpt-4.1", "o3"];
            (
                way(&Way::OF_CHAT_MODELS),
                pick(&models),
                4_000 + 150 * spread,
            )
        }
        4..=6 => {
            let models = ["gpt-4o-mini", "gpt-5-mini", "gpt-5.6-luna", "o4-mini"];
            (
                way(&Way::OF_CHAT_MODELS),
                pick(&models),
                60_000 + 1_000 * spread,
            )
        }
        7 => {
            let models = ["gpt-3.5-turbo", "o3-mini", "gpt-6.1-sol", "gpt-4-turbo"];
            (way(&Way::OF_CHAT_MODELS), pick(&models), 1_000 + spread)
        }
        8 => (
            way(&Way::OF_COMPLETION_MODELS),
            "gpt-3.5-turbo-instruct",
            100 + spread,
        ),
        _ => (Way::Embeddings, "text-embedding-3-small", 20 + spread),
    };
    // A small call now and then: by the other reading it may still fit after the crossing call.
    let tokens = if number.is_multiple_of(9) {
        300
    } else {
        tokens
    };
    let odd = match number % 23 {
        3 => "[tier flex]",
        5 => "[tokens cached=8 reasoning=4]",
        7 => "[tier priority]",
        11 => "[incomplete]",
        13 => "[chunks 40]",
        17 if matches!(way, Way::Response | Way::ResponseStream) => "[tool web_search]",
        19 if matches!(way, Way::Response | Way::ResponseStream) => "[failed]",
        _ => "",
    };
    let key = if number % 7 == 6 { GLOBEX } else { ACME };
    keyed(way.request(model, &(taking(tokens) + odd)), key)
}

/// Compares what was settled with the script's two bills, of which `ours` is read as the proxy reads.
fn compare(settled: &Settled, ours: &Value, other: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {settled:?}\n  instead of {ours}"));
    let id = settled.text("response-id").or(settled.text("request-id"));
    if id != ours["response_id"].as_str() {
        return wrong("another call");
    }
    if settled.text("verdict") != ours["verdict"].as_str() {
        return wrong("verdict");
    }
    if settled.number("tokens") != ours["tokens"].as_u64() {
        return wrong("tokens");
    }
    if settled.text("disputed").is_some()
        || settled.flag("disputed") != (ours["verdict"] != other["verdict"])
    {
        return wrong("disputed");
    }
    if ours["group"].is_null() {
        return match settled.text("reason") {
            Some("model-not-listed") => Ok(()),
            _ => wrong("reason"),
        };
    }
    let remaining = settled.number("remaining-tokens");
    let allowance = settled.number("allowance-tokens").unwrap_or_default();
    let total = ours["running_total"].as_u64().unwrap_or_default();
    if settled.text("group") != ours["group"].as_str()
        || remaining != Some(allowance.saturating_sub(total))
    {
        return wrong("standing");
    }
    Ok(())
}

async fn every_verdict_is_the_scripts(after_crossing: AfterCrossing, ours: &str, other: &str) {
    if !here(&["python3"], "the comparison with the independent bill") {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("log.jsonl");
    let mut settings = day::settings(after_crossing, PayerShown::Never);
    settings.log = Some(log.clone());
    let day = Day::of(settings).await;
    let mut all = Vec::new();
    for number in 0..CALLS {
        all.push(day.settle(&mixed(number)).await.1);
    }
    let (ours, other) = (billed(&log, ours).await, billed(&log, other).await);
    assert_eq!((ours.len(), other.len()), (all.len(), all.len()));
    let each = all.iter().zip(ours.iter().zip(&other));
    let wrong: Vec<String> = each
        .filter_map(|(settled, (ours, other))| compare(settled, ours, other).err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {CALLS}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let reasons: HashSet<_> = all
        .iter()
        .filter_map(|settled| settled.text("reason"))
        .collect();
    let told = [
        "within-allowance",
        "crossing-call",
        "model-not-listed",
        "organization-not-enrolled",
        "service-tier",
    ];
    let untold: Vec<_> = told
        .iter()
        .filter(|reason| !reasons.contains(**reason))
        .collect();
    assert!(
        untold.is_empty(),
        "a poor day, without {untold:?}: {reasons:?}"
    );
    let disputed = all
        .iter()
        .filter(|settled| settled.flag("disputed"))
        .count();
    assert!(
        disputed > 0,
        "a poor day: both readings agree on every call"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verdict_is_the_scripts_by_the_published_table() {
    every_verdict_is_the_scripts(AfterCrossing::Billed, "billed", "free-if-it-fits").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verdict_is_the_scripts_by_the_other_reading() {
    every_verdict_is_the_scripts(AfterCrossing::FreeIfItFits, "free-if-it-fits", "billed").await;
}
