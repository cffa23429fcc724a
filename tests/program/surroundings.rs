//! What a program may find around it: files that are none, or that are full of mistakes, folders that others may write,
//! few descriptors, names that move a cursor. It goes on, or refuses to start, and says why.
//!
//! Knows files, limits, signals, output and exit codes; calls only where they show that the proxy serves.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::chat::{self, JSON, PATH, ask, completion};
use harness::command::{self, Task};
use harness::lasting::{Lasting, called, stopped};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use harness::upstream::{Upstream, sized};
use serde_json::Value;

/// A call that waits for a file takes longer than this, one on a busy machine does not.
const HELD_UP: Duration = Duration::from_secs(4);

/// A file in which nothing is known.
fn unknown_keys(count: usize) -> String {
    let keys: Vec<String> = (0..count).map(|key| format!("kye_{key} = 1\n")).collect();
    keys.concat()
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success(), "{}", path.display());
}

/// Puts `new` in the place of the configuration and calls until the log has `words`; no call is held up by it.
async fn replaced(proxy: &Proxy, new: &Path, words: &str) {
    fs::rename(new, proxy.folder().join("tollfree.toml")).expect("a file");
    command::signal(proxy.id(), "HUP");
    let began = Instant::now();
    while !proxy.log().contains(words) {
        assert!(began.elapsed() < Duration::from_secs(30), "no {words:?}");
        let one = Instant::now();
        called(proxy).await;
        assert!(one.elapsed() < HELD_UP, "held up for {:?}", one.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    called(proxy).await;
}

#[tokio::test]
async fn a_file_full_of_mistakes_holds_up_no_call() {
    let kept = Lasting::new().await;
    let proxy = Proxy::start(kept.setup_in(&kept.folder()).config("# nothing yet"));
    let new = proxy.folder().join("new.toml");
    fs::write(&new, unknown_keys(20_000)).expect("a file");
    replaced(&proxy, &new, "100 mistakes and more, nothing was changed").await;
    stopped(proxy);
}

#[tokio::test]
async fn a_pipe_in_the_place_of_the_configuration_holds_up_no_call_and_no_stop() {
    let kept = Lasting::new().await;
    let proxy = Proxy::start(kept.setup_in(&kept.folder()).config("# nothing yet"));
    let new = proxy.folder().join("new.toml");
    pipe(&new);
    replaced(&proxy, &new, "is no file but a pipe or a device").await;
    stopped(proxy);
}

#[test]
fn a_start_reads_no_pipe_and_ends_with_78() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("pipe");
    pipe(&path);
    let path = path.to_str().expect("text");
    for key in ["upstream.ca_file", "offer.file", "listener.tls_key"] {
        let (section, name) = key.split_once('.').expect("a section");
        let file = format!("[{section}]\n{name} = \"{path}\"\n");
        let ended = Task::new(["check"]).file("tollfree.toml", &file).run();
        assert_eq!(ended.code, Some(78), "{key}: {ended:?}");
        let said = format!("cannot read {path}: is no file but a pipe or a device");
        assert!(ended.output.contains(&said), "{key}: {ended:?}");
    }
    for start in [
        Task::new(["--config", path]),
        Task::new(["serve"]).variable("TOLLFREE_CONFIG", path),
        Task::new(["serve"]).variable("TOLLFREE_ADMIN_TOKEN_FILE", path),
    ] {
        let ended = start.run();
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.errors.contains("is no file but"), "{ended:?}");
    }
}

#[test]
fn a_check_of_a_file_full_of_mistakes_takes_no_time() {
    for file in [
        unknown_keys(200_000),
        format!(
            "limits = {{ {} }}",
            unknown_keys(50_000).replace('\n', ", ")
        ),
        "[[prices]]\nx =\n".repeat(50_000),
    ] {
        let began = Instant::now();
        let ended = Task::new(["check"]).file("tollfree.toml", &file).run();
        assert_eq!(ended.code, Some(78), "{ended:?}");
        println!("{:?}", began.elapsed());
        assert!(began.elapsed() < HELD_UP * 2, "{:?}", began.elapsed());
    }
}

