//! CPU time of another process, from the scheduler's own accounts.

use std::fs;
use std::time::Duration;

use crate::Failure;

/// CPU time that all threads of a process have had (user and kernel), to the nanosecond.
///
/// # Errors
/// When the process is gone or the system has no such accounts (Linux only).
pub fn time_of(process: u32) -> Result<Duration, Failure> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let accounts = fs::read_to_string(thread?.path().join("schedstat"))?;
        let running = accounts.split_whitespace().next().unwrap_or("0");
        nanoseconds += running.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// When the process is gone or the system has no such accounts (Linux only).
pub fn resident_bytes(process: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}
