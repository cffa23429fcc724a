//! The real binary `tollfree` as a child process: built, started on a free port in an empty folder
//! with a clean environment, and ended by its own handle.
//!
//! It must not know the product's code, only what a user knows: variables, the config file, flags,
//! the log on stderr, and the look-up path.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::built;
use crate::raw::{self, Answer, Request};

/// The longest time from the start of the process to its ready line.
const MOST_STARTUP: Duration = Duration::from_secs(20);
/// The longest wait for a log line or for an exit that a test counts on.
const MOST_WAIT: Duration = Duration::from_secs(30);
/// How often a child's exit is looked for.
const EXIT_POLL: Duration = Duration::from_millis(10);
/// A binary to test instead of the one that cargo builds: a release, an image's content.
pub(crate) const BINARY_VARIABLE: &str = "E2E_BINARY";

/// What a user sets before starting the proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxySetup {
    variables: Vec<(String, String)>,
    config: String,
    arguments: Vec<String>,
    under: Vec<String>,
}

impl ProxySetup {
    /// A proxy in front of this base URL, its page on any free port, everything else as it comes.
    pub fn to(upstream: &str) -> Self {
        ProxySetup::default().variable("TOLLFREE_UPSTREAM", upstream)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Declares that the organization is enrolled and that all of its traffic passes here: nothing of that is assumed.
    #[must_use]
    pub fn declared(self) -> Self {
        self.variable("TOLLFREE_ENROLLED", "true")
            .variable("TOLLFREE_COVERAGE", "all")
    }

    /// Adds lines to `tollfree.toml` in the folder the proxy starts in.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config += lines;
        self.config.push('\n');
        self
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it by this command, which must become the program itself: a tracer that steps aside.
    #[must_use]
    pub fn under(mut self, command: &[String]) -> Self {
        self.under = command.to_vec();
        self
    }
}

/// What the process wrote to stderr so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Log {
    fn collect(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            self.lines.lock().expect("no panic").0.push(line);
            self.grown.notify_all();
        }
        self.lines.lock().expect("no panic").1 = true;
        self.grown.notify_all();
    }

    /// What `wanted` makes of the first line it accepts; nothing after `patience` or at the end.
    fn first<T>(&self, patience: Duration, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut lines = self.lines.lock().expect("no panic");
        let mut seen = 0;
        loop {
            if let Some(found) = lines.0[seen..].iter().find_map(|line| wanted(line)) {
                return Some(found);
            }
            seen = lines.0.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return None;
            }
            lines = self.grown.wait_timeout(lines, left).expect("no panic").0;
        }
    }

    fn text(&self) -> String {
        self.lines.lock().expect("no panic").0.join("\n")
    }
}

/// A running proxy; it is killed when dropped.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    address: SocketAddr,
    log: Arc<Log>,
    folder: TempDir,
}

impl Proxy {
    /// Starts the binary and waits until it listens.
    pub fn start(setup: ProxySetup) -> Proxy {
        let folder = TempDir::new().expect("a temporary folder");
        let mut child = spawned(setup, folder.path());
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("a pipe");
        let collecting = Arc::clone(&log);
        // Ends with the pipe, which ends with the child.
        std::thread::spawn(move || collecting.collect(stderr));
        let Some(address) = log.first(MOST_STARTUP, address_in) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the proxy did not start listening:\n{}", log.text());
        };
        Proxy {
            child,
            address,
            log,
            folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder it runs in, which was empty but for the config file.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a log line that contains `words` and returns it.
    pub fn wait_for_log(&self, words: &str) -> String {
        let wanted = |line: &str| line.contains(words).then(|| line.to_owned());
        let found = self.log.first(MOST_WAIT, wanted);
        found.unwrap_or_else(|| panic!("no log line contains {words:?}:\n{}", self.log()))
    }

    /// Starts the binary and kills it so soon that it may not listen yet.
    pub fn start_and_kill(setup: ProxySetup, after: Duration) {
        let folder = TempDir::new().expect("a temporary folder");
        let mut child = spawned(setup, folder.path());
        std::thread::sleep(after);
        child.kill().expect("a child");
        child.wait().expect("a child");
    }

    /// Ends it without a word, as a crash does, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill").success(), "SIGTERM was not sent");
    }