/// A setup that starts under a limit of open files, in the words of the shell's `ulimit`.
fn limited(setup: ProxySetup, ulimit: &str) -> ProxySetup {
    let words = ["sh", "-c", &format!("{ulimit}; exec \"$@\""), "sh"].map(str::to_owned);
    setup.under(&words)
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_soft_limit_of_open_files_is_raised() {
    let kept = Lasting::new().await;
    let setup = kept.setup_in(&kept.folder());
    let setup = setup.variable("TOLLFREE_LISTENER_MOST_CONNECTIONS", "100");
    let proxy = Proxy::start(limited(setup, "ulimit -Sn 100; ulimit -Hn 900"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", proxy.id())).expect("limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<&str> = line.expect("a limit").split_whitespace().collect();
    assert_eq!(words[3..5], ["900", "900"], "{limits}");
    assert!(
        !proxy.log().contains("listener.most_connections"),
        "{}",
        proxy.log()
    );
    stopped(proxy);
}

#[tokio::test]
async fn where_few_files_may_be_open_fewer_connections_are_and_further_ones_are_told() {
    let kept = Lasting::new().await;
    let proxy = Proxy::start(limited(kept.setup_in(&kept.folder()), "ulimit -n 300"));
    let log = proxy.log();
    assert_eq!(log.matches("room for 50 connections").count(), 1, "{log}");
    let mut silent = Vec::new();
    for _ in 0..49 {
        silent.push(Connection::open(proxy.address()).await.expect("a listener"));
    }
    called(&proxy).await;
    silent.push(Connection::open(proxy.address()).await.expect("a listener"));
    // The place of the call is free a moment after its end, so one silent client more may be needed to take it.
    let mut refused = None;
    for _ in 0..5 {
        let answer = proxy.exchange(&Request::get("/v1/models")).await;
        if answer.status() == 503 {
            refused = Some(answer.text());
            break;
        }
        silent.push(Connection::open(proxy.address()).await.expect("a listener"));
    }
    let refused = refused.expect("a refusal");
    assert!(refused.contains("overloaded"), "{refused}");
    drop(silent);
    stopped(proxy);
}

// The upstream answers while the command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_of_everybody_is_mentioned() {
    let kept = Lasting::new().await;
    for (mode, may) in [
        (0o777, Some("other users may change")),
        (0o775, Some("users of its group may change")),
        (0o770, Some("users of its group may change")),
        (0o755, Some("other users may look into")),
        (0o750, None),
    ] {
        let folder = kept.above().join(format!("{mode:o}"));
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("a mode");
        let proxy = Proxy::start(kept.setup_in(&folder));
        let said = |may: &str| format!("{may} the data directory");
        let log = proxy.log();
        assert_eq!(
            log.matches(" the data directory ").count(),
            usize::from(may.is_some()),
            "{log}"
        );
        assert!(may.is_none_or(|may| log.contains(&said(may))), "{log}");
        stopped(proxy);
        let checked = Task::new(["check"])
            .variable("TOLLFREE_DATA_DIR", folder.to_str().expect("text"))
            .variable("TOLLFREE_UPSTREAM", &kept.upstream.url())
            .variable("TOLLFREE_LISTEN", "127.0.0.1:0")
            .run();
        let line = may.map(|may| format!("warn  ledger    {}", said(may)));
        assert!(
            line.is_none_or(|line| checked.output.contains(&line)),
            "{checked:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_file_in_the_data_directory_stops_no_start() {
    let kept = Lasting::new().await;
    for name in [
        "ledger.sqlite",
        "key.secret",
        "ledger.lock",
        "key.secret.new",
    ] {
        for kind in ["pipe", "folder"] {
            let folder = kept.above().join(format!("{name}.{kind}"));
            fs::create_dir(&folder).expect("a folder");
            match kind {
                "pipe" => pipe(&folder.join(name)),
                _ => fs::create_dir(folder.join(name)).expect("a folder"),
            }
            let proxy = Proxy::start(kept.setup_in(&folder));
            called(&proxy).await;
            let log = proxy.log();
            // A pipe in that place is put away, like anything that an attempt left.
            let is_fine = (name, kind) == ("key.secret.new", "pipe");
            let is_said = |line: &str| {
                let is_trouble = line.contains("ERROR") && line.contains("help: ");
                is_trouble || line.contains("key.secret cannot be written")
            };
            assert!(
                is_fine || log.lines().any(is_said),
                "{name}, {kind}:\n{log}"
            );
        }
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_the_lock_leads_nowhere() {
    let kept = Lasting::new().await;
    let folder = kept.above().join("linked");
    fs::create_dir(&folder).expect("a folder");
    for name in ["ledger.lock", "key.secret.new"] {
        let theirs = kept.above().join("theirs");
        fs::write(&theirs, "theirs").expect("a file");
        symlink(&theirs, folder.join(name)).expect("a link");
        let proxy = Proxy::start(kept.setup_in(&folder));
        called(&proxy).await;
        assert_eq!(fs::read(&theirs).expect("a file"), b"theirs", "{name}");
        drop(proxy);
        let _ = fs::remove_file(folder.join(name));
    }
}

#[tokio::test]
async fn a_name_that_moves_a_cursor_moves_none() {
    let odd = "x\u{9b}31m\u{202e}\u{7f}";
    let body = completion(
        "chatcmpl-1",
        odd,
        "Hi",
        &format!(",{}", chat::usage(12, 34)),
    );
    let upstream = Upstream::constant(sized(200, &[JSON], &body)).await;
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let data = folder.path().join("data").display().to_string();
    for format in ["json", "pretty"] {
        let setup = ProxySetup::to(&upstream.url())
            .variable("TOLLFREE_DATA_DIR", &data)
            .variable("TOLLFREE_LOG_FORMAT", format)
            .variable("TOLLFREE_LOG_FILTER", "info");
        let proxy = Proxy::start(setup);
        let answer = proxy.exchange(&Request::post(PATH, ask(odd, ""))).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let line = proxy.wait_for_log("settled");
        harmless(&line);
        if format == "json" {
            let line: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(line["model"], odd, "{line}");
        }
        stopped(proxy);
    }
    for arguments in [
        &["calls", "--json"][..],
        &["calls"],
        &["export", "--format", "jsonl"],
        &["export"],
    ] {
        let task = Task::new(arguments).variable("TOLLFREE_DATA_DIR", &data);
        let ended = task.run();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.output.contains("31m"), "{ended:?}");
        harmless(&ended.output);
        for line in ended.output.lines().filter(|line| line.starts_with('{')) {
            let call: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(call["model"], odd, "{line}");
        }
    }
}

/// That a text has nothing that a terminal takes for a command.
fn harmless(text: &str) {
    let command = |c: char| c.is_control() && !"\n\r\t".contains(c) || c == '\u{202e}';
    assert!(!text.contains(command), "{text:?}");
}
