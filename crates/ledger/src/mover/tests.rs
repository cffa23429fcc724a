//! Moving: every whole record arrives once, whatever is cut where. Must not know threads.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;

use super::Mover;
use crate::samples::{DAY, call, settled, unknown};
use crate::tail::{Tail, record, segment};
use crate::{DATABASE, Entry, SettledCall};

fn records(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        assert!(record::append(entry, &mut bytes));
    }
    bytes
}

fn mover(folder: &Path) -> Mover {
    Mover::open(folder).unwrap()
}

fn move_all(folder: &Path) {
    mover(folder).restore(None, 0, |_| {}).unwrap();
}

/// The ids of all rows, in the order they were kept.
fn calls(folder: &Path) -> Vec<String> {
    let tables = Connection::open(folder.join(DATABASE)).unwrap();
    let mut all = tables
        .prepare("SELECT call FROM settlements ORDER BY number")
        .unwrap();
    all.query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Appends calls in a new segment and gives its number.
fn append(folder: &Path, ids: &[&str]) -> u32 {
    append_after(folder, 0, ids)
}

fn append_after(folder: &Path, moved: u32, ids: &[&str]) -> u32 {
    let mut tail = Tail::begin(folder, Some(moved), false).unwrap();
    for id in ids {
        assert!(tail.append(&records(&[settled(id)])).failure.is_none());
    }
    tail.position().segment
}

/// A call of which nothing else is known: a short record.
fn bare(id: &str) -> Entry<'_> {
    Entry::Settled(SettledCall {
        call: id.into(),
        organization: "acme".into(),
        ..SettledCall::default()
    })
}

#[test]
fn a_segment_cut_at_any_byte_keeps_what_was_whole() {
    let source = tempfile::tempdir().unwrap();
    let number = append(source.path(), &[]);
    let mut bytes = fs::read(segment::path(source.path(), number)).unwrap();
    bytes.extend(records(&[bare("a"), bare("b"), bare("c")]));
    let size = records(&[bare("a")]).len();
    for cut in 0..=bytes.len() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(segment::path(folder.path(), number), &bytes[..cut]).unwrap();
        let after = append(folder.path(), &["d"]);
        assert!(after > number);
        let now = crate::shared::unix_ms();
        let restored = mover(folder.path()).restore(None, now, |_| {}).unwrap();
        let torn = restored
            .totals
            .iter()
            .flat_map(|total| &total.slack)
            .count();
        assert_eq!(torn, 0, "{cut}: {restored:?}");
        let whole = cut.saturating_sub(16) / size;
        let mut expected = ["a", "b", "c"][..whole].to_vec();
        expected.push("d");
        assert_eq!(calls(folder.path()), expected, "{cut}");
    }
}

#[test]
fn bytes_after_the_end_that_the_next_segment_tells_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let first = append(folder.path(), &["a", "b"]);
    let path = segment::path(folder.path(), first);
    let bytes = fs::read(&path).unwrap();
    let end = 16 + records(&[settled("a")]).len() as u64;
    segment::create(folder.path(), first + 1, Some(end), false).unwrap();
    assert!(bytes.len() as u64 > end);
    move_all(folder.path());
    assert_eq!(calls(folder.path()), ["a"]);
}

#[test]
fn a_damaged_record_costs_its_segment_and_is_slack() {
    let folder = tempfile::tempdir().unwrap();
    let first = append(folder.path(), &["a", "b", "c"]);
    let path = segment::path(folder.path(), first);
    let mut bytes = fs::read(&path).unwrap();
    let size = records(&[settled("a")]).len();
    bytes[16 + size + 20] ^= 0x40;
    fs::write(&path, bytes).unwrap();
    append(folder.path(), &["d"]);
    let mut mover = mover(folder.path());
    let restored = mover
        .restore(None, crate::shared::unix_ms(), |_| {})
        .unwrap();
    assert_eq!(calls(folder.path()), ["a", "d"]);
    let unlimited = restored
        .totals
        .iter()
        .any(|total| total.slack.iter().any(|(_, tokens)| tokens.is_none()));
    assert!(unlimited, "{restored:?}");
}

#[test]
fn damage_is_slack_of_the_day_that_was_settled_on_whatever_this_machines_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let long_ago = DAY - 3_000;
    let settled = SettledCall {
        day: long_ago,
        ..call("a")
    };
    let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
    tail.append(&records(&[Entry::Settled(settled)]));
    let path = segment::path(folder.path(), tail.position().segment);
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&[0xff; 100]).unwrap();
    append(folder.path(), &[]);
    let now = i64::from(long_ago) * 86_400_000;
    let restored = mover(folder.path()).restore(None, now, |_| {}).unwrap();
    let unlimited = restored
        .totals
        .iter()
        .any(|total| total.slack.iter().any(|(_, tokens)| tokens.is_none()));
    assert!(unlimited, "{restored:?}");
}

