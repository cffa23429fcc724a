//! The program as people and scripts call it: run until it ends by itself, with what it printed and how
//! it ended; and signals to one that runs.
//!
//! It must not know what any command means.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::proxy;

/// The longest a program may run that is to end by itself.
const MOST_RUN: Duration = Duration::from_mins(1);
/// How often its end is looked for.
const POLL: Duration = Duration::from_millis(5);

/// A run of the program in a folder of its own with an environment of its own.
#[derive(Debug)]
pub struct Task {
    folder: TempDir,
    command: Command,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub output: String,
    /// What it wrote to stderr.
    pub errors: String,
}

impl Task {
    /// The program with these arguments.
    pub fn new(arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Task {
        let folder = TempDir::new().expect("a temporary folder");
        let mut command = Command::new(proxy::binary());
        command.args(arguments).env_clear();
        command
            .env("HOME", folder.path())
            .current_dir(folder.path());
        command.stdin(Stdio::null());
        Task { folder, command }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Puts a file into the folder it starts in.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).expect("a file");
        self
    }

    /// Runs it until it ends.
    pub fn run(mut self) -> Ended {
        self.command.stdout(self.kept("stdout"));
        self.finish()
    }

    /// Runs it until it ends, with a stdout that nobody reads any more.
    pub fn run_unread(mut self) -> Ended {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        self.command.stdout(writer);
        self.finish()
    }

    /// Runs it until it ends, with a stdout that has no room.
    pub fn run_full(mut self) -> Ended {
        let full = File::options().write(true).open("/dev/full");
        self.command.stdout(full.expect("a full device"));
        self.finish()
    }

    /// Starts it with stdout and stderr as pipes; the folder lives as long as the task.
    pub fn spawn(&mut self) -> Child {
        let command = self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    }

    fn kept(&self, name: &str) -> File {
        File::create(self.folder.path().join(name)).expect("a file")
    }

    fn finish(mut self) -> Ended {
        self.command.stderr(self.kept("stderr"));
        let mut child = self.command.spawn().expect("the binary starts");
        let code = wait(&mut child);
        let read = |name: &str| text(&self.folder.path().join(name));
        Ended {
            code,
            output: read("stdout"),
            errors: read("stderr"),
        }
    }
}

/// The exit code of a program that is to end by itself; it is killed if it does not.
pub fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + MOST_RUN;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("still running after {MOST_RUN:?}");
        }
        std::thread::sleep(POLL);
    }
}

/// A stdout that nobody reads is no file.
fn text(path: &Path) -> String {
    if path.exists() {
        fs::read_to_string(path).expect("text")
    } else {
        String::new()
    }
}

/// Sends the signal of that name (`TERM`, `INT`, `HUP`) to the process.
pub fn signal(id: u32, name: &str) {
    let (name, id) = (format!("-{name}"), id.to_string());
    let sent = Command::new("kill").args([name, id]).status();
    assert!(sent.expect("kill").success(), "the signal was not sent");
}
