//! Each fuzz target of `fuzz/` for a while, beginning with what its readers are shown in tests. Only where it is asked
//! for: `just fuzz SECONDS`, and the long run (`DEEP=1`), which has four hours of one processor for all of them together
//! and writes its figures into `docs/reliability.md`.
//!
//! Knows what the targets are called and what they begin with; not what they look for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use harness::built::cargo;
use harness::figures::{Figures, is_deep, number};

/// Seconds that the long run has for all targets together.
const DEEP_SECONDS: u64 = 4 * 60 * 60;
/// The variable that says how many seconds of a processor each target gets.
const SECONDS: &str = "FUZZ_SECONDS";
/// The shortest run that is worth its start.
const LEAST_SECONDS: u64 = 10;

#[test]
fn no_bytes_break_a_reader() {
    let Some(seconds) = number(SECONDS).or_else(|| is_deep().then_some(0)) else {
        println!("skipped: {SECONDS} says for how long, or DEEP=1");
        return;
    };
    said(&mut cargo_fuzz("build"));
    let targets = said(&mut cargo_fuzz("list"));
    let targets: Vec<&str> = targets.lines().collect();
    let seconds = match seconds {
        0 => DEEP_SECONDS / targets.len() as u64,
        _ => seconds,
    };
    let mut figures = Figures::of("Fuzzing", "fuzz").built("optimised, with AddressSanitizer");
    figures.line("seconds of a processor for each target, at least", seconds);
    let broken = beside_each_other(&targets, seconds, &mut figures);
    figures.keep();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// As many at a time as there are processors; gives what those said that broke.
fn beside_each_other(targets: &[&str], seconds: u64, figures: &mut Figures) -> Vec<String> {
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(targets.iter().copied());
    let next = || waiting.lock().expect("no panic").next();
    let ran: Mutex<BTreeMap<&str, Ran>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(target) = next() {
                    begin(target);
                    let fared = fared(target, seconds);
                    println!("{target}: {}", fared.figure());
                    ran.lock().expect("no panic").insert(target, fared);
                }
            });
        }
    });
    let ran = ran.into_inner().expect("no panic");
    let worked: Duration = ran.values().map(|ran| ran.worked).sum();
    figures.line(
        "hours of one processor, all together",
        format!("{:.1}", worked.as_secs_f64() / 3600.0),
    );
    for (target, ran) in &ran {
        figures.line(target, ran.figure());
    }
    let broken = ran.into_values().filter(|ran| ran.crashes > 0);
    broken.map(|ran| ran.told).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// `cargo fuzz` in its folder, with the stable compiler's leave to instrument.
fn cargo_fuzz(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.args(["fuzz", command]).current_dir(folder());
    cargo.env("RUSTC_BOOTSTRAP", "1");
    // Where memory came from matters once something is found, and then it is run again by hand.
    let quick = "detect_stack_use_after_return=0:malloc_context_size=0:quarantine_size_mb=4";
    cargo.env("ASAN_OPTIONS", quick);
    if command != "list" {
        cargo.arg("-O");
    }
    cargo
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("cargo");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    String::from_utf8(output.stdout).expect("text")
}

/// Puts down what a target begins with, beside what earlier runs found.
fn begin(target: &str) {
    let corpus = folder().join("corpus").join(target);
    fs::create_dir_all(&corpus).expect("a folder");
    for (name, bytes) in beginnings(target) {
        fs::write(corpus.join(name), bytes).expect("a file");
    }
}

/// What a target begins with, by name.
fn beginnings(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "config" => sections("tollfree.toml"),
        "offer" => sections("offer.toml"),
        "head" | "message" => files(&folder().join("heads")),
        // The bytes in front of a fixture choose what is read and how it is cut.
        "json_usage" | "sse" | "usage_ask" => fixtures(b""),
        "response_reader" => fixtures(b"\0\0\0"),
        _ => fixtures(b"\0"),
    }
}

/// The first lines of a section that say enough for a whole file.
const FIRST: usize = 3;