#[test]
fn room_that_was_never_written_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let first = append(folder.path(), &["a"]);
    let path = segment::path(folder.path(), first);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length + 300_000).unwrap();
    append(folder.path(), &["b"]);
    let restored = mover(folder.path()).restore(None, 0, |_| {}).unwrap();
    assert_eq!(calls(folder.path()), ["a", "b"]);
    assert!(restored.totals.iter().all(|total| total.slack.is_empty()));
}

#[test]
fn an_entry_of_a_later_version_is_passed_over_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
    let payload = [99, 1, 2, 3];
    let mut bytes = records(&[settled("a")]);
    bytes.extend(4_u32.to_le_bytes());
    bytes.extend(crc32fast::hash(&payload).to_le_bytes());
    bytes.extend(payload);
    bytes.extend(records(&[settled("b")]));
    assert_eq!(tail.append(&bytes).records, 3);
    move_all(folder.path());
    assert_eq!(calls(folder.path()), ["a", "b"]);
}

#[test]
fn a_later_tail_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let first = append(folder.path(), &["a"]);
    let path = segment::path(folder.path(), first);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4] = 9;
    fs::write(&path, bytes).unwrap();
    let error = mover(folder.path()).restore(None, 0, |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("a newer tollfree wrote"));
    assert!(calls(folder.path()).is_empty());
}

#[test]
fn moved_segments_are_cleared_away_and_the_next_goes_on_after_them() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), &["a"]);
    let mut mover = mover(folder.path());
    mover.restore(None, 0, |_| {}).unwrap();
    mover.checkpoint(true).unwrap();
    mover.retire(u32::MAX).unwrap();
    assert!(segment::numbers(folder.path()).unwrap().is_empty());
    append_after(folder.path(), mover.at().segment, &["b"]);
    drop(mover);
    move_all(folder.path());
    assert_eq!(calls(folder.path()), ["a", "b"]);
}

#[test]
fn groups_do_not_change_what_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
    let ids: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    for piece in ids.chunks(100) {
        let entries: Vec<_> = piece.iter().map(|id| settled(id)).collect();
        assert!(tail.append(&records(&entries)).failure.is_none());
    }
    move_all(folder.path());
    assert_eq!(calls(folder.path()), ids);
}

/// One run of the program in the property below.
#[derive(Clone, Debug)]
struct Run {
    /// How many entries each append has.
    appends: Vec<usize>,
    /// Steps of the mover after each append, in the same order.
    steps: Vec<usize>,
    /// Where the file is cut, in thousandths of what is not moved yet.
    cut: Option<u64>,
}

fn run() -> impl Strategy<Value = Run> {
    (
        prop::collection::vec(0..20_usize, 0..6),
        prop::collection::vec(0..2_usize, 0..6),
        prop::option::of(0..=1_000_u64),
    )
        .prop_map(|(appends, steps, cut)| Run {
            appends,
            steps,
            cut,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Runs that end anywhere, with the mover anywhere behind, and the last bytes gone: the rows are all whole
    /// records, each once, in order.
    #[test]
    fn every_whole_record_arrives_once(runs in prop::collection::vec(run(), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        let mut number = 0;
        for run in runs {
            let mut mover = mover(folder.path());
            let mut tail = Tail::begin(folder.path(), Some(mover.at().segment), false).unwrap();
            let mut written = Vec::new();
            mover.restore(Some(tail.position()), 0, |_| {}).unwrap();
            for (append, steps) in run.appends.iter().zip(run.steps) {
                let ids: Vec<String> = (0..*append)
                    .map(|_| {
                        number += 1;
                        format!("call-{number}")
                    })
                    .collect();
                let entries: Vec<_> = ids
                    .iter()
                    .enumerate()
                    .map(|(n, id)| if n % 3 == 0 { unknown(id, Some(5)) } else { settled(id) })
                    .collect();
                for (id, entry) in ids.iter().zip(&entries) {
                    written.push((id.clone(), records(std::slice::from_ref(entry)).len() as u64));
                }
                prop_assert!(tail.append(&records(&entries)).failure.is_none());
                for _ in 0..steps {
                    mover.step(Some(tail.position())).unwrap();
                }
            }
            let end = tail.position();
            let keep = run.cut.map_or(end.offset, |cut| {
                let moved = if mover.at().segment == end.segment {
                    mover.at().offset
                } else {
                    segment::HEADER
                };
                moved + (end.offset - moved) * cut / 1_000
            });
            fs::OpenOptions::new()
                .write(true)
                .open(segment::path(folder.path(), end.segment))
                .unwrap()
                .set_len(keep)
                .unwrap();
            let mut offset = segment::HEADER;
            for (id, size) in written {
                offset += size;
                if offset <= keep {
                    expected.push(id);
                }
            }
        }
        move_all(folder.path());
        prop_assert_eq!(calls(folder.path()), expected);
    }
}
