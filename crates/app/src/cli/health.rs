//! `tollfree health`: can the running proxy forward calls, for containers and scripts. It must not know why not: the
//! proxy says so.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::control::Control;
use super::{exit, print, refuse};
use crate::banner::reachable;
use crate::config::{Admin, Loaded, Secret};

/// The longest wait for each step; an orchestrator waits no longer either.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const MOST_ANSWER_BYTES: u64 = 64 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub(crate) struct Options {
    /// The proxy's whole answer, one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Fail also where calls go on but something beside them does not work
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Asks, and ends with 0 if calls can be forwarded.
pub(crate) fn run(loaded: &Loaded, options: Options) -> ExitCode {
    let Some(address) = loaded.config.admin.listen else {
        let why = "admin.listen is off, so nobody can be asked. help: give it an address";
        return unanswered(why, options);
    };
    let address = reachable(moved(loaded).unwrap_or(address));
    match ask(address, options.strict, loaded.config.admin.token.as_ref()) {
        Ok((healthy, body)) => {
            let told = if options.json {
                print(&format!("{body}\n"))
            } else {
                print(&in_words(&body))
            };
            if healthy {
                told
            } else {
                ExitCode::from(exit::FAILED)
            }
        }
        Err(error) => {
            let why = format!("no proxy answers on {address}: {error}. help: start tollfree");
            unanswered(&why, options)
        }
    }
}

/// Nobody said how it is: who reads JSON is told so in JSON, too.
fn unanswered(why: &str, options: Options) -> ExitCode {
    if options.json {
        print(&format!(
            "{}\n",
            json!({ "status": "unreachable", "notices": [why] })
        ));
    }
    refuse(&format!("error: {why}\n"), exit::UNAVAILABLE)
}

/// Where the proxy on the data directory has its page, if somebody else had the usual port.
fn moved(loaded: &Loaded) -> Option<SocketAddr> {
    if loaded.config.admin.listen != Admin::default().listen {
        return None;
    }
    let proxy = Control::reach(loaded.config.data_dir.folder()?)?;
    let said: admin::Standings = proxy.get(admin::STANDING).ok()?;
    said.proxy.page?.parse().ok()
}

/// Whether all is well, and the answer's body.
fn ask(
    address: SocketAddr,
    strict: bool,
    token: Option<&Secret>,
) -> std::io::Result<(bool, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let path = if strict {
        "/readyz?strict=1"
    } else {
        "/readyz"
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n"
    )?;
    if let Some(token) = token {
        write!(stream, "authorization: Bearer {}\r\n", token.expose())?;
    }
    stream.write_all(b"\r\n")?;
    let mut answer = String::new();
    stream.take(MOST_ANSWER_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok((head.starts_with("HTTP/1.1 200"), body.trim().to_owned()))
}

/// `ok`, or the word and under it what does not work.
fn in_words(body: &str) -> String {
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    let word = said
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or("not tollfree");
    let notices = said.get("notices").and_then(Value::as_array);
    let mut lines: Vec<&str> = vec![word];
    lines.extend(notices.into_iter().flatten().filter_map(Value::as_str));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn what_does_not_work_stands_under_the_word() {
        assert_eq!(in_words(r#"{"status":"ok","notices":[]}"#), "ok\n");
        let degraded =
            r#"{"status":"degraded","notices":["the disk is full. help: free some room"]}"#;
        assert_eq!(
            in_words(degraded),
            "degraded\nthe disk is full. help: free some room\n"
        );
        assert_eq!(in_words("<html>"), "not tollfree\n");
    }
}
