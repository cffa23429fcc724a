//! Programs of the workspace, built when a test needs them: always asked for, so that none left over from an older state
//! is tested silently.
//!
//! It must not know what they are for.

use std::path::PathBuf;
use std::process::Command;

use crate::foreign;

/// cargo, as if no test had called it: what it tells a test of its own package would make it build other packages anew.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"];
    for (variable, _) in std::env::vars_os() {
        if told
            .iter()
            .any(|begin| variable.to_string_lossy().starts_with(begin))
        {
            cargo.env_remove(&variable);
        }
    }
    cargo
}

/// Builds a program in this profile, into the folder of build results that this test was built into.
pub fn program(package: &str, name: &str, profile: &str) -> PathBuf {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", package, "--bin", name]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.arg("--target-dir").arg(foreign::target());
    build.args(["--profile", profile]);
    assert!(build.status().expect("cargo").success(), "no {name}");
    // cargo's own name for the folder of its first profile is another.
    let folder = if profile == "dev" { "debug" } else { profile };
    foreign::target().join(folder).join(name)
}
