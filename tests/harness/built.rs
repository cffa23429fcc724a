//! Programs of the workspace, built when a test needs them: always asked for, so that none left over from an older state
//! is tested silently.
//!
//! It must not know what they are for.

use std::path::PathBuf;
use std::process::Command;

use crate::foreign;

/// Builds a program in this profile, into the folder of build results that this test was built into.
pub fn program(package: &str, name: &str, profile: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // What cargo tells a test of its own package would make it build other packages anew.
    let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"];
    for (variable, _) in std::env::vars_os() {
        if told
            .iter()
            .any(|begin| variable.to_string_lossy().starts_with(begin))
        {
            build.env_remove(&variable);
        }
    }
    build.args(["build", "--quiet", "--package", package, "--bin", name]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.arg("--target-dir").arg(foreign::target());
    build.args(["--profile", profile]);
    assert!(build.status().expect("cargo").success(), "no {name}");
    // cargo's own name for the folder of its first profile is another.
    let folder = if profile == "dev" { "debug" } else { profile };
    foreign::target().join(folder).join(name)
}
