//! Programs of others: looked for on this machine, run with an end in sight, everything they print
//! kept for the one who reads a failure.
//!
//! It must not know what they do.

use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a child's exit is looked for.
const EXIT_POLL: Duration = Duration::from_millis(10);

/// Whether all of these programs can be started here. Where one cannot, a printed line says what is
/// left out because of it; where `CI` is set that is a failure.
pub fn here(programs: &[&str], left_out: &str) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| !found(name)).collect();
    if missing.is_empty() {
        return true;
    }
    let told = format!("{left_out}: left out, without {missing:?}");
    assert!(std::env::var_os("CI").is_none(), "{told}");
    println!("{told}");
    false
}

fn found(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// The workspace's root.
pub fn root() -> PathBuf {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_owned()
}

/// The folder of build results that this test was built into.
pub fn target() -> PathBuf {
    // target/PROFILE/deps/SUITE-HASH
    let suite = std::env::current_exe().expect("a path");
    suite.ancestors().nth(3).expect("target").to_owned()
}

/// Runs a program to its end, which must be a success within `most`, and returns what it printed to
/// both of its outputs, in the order in which it did.
pub async fn run(command: Command, most: Duration) -> String {
    let ran = tokio::task::spawn_blocking(move || wait(command, most));
    ran.await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn wait(mut command: Command, most: Duration) -> String {
    let mut output = tempfile::tempfile().expect("a temporary file");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a file"))
        .stderr(output.try_clone().expect("a file"))
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let deadline = Instant::now() + most;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break Some(status);
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(EXIT_POLL);
    };
    let mut bytes = Vec::new();
    output.rewind().expect("a file");
    output.read_to_end(&mut bytes).expect("a file");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        Some(status) if status.success() => text,
        Some(status) => panic!("{command:?}: {status}\n{text}"),
        None => panic!("{command:?}: not done within {most:?}\n{text}"),
    }
}
