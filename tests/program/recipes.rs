//! The programs that people copy: each runs as it is printed, says the verdict with tollfree in between, and runs all
//! the same with tollfree taken away.
//!
//! Knows which programs there are and what their last line is; how they come to it is their own affair.

use std::path::Path;
use std::process::Command;

use harness::day::{ACME, Day, GLOBEX};
use harness::foreign::{root, run, target};
use harness::sdks::{self, MOST_RUN, base_url, installed, node, python};
use simulator::{AfterCrossing, PayerShown};

/// The certainties of a call that was settled from reported usage.
const SETTLED: [&str; 3] = ["confirmed", "final", "assumed"];
/// What a language says where there is no such header.
const NOTHING: [&str; 3] = ["None None", "undefined undefined", "null null"];

/// What a program says last of its call's verdict.
async fn told(command: Command, key: &str, base_url: &str) -> String {
    let shown = format!("{command:?}");
    let output = run(sdks::alone(command, key, base_url), MOST_RUN).await;
    let last = output.trim_end().lines().last().unwrap_or_default();
    let told = last.strip_prefix("verdict: ");
    told.unwrap_or_else(|| panic!("{shown}: {output}"))
        .to_owned()
}

async fn begin() -> Day {
    Day::begin(AfterCrossing::Billed, PayerShown::NineOfTen).await
}

async fn says(day: &Day, program: Command, key: &str, verdict: &str) {
    let shown = format!("{program:?}");
    let said = told(program, key, &base_url(day.proxy.address())).await;
    let (word, certainty) = said.split_once(' ').unwrap_or_default();
    assert_eq!(word, verdict, "{shown}: {said}");
    assert!(SETTLED.contains(&certainty), "{shown}: {said}");
}

async fn says_the_verdict_and_runs_without(program: impl Fn() -> Command) {
    let day = begin().await;
    says(&day, program(), ACME, "free").await;
    let said = told(program(), ACME, &base_url(day.simulator.address())).await;
    assert!(NOTHING.contains(&said.as_str()), "{:?}: {said}", program());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_organization_that_is_not_enrolled_it_says_billed() {
    if installed().await {
        let day = begin().await;
        for file in ["chat.py", "stream.py"] {
            says(&day, python(file), GLOBEX, "billed").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_openais_sdk_for_python() {
    if installed().await {
        for file in ["chat.py", "stream.py"] {
            says_the_verdict_and_runs_without(|| python(file)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_openais_sdk_for_node() {
    if installed().await {
        for file in ["chat.mjs", "stream.mjs"] {
            says_the_verdict_and_runs_without(|| node(file)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_langchain() {
    if installed().await {
        says_the_verdict_and_runs_without(|| python("langchain_chat.py")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_vercels_ai_sdk() {
    if installed().await {
        says_the_verdict_and_runs_without(|| node("ai_sdk.mjs")).await;
    }
}

/// The program of a package's README.
fn printed(package: &str, language: &str) -> String {
    let file = root().join("clients").join(package).join("README.md");
    let readme = std::fs::read_to_string(file).expect("a README");
    let (_, rest) = readme
        .split_once(&format!("```{language}\n"))
        .expect("a program");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_package_for_python() {
    if !installed().await {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("program.py");
    std::fs::write(&file, printed("python", "python")).expect("a file");
    let package = root().join("clients/python");
    says_the_verdict_and_runs_without(|| {
        let mut program = Command::new("env");
        program
            .arg(format!("PYTHONPATH={}", package.display()))
            .arg(python_on(&file).get_program())
            .args(python_on(&file).get_args());
        program
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_package_for_node() {
    if !installed().await {
        return;
    }
    // The package is not installed there: it is named by where it is.
    let package = root().join("clients/node/index.js");
    let program = printed("node", "js");
    let program = program.replace("'tollfree'", &format!("'{}'", package.display()));
    std::fs::write(target().join("clients/node/readme.mjs"), program).expect("a file");
    says_the_verdict_and_runs_without(|| node("readme.mjs")).await;
}

/// The program that the page shows while no call was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_page_without_a_call() {
    if !installed().await {
        return;
    }
    let page = std::fs::read_to_string(root().join("crates/admin/page/main.js")).expect("text");
    let (_, rest) = page.split_once("const PYTHON = `").expect("a program");
    let (program, _) = rest.split_once("`;").expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("program.py");
    std::fs::write(&file, program).expect("a file");
    let day = begin().await;
    for (address, word) in [
        (day.proxy.address(), "free "),
        (day.simulator.address(), "None "),
    ] {
        let command = sdks::alone(python_on(&file), ACME, &base_url(address));
        let output = run(command, MOST_RUN).await;
        assert!(output.starts_with(word), "{output}");
    }
}

fn python_on(file: &Path) -> Command {
    let mut python = Command::new(target().join("clients/python/bin/python"));
    python.arg("-B").arg(file);
    python
}

#[test]
fn the_readme_shows_these_programs() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).expect("text");
    let readme = text("README.md");
    for file in ["chat.py", "stream.py", "langchain_chat.py"] {
        let program = text(&format!("tests/clients/python/{file}"));
        let (_, code) = program.split_once("\"\"\"\n\n").expect("a doc comment");
        assert!(readme.contains(code), "the README shows another {file}");
    }
    for file in ["chat.mjs", "ai_sdk.mjs"] {
        let program = text(&format!("tests/clients/node/{file}"));
        let (_, code) = program.split_once('\n').expect("a comment");
        assert!(readme.contains(code), "the README shows another {file}");
    }
}