/// The sections of a file that is shipped, without its remarks, and with every key that stands there as its default; and
/// the first lines of them all, which are a file without a mistake where each section is a list.
fn sections(shipped: &str) -> Vec<(String, Vec<u8>)> {
    let text = fs::read_to_string(folder().join("../../config").join(shipped)).expect("a file");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.is_empty());
    let mut sections: Vec<Vec<&str>> = vec![Vec::new()];
    for line in lines.map(|line| line.strip_prefix('#').unwrap_or(line)) {
        if line.starts_with('[') {
            sections.push(Vec::new());
        }
        sections.last_mut().expect("one at least").push(line);
    }
    let short = sections
        .iter()
        .flat_map(|section| section.iter().take(FIRST));
    let short: Vec<&str> = short.copied().collect();
    sections.push(short);
    let named = (0..).zip(sections);
    named
        .map(|(number, lines): (u32, _)| (number.to_string(), lines.join("\n").into_bytes()))
        .collect()
}

/// The fixtures of the readers behind these bytes.
fn fixtures(before: &[u8]) -> Vec<(String, Vec<u8>)> {
    let kinds = fs::read_dir(folder().join("../../crates/wire/fixtures")).expect("fixtures");
    let kinds = kinds.map(|kind| kind.expect("a folder").path());
    let fixtures = kinds
        .filter(|kind| kind.is_dir())
        .flat_map(|kind| files(&kind));
    fixtures
        .map(|(name, bytes)| (name, [before, &bytes].concat()))
        .collect()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| {
        let file = file.expect("a file");
        let name = file.file_name().to_string_lossy().into_owned();
        (name, fs::read(file.path()).expect("a file"))
    });
    files.collect()
}

/// How a target fared.
#[derive(Default)]
struct Ran {
    runs: u64,
    /// By a processor: others may work beside.
    worked: Duration,
    crashes: u64,
    /// The end of what it said.
    told: String,
}

impl Ran {
    fn figure(&self) -> String {
        let Ran { runs, crashes, .. } = self;
        let each_second = u128::from(*runs) * 1000 / self.worked.as_millis().max(1);
        format!("{runs} runs, {each_second} a second of processor time, {crashes} crashes")
    }
}

/// Runs a target until processors have worked on it for so long, however busy they are with others.
fn fared(target: &str, seconds: u64) -> Ran {
    let mut all = Ran::default();
    let budget = Duration::from_secs(seconds);
    while all.crashes == 0 && all.worked < budget {
        // Where little is left, starting would be most of it.
        let left = budget
            .saturating_sub(all.worked)
            .as_secs()
            .max(LEAST_SECONDS);
        let Ran {
            runs,
            worked,
            crashes,
            told,
        } = ran(target, left);
        all.runs += runs;
        all.worked += worked;
        (all.crashes, all.told) = (crashes, told);
    }
    all
}

/// Runs a target once, for so many seconds of the clock.
fn ran(target: &str, seconds: u64) -> Ran {
    let limits = ["-max_len=4096", "-dict=words.dict", "-print_final_stats=1"];
    let mut run = cargo_fuzz("run");
    run.args([target, "--"])
        .args(limits)
        .arg(format!("-max_total_time={seconds}"));
    let Output {
        status,
        stderr,
        stdout,
        ..
    } = timed(&run).output().expect("bash");
    let told = String::from_utf8_lossy(&stderr);
    let figure = |name: &str| -> u64 {
        let figure = told
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        figure
            .and_then(|figure| figure.trim().parse().ok())
            .unwrap_or(0)
    };
    let lines: Vec<&str> = told.lines().collect();
    Ran {
        runs: figure("stat::number_of_executed_units"),
        worked: worked(&String::from_utf8_lossy(&stdout)),
        crashes: u64::from(!status.success()),
        told: lines[lines.len().saturating_sub(60)..].join("\n"),
    }
}

/// The same command, which says in the end how long processors worked on it.
fn timed(command: &Command) -> Command {
    let mut timed = Command::new("bash");
    timed
        .args(["-c", "\"$@\"; ended=$?; times; exit $ended", "bash"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    timed.current_dir(command.get_current_dir().expect("a folder"));
    timed
}

/// What bash says in the last of its lines: user and system time of what it started, as `0m1.234s`.
fn worked(told: &str) -> Duration {
    let last = told.lines().last().unwrap_or_default();
    let times = last.split_whitespace().filter_map(|time| {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        let minutes = Duration::from_secs(60 * minutes.parse::<u64>().ok()?);
        Some(minutes + Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?)
    });
    times.sum()
}
