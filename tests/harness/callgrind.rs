//! Instructions that a program takes in user space, counted by valgrind's callgrind: the same on a busy machine as on an
//! idle one.
//!
//! It must not know what the program does.

use std::process::{Command, Stdio};

/// What the counter says at the end, before the number.
const COLLECTED: &str = "Collected : ";

/// The command to start a program under; the counter is then the process, and speaks on its standard error.
const COMMAND: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

/// The version of valgrind; nothing where it cannot be had.
pub fn version() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

/// The command to start a program under.
pub fn command() -> Vec<String> {
    COMMAND.iter().map(ToString::to_string).collect()
}

/// The instructions of a whole process, from what it said until its end.
pub fn collected(said: &str) -> u64 {
    let number = said.lines().find_map(|line| line.split_once(COLLECTED));
    let (_, number) = number.unwrap_or_else(|| panic!("nothing was collected:\n{said}"));
    number.trim().parse().expect("a number")
}

/// Runs a program to its end and counts.
pub fn run(program: &std::path::Path, arguments: &[&str]) -> u64 {
    let [valgrind, flags @ ..] = COMMAND;
    let mut command = Command::new(valgrind);
    command.args(flags).arg(program).args(arguments);
    let output = command.stdin(Stdio::null()).output().expect("valgrind");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {arguments:?}\n{said}",
        program.display()
    );
    collected(&said)
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_number_is_found_among_the_lines_of_the_program() {
        let said = "hello\n==7== Events    : Ir\n==7== Collected : 4711\n==7== \n";
        assert_eq!(collected(said), 4711);
    }
}
