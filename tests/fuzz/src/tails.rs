//! The tail from bytes: its records, sealed, and what a slow reader finds in them. It must not know files.

use ledger::Entry;

use crate::record::{Stop, group};

/// What is found: each entry in words, the bytes they take, and why they end there.
type Found = (Vec<String>, usize, String);

/// A record of any bytes, its length and its checksum true.
pub fn record(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short record");
    let sum = crc32fast::hash(payload);
    [&length.to_le_bytes(), &sum.to_le_bytes(), payload].concat()
}

/// What the reader finds.
pub fn entries(tail: &[u8]) -> Found {
    let (entries, size, stop) = group(tail);
    let entries = entries.iter().map(|entry| format!("{entry:?}"));
    let stop = match stop {
        Stop::Unknown { size } => format!("unknown {size}"),
        stop => format!("{stop:?}"),
    };
    (entries.collect(), size, stop)
}

/// What there is.
pub fn entries_slowly(tail: &[u8]) -> Found {
    let (mut found, mut at) = (Vec::new(), 0);
    let why = loop {
        let left = &tail[at..];
        if left.is_empty() {
            break "AllRead".to_owned();
        }
        if left.len() < 8 {
            break "Cut".to_owned();
        }
        let number = |at: usize| {
            left[at..at + 4]
                .iter()
                .rev()
                .fold(0, |n, byte| n << 8 | usize::from(*byte))
        };
        let (length, sum) = (number(0), number(4));
        if length == 0 || length > 64 * 1024 {
            break "Damaged".to_owned();
        }
        if left.len() < 8 + length {
            break "Cut".to_owned();
        }
        let payload = &left[8..8 + length];
        if crc32fast::hash(payload) as usize != sum {
            break "Damaged".to_owned();
        }
        match postcard::from_bytes::<Entry>(payload) {
            Ok(entry) => found.push(format!("{entry:?}")),
            Err(_) => break format!("unknown {}", 8 + length),
        }
        at += 8 + length;
    };
    (found, at, why)
}
