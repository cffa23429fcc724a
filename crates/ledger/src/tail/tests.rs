//! Records and segments: what is written is found again, and nothing else is. Must not know tables.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::record::{self, Found, HEAD, LARGEST};
use super::segment::{self, HEADER, Header};
use super::{SEGMENT, Tail};
use crate::samples::{settled, unknown};
use crate::{Entry, SettledCall};

fn records(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        assert!(record::append(entry, &mut bytes));
    }
    bytes
}

fn read(folder: &Path, number: u32) -> Vec<u8> {
    fs::read(segment::path(folder, number)).unwrap()
}

#[test]
fn a_record_gives_its_entry_back() {
    let entry = settled("a");
    let bytes = records(std::slice::from_ref(&entry));
    let Found::Whole { payload, size } = record::first(&bytes) else {
        panic!("no record");
    };
    assert_eq!(record::entry(payload), Some(entry));
    assert_eq!(size, bytes.len());
}

#[test]
fn a_record_cut_anywhere_is_no_record() {
    let bytes = records(&[settled("a")]);
    for cut in 1..bytes.len() {
        assert!(matches!(record::first(&bytes[..cut]), Found::Cut), "{cut}");
    }
}

#[test]
fn a_record_with_any_bit_changed_is_no_record() {
    let bytes = records(&[settled("a")]);
    for place in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[place / 8] ^= 1 << (place % 8);
        assert!(
            matches!(record::first(&bytes), Found::Cut | Found::Damaged),
            "{place}"
        );
    }
}

#[test]
fn zeros_are_no_records() {
    assert!(matches!(record::first(&[0; 64]), Found::Damaged));
}

#[test]
fn what_a_later_version_wrote_is_told_from_damage() {
    let payload = [99, 1, 2, 3];
    let mut bytes = Vec::from(4_u32.to_le_bytes());
    bytes.extend(crc32fast::hash(&payload).to_le_bytes());
    bytes.extend(payload);
    let Found::Whole { payload, size: 12 } = record::first(&bytes) else {
        panic!("no record");
    };
    assert_eq!(record::entry(payload), None);
}

#[test]
fn an_entry_too_large_leaves_no_trace() {
    let mut bytes = records(&[settled("a")]);
    let before = bytes.clone();
    let large = "x".repeat(LARGEST);
    let entry = Entry::Settled(SettledCall {
        assumes: large.as_str().into(),
        ..SettledCall::default()
    });
    assert!(!record::append(&entry, &mut bytes));
    assert_eq!(bytes, before);
}

#[test]
fn whole_records_are_counted_at_any_cut() {
    let ends: Vec<usize> = [1, 2, 3]
        .map(|n| records(&[settled("a"), unknown("b", None), settled("c")][..n]).len())
        .into();
    let bytes = records(&[settled("a"), unknown("b", None), settled("c")]);
    for cut in 0..=bytes.len() {
        let count = ends.iter().filter(|end| **end <= cut).count();
        let size = if count == 0 { 0 } else { ends[count - 1] };
        assert_eq!(record::whole(&bytes[..cut]), (size, count), "{cut}");
    }
}

#[test]
fn a_tail_is_a_header_and_what_was_appended() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
    let bytes = records(&[settled("a"), settled("b")]);
    let appended = tail.append(&bytes);
    assert_eq!((appended.bytes, appended.records), (bytes.len(), 2));
    let position = tail.position();
    assert_eq!(position.offset, HEADER + bytes.len() as u64);
    let file = read(folder.path(), position.segment);
    assert_eq!(&file[16..], bytes);
    let mode = fs::metadata(segment::path(folder.path(), position.segment))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_tail_begins_after_whatever_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let first = Tail::begin(folder.path(), Some(0), false)
        .unwrap()
        .position();
    let second = Tail::begin(folder.path(), Some(0), false)
        .unwrap()
        .position();
    assert!(second.segment > first.segment);
    let far = second.segment + 1_000_000;
    let third = Tail::begin(folder.path(), Some(far), false)
        .unwrap()
        .position();
    assert_eq!(third.segment, far + 1);
    let unknown = tempfile::tempdir().unwrap();
    let ahead = Tail::begin(unknown.path(), None, false).unwrap().position();
    assert!(ahead.segment >= first.segment + super::AHEAD);
    assert_eq!(
        segment::numbers(folder.path()).unwrap(),
        [first.segment, second.segment, third.segment]
    );
}

#[test]
fn a_full_segment_is_ended_where_the_next_one_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::begin(folder.path(), Some(0), true).unwrap();
    let first = tail.position().segment;
    let bytes = records(&vec![settled("a"); 4_000]);
    let mut end = 0;
    while tail.position().segment == first {
        end = tail.position().offset;
        assert!(tail.append(&bytes).failure.is_none());
    }
    assert!(end >= SEGMENT && end < SEGMENT + bytes.len() as u64);
    assert_eq!(read(folder.path(), first).len() as u64, end);
    let next = fs::File::open(segment::path(folder.path(), tail.position().segment)).unwrap();
    assert_eq!(
        segment::header(&next).unwrap(),
        Header::Ours {
            previous_end: Some(end)
        }
    );
}

#[test]
fn a_tail_that_refuses_bytes_goes_on_in_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
    let first = tail.position().segment;
    let bytes = records(&[settled("a")]);
    assert!(tail.append(&bytes).failure.is_none());
    let end = tail.position().offset;
    // Opened for reading only, the file refuses every write.
    tail.file = fs::File::open(segment::path(folder.path(), first)).unwrap();
    let refused = tail.append(&bytes);
    assert_eq!((refused.bytes, refused.records), (0, 0));
    assert!(refused.failure.is_some());
    assert_eq!(tail.position().offset, end);

    assert!(tail.append(&bytes).failure.is_none());
    let next = fs::File::open(segment::path(folder.path(), tail.position().segment)).unwrap();
    assert_eq!(
        segment::header(&next).unwrap(),
        Header::Ours {
            previous_end: Some(end)
        }
    );
}

#[test]
fn a_full_disk_is_tried_again_at_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
    let before = tail.position();
    let good = std::mem::replace(
        &mut tail.file,
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap(),
    );
    let bytes = records(&[settled("a")]);
    assert!(tail.append(&bytes).failure.is_some());
    assert_eq!(tail.position(), before);
    tail.file = good;
    assert_eq!(tail.append(&bytes).bytes, bytes.len());
    assert_eq!(tail.position().segment, before.segment);
}

#[test]
fn headers_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let header = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        segment::header(&fs::File::open(&path).unwrap()).unwrap()
    };
    let tail = Tail::begin(folder.path(), Some(0), false).unwrap();
    let good = read(folder.path(), tail.position().segment);
    assert_eq!(header(&good), Header::Ours { previous_end: None });
    for cut in 0..good.len() {
        assert_eq!(header(&good[..cut]), Header::Cut, "{cut}");
    }
    let mut newer = good.clone();
    newer[4] = 2;
    assert_eq!(header(&newer), Header::Newer);
    let mut other = good;
    other[0] = b'X';
    assert_eq!(header(&other), Header::Damaged);
    assert_eq!(HEAD, 8);
}
