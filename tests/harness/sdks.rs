//! Programs with `OpenAI`'s own SDKs and with what is built on them: laid out once, with pinned packages, and run with
//! nothing in their environment but what a user sets.
//!
//! It must not know what they check.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::foreign::{here, root, run, target};

/// The longest run of a program: installing the pinned packages is the longest of them.
pub const MOST_RUN: Duration = Duration::from_mins(5);

/// Lays out the pinned packages, once for all tests of a suite. False where that is not possible here.
pub async fn installed() -> bool {
    static INSTALLED: OnceCell<bool> = OnceCell::const_new();
    *INSTALLED.get_or_init(install).await
}

async fn install() -> bool {
    let needed = ["bash", "python3", "node", "npm"];
    if !here(&needed, "the checks with OpenAI's SDKs") {
        return false;
    }
    let mut setup = Command::new("bash");
    setup.arg(root().join("tests/clients/setup.sh"));
    setup.env("CARGO_TARGET_DIR", target());
    run(setup, MOST_RUN).await;
    true
}

/// The environment's Python, with its packages, on a file of `tests/clients/python`.
pub fn python(file: &str) -> Command {
    let mut python = Command::new(target().join("clients/python/bin/python"));
    python.arg("-B");
    python.arg(root().join("tests/clients/python").join(file));
    python
}

/// Node.js on a file of `tests/clients/node`, where it finds its packages.
pub fn node(file: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(target().join("clients/node").join(file));
    node
}

/// What `OPENAI_BASE_URL` says of a listener.
pub fn base_url(address: SocketAddr) -> String {
    format!("http://{address}/v1")
}

/// The program with a key and a base URL, and nothing else in its environment that could lead it.
pub fn alone(mut command: Command, key: &str, base_url: &str) -> Command {
    let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
    command
        .env_clear()
        .envs(kept)
        .env("OPENAI_API_KEY", key)
        .env("OPENAI_BASE_URL", base_url);
    command
}
