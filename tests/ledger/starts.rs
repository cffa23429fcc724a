//! The ledger at a start: where it is kept, whose it is, what is gone on from, and a start without it.
//!
//! Knows the data directory, exit codes and messages; what a stop leaves is tested in `stops`.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use harness::command::{self, Task};
use harness::http1::End;
use harness::lasting::{
    ALLOWANCE, Lasting, Open, TOKENS, assumes, called, remaining, stopped, whole,
};
use harness::mount::Tmpfs;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::sqlite;
use harness::upstream::Upstream;
use tempfile::TempDir;

/// How long a second process waits for the first one to let go.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// What a stop and a start may take on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

fn mode(path: &Path) -> u32 {
    let about =
        std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    about.permissions().mode() & 0o777
}

#[tokio::test]
async fn a_restart_goes_on_where_the_day_was_left() {
    let kept = Lasting::new().await;
    let first = kept.start();
    assert!(first.log().contains("calls_restored=0"), "{}", first.log());
    let old = called(&first).await;
    assert_eq!(remaining(&old), ALLOWANCE - TOKENS);
    assert_eq!(remaining(&called(&first).await), ALLOWANCE - 2 * TOKENS);
    let began = Instant::now();
    stopped(first);

    let second = kept.start();
    println!("stopped and started again in {:?}", began.elapsed());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert!(
        second.log().contains("calls_restored=2"),
        "{}",
        second.log()
    );
    let answer = called(&second).await;
    assert_eq!(remaining(&answer), ALLOWANCE - 3 * TOKENS);
    assert!(
        !assumes(&answer, "unclean-stop"),
        "{:?}",
        answer.head.headers
    );
    // The ledger began today, and no restart makes it older.
    assert!(assumes(&answer, "day-start"), "{:?}", answer.head.headers);
    let word = second.settled(&old).await;
    assert_eq!(word.number("tokens"), Some(TOKENS), "{word:?}");
    stopped(second);
    let rows = sqlite::read(&kept.folder()).expect("a ledger").rows;
    let left: Vec<_> = rows.iter().map(|row| row.remaining).collect();
    let expected = [1, 2, 3].map(|calls| Some(ALLOWANCE - calls * TOKENS));
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_missing_folder_is_made_and_nobody_else_may_look_into_it() {
    let kept = Lasting::new().await;
    let proxy = kept.start();
    called(&proxy).await;
    stopped(proxy);
    assert_eq!(mode(&kept.folder()), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(kept.folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
        );
    }
    assert!(
        names.iter().any(|name| name == "ledger.sqlite"),
        "{names:?}"
    );
}

#[tokio::test]
async fn nobody_named_a_folder_so_it_is_in_the_home_directory() {
    let upstream = Upstream::start(|_| whole()).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let usual = if cfg!(target_os = "macos") {
        "Library/Application Support/tollfree"
    } else {
        ".local/share/tollfree"
    };
    let database = proxy.folder().join(usual).join("ledger.sqlite");
    assert!(database.is_file(), "{}", proxy.log());
}

#[tokio::test]
async fn off_keeps_nothing_and_a_restart_begins_anew() {
    let kept = Lasting::new().await;
    for _ in 0..2 {
        let proxy = Proxy::start(kept.setup_in(Path::new("off")));
        assert_eq!(remaining(&called(&proxy).await), ALLOWANCE - TOKENS);
        assert!(!proxy.log().contains("WARN"), "{}", proxy.log());
        let left = std::fs::read_dir(proxy.folder()).expect("a folder");
        assert_eq!(left.count(), 0, "it keeps something after all");
        stopped(proxy);
    }
}

#[tokio::test]
async fn two_on_one_ledger_would_count_twice_so_the_second_waits_and_then_ends_with_75() {
    let kept = Lasting::new().await;
    let first = kept.start();
    let folder = kept.folder().display().to_string();
    let began = Instant::now();
    let task = Task::new(["--listen", "127.0.0.1:0", "--data-dir", &folder])
        .variable("TOLLFREE_UPSTREAM", &kept.upstream.url());
    let ended = tokio::task::spawn_blocking(|| task.run())
        .await
        .expect("a run");
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(began.elapsed() >= LOCK_WAIT, "{:?}", began.elapsed());
    let said = format!(
        "error: ledger.sqlite is in use by another tollfree (pid {}, since ",
        first.id()
    );
    let line = ended.errors.lines().find(|line| line.starts_with(&said));
    let line = line.unwrap_or_else(|| panic!("{said:?} in:\n{}", ended.errors));
    let help = "). two would count twice. help: stop it, or give this one --data-dir of its own";
    assert!(line.ends_with(help), "{line}");
    // That it waits is said once, when it is worth a word.
    let waits = ended.errors.matches("waiting up to 30 s").count();
    assert_eq!(waits, 1, "{}", ended.errors);
    // The first one noticed nothing.
    assert_eq!(remaining(&called(&first).await), ALLOWANCE - TOKENS);
}

/// A program whose log can be waited for before it listens; it is killed when dropped.
struct Starting {
    _task: Task,
    child: Child,
    lines: Receiver<String>,
}

impl Starting {
    fn begin(mut task: Task) -> Starting {
        let mut child = task.spawn();
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        // Ends with the pipe, which ends with the child.
        std::thread::spawn(move || {
            log.lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Starting {
            _task: task,
            child,
            lines,
        }
    }

    /// The next line of its log with these words.
    fn line_with(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LOCK_WAIT);
            let line = line.unwrap_or_else(|error| panic!("no {words:?} in the log: {error}"));
            if line.contains(words) {
                return line;
            }
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn who_waits_for_the_ledger_goes_on_with_it_as_soon_as_it_is_free() {
    let kept = Lasting::new().await;
    let first = kept.start();
    called(&first).await;
    // Only this stream keeps the first one, and it ends when the second has said that it waits.
    let open = Open::begin(&first).await;
    first.terminate();
    first.wait_for_log("stopping");
    let folder = kept.folder().display().to_string();
    let task = Task::new(["--listen", "127.0.0.1:0", "--data-dir", &folder])
        .variable("TOLLFREE_UPSTREAM", &kept.upstream.url());
    let mut second = Starting::begin(task);
    let line = second.line_with("waiting up to 30 s");
    assert!(line.contains(&format!("pid {}", first.id())), "{line}");
    kept.gate.open();
    assert_eq!(open.end().await.body.end, End::Complete);
    let line = second.line_with("listening");
    assert!(line.contains("calls_restored=2"), "{line}");
    command::signal(second.child.id(), "TERM");
    assert_eq!(command::wait(&mut second.child), Some(0));
}

#[tokio::test]
async fn a_busy_port_names_the_tollfree_that_has_it() {
    let kept = Lasting::new().await;
    let first = kept.start();
    let address = first.address().to_string();
    let run = |folder: &Path| {
        let folder = folder.display().to_string();
        let task = Task::new(["--listen", &address, "--data-dir", &folder])
            .variable("TOLLFREE_UPSTREAM", &kept.upstream.url());
        tokio::task::spawn_blocking(|| task.run())
    };
    let ended = run(&kept.folder()).await.expect("a run");
    assert_eq!(ended.code, Some(69), "{ended:?}");
    let other = SocketAddr::new(first.address().ip(), first.address().port() + 10);
    let said = format!(
        "error: cannot listen on {address}: in use by tollfree (pid {}). help: tollfree status shows it, or start \
         with --listen {other}\n",
        first.id()
    );
    assert_eq!(ended.errors, said);
    // Of another folder's it is only known what it is; and the folder is not made for nothing.
    let elsewhere = kept.above().join("elsewhere");
    let ended = run(&elsewhere).await.expect("a run");
    assert!(
        ended.errors.contains("in use by another tollfree"),
        "{}",
        ended.errors
    );
    assert!(!elsewhere.exists());
    // Who has the ledger does not have every busy port.
    let busy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = busy.local_addr().expect("an address").to_string();
    let folder = kept.folder().display().to_string();
    let task = Task::new(["--listen", &address, "--data-dir", &folder]);
    let ended = tokio::task::spawn_blocking(|| task.run())
        .await
        .expect("a run");
    assert!(
        ended.errors.contains("in use by another program"),
        "{}",
        ended.errors
    );
}

/// A start whose ledger cannot be written: it says so once, and calls go on, tagged but not recorded.
async fn goes_on_degraded(kept: &Lasting, folder: &Path) -> Proxy {
    let proxy = Proxy::start(kept.setup_in(folder));
    let log = proxy.log();
    let loud: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(loud.len(), 1, "{log}");
    assert!(loud[0].contains("help: "), "{log}");
    assert!(loud[0].contains(&folder.display().to_string()), "{log}");
    let answer = called(&proxy).await;
    assert_eq!(answer.header("x-tollfree-verdict"), Some("free"));
    assert_eq!(answer.header("x-tollfree-recorded"), Some("false"));
    assert_eq!(remaining(&answer), ALLOWANCE - TOKENS);
    assert!(assumes(&answer, "day-start"), "{:?}", answer.head.headers);
    proxy
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_stops_no_start_and_no_call() {
    let kept = Lasting::new().await;
    let file = kept.above().join("file");
    std::fs::write(&file, "in the way").expect("a file");
    let mut proxy = goes_on_degraded(&kept, &file.join("data")).await;
    // What was not written is lost when it stops, and that is said.
    proxy.terminate();
    assert_eq!(proxy.wait_for_exit().code(), Some(1), "{}", proxy.log());
    assert!(
        proxy.log().contains("not everything is in the ledger"),
        "{}",
        proxy.log()
    );
}

#[tokio::test]
async fn a_read_only_folder_stops_no_start_and_what_waited_is_written_once_it_can_be() {
    let kept = Lasting::new().await;
    let Some(disk) = Tmpfs::mount(4_096) else {
        println!("not tested: this user may not mount");
        return;
    };
    disk.set_read_only(true);
    let folder = disk.path().join("data");
    let proxy = goes_on_degraded(&kept, &folder).await;
    disk.set_read_only(false);
    let written = || {
        sqlite::read(&folder)
            .ok()
            .filter(|ledger| ledger.rows.len() == 1)
    };
    let ledger = eventually("what waited is in the ledger", written).await;
    assert_eq!(ledger.rows[0].remaining, Some(ALLOWANCE - TOKENS));
    let answer = called(&proxy).await;
    assert_eq!(answer.header("x-tollfree-recorded"), None);
    assert_eq!(remaining(&answer), ALLOWANCE - 2 * TOKENS);
    stopped(proxy);
}

#[tokio::test]
async fn a_service_keeps_its_ledger_where_systemd_says() {
    let upstream = Upstream::start(|_| whole()).await;
    let state = TempDir::new().expect("a temporary folder");
    let folder = state.path().display().to_string();
    let setup = ProxySetup::to(&upstream.url()).variable("STATE_DIRECTORY", &folder);
    let proxy = Proxy::start(setup);
    let answer = called(&proxy).await;
    let word = proxy.settled(&answer).await;
    assert_eq!(word.number("tokens"), Some(TOKENS));
    stopped(proxy);
    assert_eq!(sqlite::read(state.path()).expect("a ledger").rows.len(), 1);
}