    /// Waits until it ended by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + MOST_WAIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "still running:\n{}", self.log());
            std::thread::sleep(EXIT_POLL);
        }
    }

    /// One exchange on a connection of its own.
    pub async fn exchange(&self, request: &Request) -> Answer {
        raw::exchange(self.address, request).await
    }

    /// What the look-up path says of a call, by the `x-tollfree-call` of its answer.
    pub async fn settled(&self, answer: &Answer) -> Settled {
        let call = answer.header("x-tollfree-call");
        let call = call.unwrap_or_else(|| panic!("no call id in {:#?}", answer.head.headers));
        let request = Request::get(&format!("/_tollfree/calls/{call}"));
        Settled::of(&self.exchange(&request).await)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the proxy's log:\n{}", self.log());
        }
    }
}

/// The look-up's answer: its fields are the tags' names without their prefix (`input-tokens`), and
/// `model`, `response-id`, `request-id`.
#[derive(Clone, Debug)]
pub struct Settled(serde_json::Value);

impl Settled {
    /// Reads the answer to a look-up.
    pub fn of(answer: &Answer) -> Settled {
        assert_eq!(answer.status(), 200, "look-up: {}", answer.text());
        let value = serde_json::from_slice(&answer.body.bytes);
        Settled(value.unwrap_or_else(|error| panic!("look-up: {error}: {}", answer.text())))
    }

    /// A text field; nothing if absent or null.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0[field].as_str()
    }

    /// A whole number; nothing if absent or null.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.0[field].as_u64()
    }

    /// Whether a field is there and true.
    pub fn flag(&self, field: &str) -> bool {
        self.0[field].as_bool() == Some(true)
    }

    /// The verdict.
    pub fn verdict(&self) -> &str {
        self.text("verdict").unwrap_or_default()
    }
}

/// The process, on a free port in this folder.
fn spawned(setup: ProxySetup, folder: &Path) -> Child {
    if !setup.config.is_empty() {
        std::fs::write(folder.join("tollfree.toml"), &setup.config).expect("a file");
    }
    let program = binary();
    let mut command = match setup.under.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .args(["--listen", "127.0.0.1:0"])
        .args(setup.arguments)
        .env_clear()
        .env("HOME", folder)
        // Only one of them could have the usual port.
        .env("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:0")
        .envs(setup.variables)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}

/// The address in a ready line: the log's `listening` or the banner's URL.
fn address_in(line: &str) -> Option<SocketAddr> {
    if !line.contains("listening") && !line.contains("http://127.0.0.1:") {
        return None;
    }
    let after = line.split("127.0.0.1:").nth(1)?;
    let digits = after.find(|character: char| !character.is_ascii_digit());
    let port: u16 = after[..digits.unwrap_or(after.len())].parse().ok()?;
    (port != 0).then(|| SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Whether the binary under test is an optimised one, as far as this can be known of one that is given.
pub fn is_optimised() -> bool {
    !cfg!(debug_assertions) || std::env::var_os(BINARY_VARIABLE).is_some()
}

/// The binary under test, for tests that start it in a way of their own.
pub fn program() -> PathBuf {
    binary()
}

/// The binary under test, built once per test process in the profile the tests were built in.
pub(crate) fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(given_or_built).clone()
}

fn given_or_built() -> PathBuf {
    if let Some(binary) = std::env::var_os(BINARY_VARIABLE) {
        return PathBuf::from(binary);
    }
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    built::program("app", "tollfree", profile)
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_ready_line_is_recognised_in_each_of_its_forms() {
        let port = |line| address_in(line).map(|address| address.port());
        assert_eq!(port("INFO listening address=127.0.0.1:4711"), Some(4711));
        assert_eq!(
            port(r#"{"message":"listening","address":"127.0.0.1:80"}"#),
            Some(80)
        );
        assert_eq!(port("OPENAI_BASE_URL=http://127.0.0.1:8800/v1"), Some(8800));
        assert_eq!(port("upstream 127.0.0.1:4711 answered"), None);
    }
}
