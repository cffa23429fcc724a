//! strace around the program: faults put into chosen system calls on chosen files, and a record of what
//! the program asked of the system, in order.
//!
//! It must not know what the files hold. The tracer steps aside (`-D`): the program stays the test's own
//! child, and ending the tracer lets it run on untouched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::patience::eventually;
use crate::{clock, command};

/// The tail's segments that are watched, by the second they were begun in, seen from now: one begun by a
/// program that just ended, and all that a test begins.
const SECONDS_BEFORE: i64 = 2;
const SECONDS_AFTER: i64 = 60;

/// Whether strace can be had and may trace here; what is missing otherwise.
pub fn missing() -> Option<String> {
    let mut probe = Command::new("strace");
    probe.args(["-D", "-f", "-qq", "-o", "/dev/null", "true"]);
    probe.stdout(Stdio::null()).stderr(Stdio::piped());
    match probe.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("strace: {error}")),
    }
}

/// The segments of the tail in this folder, those to come in the next minute as well: each is named after the
/// second it was begun in.
pub fn tail_files(folder: &Path) -> Vec<PathBuf> {
    let now = clock::real() / 1_000;
    let name = |second| folder.join(format!("ledger-{second:08x}.tail"));
    (now - SECONDS_BEFORE..now + SECONDS_AFTER)
        .map(name)
        .collect()
}

/// A fault for the system calls of these names on these files.
#[derive(Clone, Debug)]
pub struct Fault<'f> {
    /// Names with commas between them, such as `write,pwrite64`.
    pub calls: &'f str,
    /// What happens: `error=ENOSPC`, `delay_enter=200000`.
    pub what: &'f str,
    /// Which of them, counted for each thread and each name: `7`, `7+`, `1..20`.
    pub when: &'f str,
    /// The files; others are left alone.
    pub files: Vec<PathBuf>,
}

impl Fault<'_> {
    /// The command to start the program under; the tracer writes what it did to `log`.
    pub fn command(&self, log: &Path) -> Vec<String> {
        let mut command = base();
        command.extend(["-o".to_owned(), log.display().to_string()]);
        for file in &self.files {
            command.extend(["-P".to_owned(), file.display().to_string()]);
        }
        let (calls, what, when) = (self.calls, self.what, self.when);
        command.extend(["-e".to_owned(), format!("trace={calls}")]);
        command.extend([
            "-e".to_owned(),
            format!("inject={calls}:{what}:when={when}"),
        ]);
        command
    }
}

/// The command to start the program under where these system calls are written to `log`, all their bytes
/// in hexadecimal.
pub fn record(calls: &str, log: &Path) -> Vec<String> {
    let mut command = base();
    command.extend(["-xx", "-s", "1000000", "-o"].map(ToOwned::to_owned));
    command.push(log.display().to_string());
    command.extend(["-e".to_owned(), format!("trace={calls}")]);
    command
}

fn base() -> Vec<String> {
    // -I2: a signal ends the tracer. Not --seccomp-bpf: its filter would outlive the tracer in the program.
    let words = ["strace", "-I2", "-D", "-f", "-qq", "-e", "signal=none"];
    words.map(ToOwned::to_owned).to_vec()
}

/// Ends the tracer of this process, if there is one: its faults end with it, and its record is whole.
pub async fn let_go(process: u32) {
    if let Some(tracer) = tracer_of(process) {
        command::signal(tracer, "TERM");
        let gone = || (tracer_of(process).is_none() && has_ended(tracer)).then_some(());
        eventually("the tracer lets go", gone).await;
    }
}

fn tracer_of(process: u32) -> Option<u32> {
    let tracer: u32 = line(process, "TracerPid:")?.parse().expect("a number");
    (tracer != 0).then_some(tracer)
}

/// Nobody may be there who asks for how it ended: then it stays in the list.
fn has_ended(process: u32) -> bool {
    line(process, "State:").is_none_or(|state| state.starts_with('Z'))
}

fn line(process: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    Some(line.expect("a line").trim().to_owned())
}
