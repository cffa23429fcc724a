//! A real Redis: started on a free port in an empty folder, stopped, resumed, killed and asked as operators do.
//!
//! It must not know what is kept in it.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::patience::eventually;
use crate::skip::skipped;

/// A server of the test's own; it is killed when dropped.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Redis {
    /// Starts one that keeps nothing on disk. Nothing where there is no such program, which is said loudly.
    pub async fn start() -> Option<Redis> {
        let folder = TempDir::new().expect("a temporary folder");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let Some(child) = spawned(port, &folder) else {
            skipped("no redis-server here, so nothing was proved of replicas that share totals");
            return None;
        };
        let redis = Redis {
            child,
            port,
            folder,
        };
        redis.answers().await;
        Some(redis)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn answers(&self) {
        let is_there = || (self.try_command(&["PING"])? == "PONG").then_some(());
        eventually("the redis server answers", is_there).await;
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Starts it again where it was, empty.
    pub async fn restart(&mut self) {
        self.child = spawned(self.port, &self.folder).expect("a redis server");
        self.answers().await;
    }

    /// Stops it in the middle of whatever it does, or lets it go on.
    pub fn stop(&self, stopped: bool) {
        let signal = if stopped { "-STOP" } else { "-CONT" };
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("kill").success(), "{signal} was not sent");
    }

    /// What it answers to a command.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words).expect("an answer")
    }

    fn try_command(&self, words: &[&str]) -> Option<String> {
        let port = self.port.to_string();
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &port])
            .args(words)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        output.status.success().then(|| text.trim().to_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A stopped process dies of this, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawned(port: u16, folder: &TempDir) -> Option<Child> {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port", &port])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).spawn().ok()
}
