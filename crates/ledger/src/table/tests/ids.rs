//! Calls are found by any of their ids: past the last whole block, within blocks, across them, and after a start.

use super::super::names::BLOCK;
use super::{put, reader_of, sql, table_in};
use crate::samples::call;
use crate::{Adjustment, Entry, SettledCall};

fn entries(ids: std::ops::Range<i64>) -> Vec<Entry<'static>> {
    ids.map(|id| {
        Entry::Settled(SettledCall {
            call: format!("c_{id}").into(),
            response_id: (id % 3 != 0).then(|| format!("resp_{id}").into()),
            request_id: Some(format!("req_{id}").into()),
            key_hash: Some([u8::try_from(id % 2).unwrap(); 16]),
            ..call("")
        })
    })
    .collect()
}

#[test]
fn a_call_is_found_by_any_of_its_ids() {
    let folder = tempfile::tempdir().unwrap();
    let rows = BLOCK * 2 + 500;
    let mut table = table_in(folder.path());
    // Groups that end anywhere, and a start in the middle of a block.
    for from in (0..rows).step_by(3_000) {
        if from == 6_000 {
            drop(table);
            table = table_in(folder.path());
        }
        put(&mut table, &entries(from..(from + 3_000).min(rows)));
    }
    let sealed: i64 = sql(folder.path())
        .query_row("SELECT count(*) FROM names", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sealed, 2 * 64);
    let reader = reader_of(folder.path());
    let first_of_blocks = [
        BLOCK - 2,
        BLOCK - 1,
        BLOCK,
        2 * BLOCK - 2,
        2 * BLOCK - 1,
        2 * BLOCK,
    ];
    for id in (0..rows)
        .step_by(997)
        .chain(first_of_blocks)
        .chain([rows - 1])
    {
        let found = reader.find_call(&format!("c_{id}")).unwrap().unwrap();
        assert_eq!(found.number, id + 1);
        let key_hash = [u8::try_from(id % 2).unwrap(); 16];
        let request = format!("req_{id}");
        let found = reader.find_openai_id(&key_hash, &request).unwrap().unwrap();
        assert_eq!(found.call.call, format!("c_{id}"));
        let response = reader
            .find_openai_id(&key_hash, &format!("resp_{id}"))
            .unwrap();
        assert_eq!(response.is_some(), id % 3 != 0);
        // Another key finds nothing, nor is one kind of id another.
        let other_key = [u8::try_from(1 - id % 2).unwrap(); 16];
        assert_eq!(reader.find_openai_id(&other_key, &request).unwrap(), None);
        assert_eq!(reader.find_call(&request).unwrap(), None);
    }
    for unknown in ["", "c_", "c_-1", "req_99999999", "c_1\0"] {
        assert_eq!(reader.find_call(unknown).unwrap(), None);
    }
}

#[test]
fn the_newest_of_namesakes_is_found_and_old_calls_can_be_adjusted() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &entries(0..BLOCK + 10));
    let again = |call_id: &'static str| SettledCall {
        call: call_id.into(),
        response_id: Some("resp_1".into()),
        key_hash: Some([1; 16]),
        ..call("")
    };
    let adjusts = |call_id| {
        Entry::Adjusted(Adjustment {
            row: SettledCall {
                span: None,
                ..again(call_id)
            },
            adjusts: "c_1".into(),
            change: 0,
            fitted_change: 0,
            was_past: None,
        })
    };
    put(&mut table, &[adjusts("c_new"), adjusts("c_newer")]);
    let reader = reader_of(folder.path());
    let found = reader.find_openai_id(&[1; 16], "resp_1").unwrap().unwrap();
    assert_eq!(found.call.call, "c_newer");
    let day = super::day_of(folder.path(), "acme", "small");
    assert_eq!(day.calls, u64::try_from(BLOCK + 10).unwrap());
    // The same, once all of it is in blocks.
    put(&mut table, &entries(BLOCK + 10..2 * BLOCK));
    let found = reader.find_openai_id(&[1; 16], "resp_1").unwrap().unwrap();
    assert_eq!(found.call.call, "c_newer");
}

#[test]
fn ids_that_share_a_hash_do_not_hide_each_other() {
    // Two texts with one CRC-32.
    let twins = ["plumless", "buckeroo"];
    assert_eq!(
        crc32fast::hash(twins[0].as_bytes()),
        crc32fast::hash(twins[1].as_bytes())
    );
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &twins.map(|id| Entry::Settled(call(id))));
    let found = |id: &str| {
        let found = reader_of(folder.path()).find_call(id).unwrap();
        found.map(|row| row.number)
    };
    assert_eq!(twins.map(found), [Some(1), Some(2)]);
    put(&mut table, &entries(0..BLOCK));
    assert_eq!(twins.map(found), [Some(1), Some(2)]);
}
