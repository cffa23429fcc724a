//! Says in `TOLLFREE_COMMIT` which commit the program is built of; nothing where that cannot be known, as in an archive.

use std::path::Path;
use std::process::Command;

#[allow(clippy::print_stdout, reason = "that is how cargo is told")]
fn main() {
    // Asked again once another commit is made or taken.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    // Sources that lie in somebody else's repository are not of its commit.
    let is_ours = git(&["rev-parse", "--show-prefix"]).is_some_and(|path| path == "crates/app/");
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).filter(|_| is_ours);
    println!(
        "cargo:rustc-env=TOLLFREE_COMMIT={}",
        commit.unwrap_or_default()
    );
}

/// What git says of the folder that this is in.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let said = said.trim();
    (output.status.success() && !said.is_empty()).then(|| said.to_owned())
}
