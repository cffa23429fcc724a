//! Files: new, empty, older, newer, damaged, held by others; and that whatever was done is done once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::{after, day_of, put, reader_of, sql, table_in};
use crate::samples::{call, settled};
use crate::table::{Position, Table, TableError};
use crate::{CallFilter, Entry, ReadError, Reader, SettledCall};

fn open(folder: &Path) -> Result<Table, TableError> {
    Table::open(&folder.join("ledger.sqlite"))
}

fn count(folder: &Path) -> usize {
    let filter = CallFilter {
        at_most: usize::MAX,
        ..CallFilter::default()
    };
    reader_of(folder).calls(&filter).unwrap().len()
}

/// Enough rows for a file of a few hundred pages, wholly in the main file.
fn filled(folder: &Path) {
    let mut table = table_in(folder);
    let ids: Vec<_> = (0..3_000).map(|id| format!("c_{id}")).collect();
    put(
        &mut table,
        &ids.iter().map(|id| settled(id)).collect::<Vec<_>>(),
    );
    assert!(table.checkpoint(true).unwrap());
}

#[test]
fn a_missing_or_an_empty_file_becomes_a_ledger_for_its_owner_alone() {
    for is_there in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        if is_there {
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(
                Reader::open(folder.path()),
                Err(ReadError::NoLedger)
            ));
        }
        let mut table = open(folder.path()).unwrap();
        assert_eq!(table.position(), Position::default());
        let found = super::super::schema::version(&table.connection).unwrap();
        assert_eq!(found, super::super::VERSION);
        put(&mut table, &[settled("c_1")]);
        for file in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let mode = fs::metadata(folder.path().join(file))
                .unwrap()
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
        }
        assert_eq!(count(folder.path()), 1);
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Reader::open(folder.path()),
        Err(ReadError::NoLedger)
    ));
}

#[test]
fn a_newer_file_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE future (x); PRAGMA user_version = 99")
        .unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    assert!(matches!(
        open(folder.path()),
        Err(TableError::Newer { version: 99 })
    ));
    assert!(matches!(Reader::open(folder.path()), Err(ReadError::Newer)));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn migrations_go_on_from_where_a_file_is_and_fail_whole() {
    use super::super::schema::{migrate_by, version};
    let folder = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(folder.path().join("x.sqlite")).unwrap();
    let first = "CREATE TABLE one (a); INSERT INTO one VALUES (1)";
    let second = "ALTER TABLE one ADD COLUMN b; UPDATE one SET b = a + 1";
    migrate_by(&mut connection, &[first]).unwrap();
    assert_eq!(version(&connection).unwrap(), 1);
    let broken = "UPDATE one SET b = 9; SELECT nonsense";
    let failed = migrate_by(&mut connection, &[first, second, broken]);
    assert!(matches!(failed, Err(TableError::Corrupt { .. })));
    assert_eq!(version(&connection).unwrap(), 1);
    migrate_by(&mut connection, &[first, second]).unwrap();
    migrate_by(&mut connection, &[first, second]).unwrap();
    assert_eq!(version(&connection).unwrap(), 2);
    let both: (i64, i64) = connection
        .query_row("SELECT a, b FROM one", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(both, (1, 2));
}

#[test]
fn a_file_that_is_no_ledger_is_corrupt() {
    let garbage = |folder: &Path| fs::write(folder.join("ledger.sqlite"), [0x5a; 9_000]).unwrap();
    let head_zeroed = |folder: &Path| {
        filled(folder);
        overwrite(folder, 0..4_096);
    };
    let truncated = |folder: &Path| {
        filled(folder);
        let file = fs::OpenOptions::new()
            .write(true)
            .open(folder.join("ledger.sqlite"))
            .unwrap();
        file.set_len(20_000).unwrap();
    };
    let others = |folder: &Path| {
        sql(folder)
            .execute_batch("CREATE TABLE settlements (x)")
            .unwrap();
    };
    let middle_zeroed = |folder: &Path| {
        filled(folder);
        overwrite(folder, 4_096 * 40..4_096 * 60);
    };
    let damages: [&dyn Fn(&Path); 5] =
        [&garbage, &head_zeroed, &truncated, &others, &middle_zeroed];
    for (number, damage) in damages.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        damage(folder.path());
        assert!(
            matches!(open(folder.path()), Err(TableError::Corrupt { .. })),
            "damage {number}"
        );
    }
}

fn overwrite(folder: &Path, bytes: std::ops::Range<usize>) {
    let path = folder.join("ledger.sqlite");
    let mut file = fs::read(&path).unwrap();
    file[bytes].fill(0);
    fs::write(&path, file).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_may_be_opened_later() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("ledger.sqlite")).unwrap();
    assert!(matches!(
        open(folder.path()),
        Err(TableError::NotMade { .. })
    ));
    assert!(matches!(
        Reader::open(folder.path()),
        Err(ReadError::Unreadable { .. })
    ));
}

#[test]
fn what_somebody_else_holds_is_tried_again_from_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[settled("c_1")]);
    let other = sql(folder.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = table.apply(&[settled("c_2")], after(9));
    assert!(matches!(refused, Err(TableError::Unavailable { .. })));
    assert_eq!(table.position().offset, 1);
    other.execute_batch("ROLLBACK").unwrap();
    table.apply(&[settled("c_2")], after(9)).unwrap();
    assert_eq!(count(folder.path()), 2);
    assert_eq!(day_of(folder.path(), "acme", "small").taken, 2_000);
}

#[test]
fn a_transaction_that_fails_leaves_nothing_behind_in_memory_either() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[settled("c_1")]);
    sql(folder.path())
        .execute_batch(
            "CREATE TRIGGER refuses BEFORE INSERT ON settled WHEN NEW.call = 'c_4'
             BEGIN SELECT raise(ABORT, 'no'); END",
        )
        .unwrap();
    let entries = [
        settled("c_2"),
        Entry::Alias {
            organization: "globex".into(),
            name: "acme".into(),
        },
        settled("c_3"),
        settled("c_4"),
    ];
    for _ in 0..3 {
        table.apply(&entries, after(5)).unwrap_err();
        assert_eq!(table.position().offset, 1);
    }
    sql(folder.path())
        .execute_batch("DROP TRIGGER refuses")
        .unwrap();
    table.apply(&entries, after(5)).unwrap();
    assert_eq!(count(folder.path()), 4);
    let day = day_of(folder.path(), "globex", "small");
    assert_eq!((day.calls, day.taken), (4, 4_000));
    assert!(reader_of(folder.path()).find_call("c_4").unwrap().is_some());
}

#[test]
fn a_checkpoint_says_whether_everything_is_in_the_main_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[settled("c_1")]);
    let other = sql(folder.path());
    other
        .execute_batch("BEGIN; SELECT count(*) FROM settlements")
        .unwrap();
    other
        .query_row("SELECT count(*) FROM settlements", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap();
    put(&mut table, &[settled("c_2")]);
    assert!(!table.checkpoint(false).unwrap());
    assert!(!table.checkpoint(true).unwrap());
    other.execute_batch("COMMIT").unwrap();
    assert!(table.checkpoint(false).unwrap());
    assert!(table.checkpoint(true).unwrap());
    let log = fs::metadata(folder.path().join("ledger.sqlite-wal")).unwrap();
    assert_eq!(log.len(), 0);
}

#[test]
fn a_reader_reads_beside_a_writer_and_where_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[settled("c_1")]);
    let reader = reader_of(folder.path());
    let filter = CallFilter {
        at_most: 9,
        ..CallFilter::default()
    };
    assert_eq!(reader.calls(&filter).unwrap().len(), 1);
    put(
        &mut table,
        &[Entry::Settled(SettledCall {
            organization: "new".into(),
            settled_at: i64::MAX,
            ..call("c_2")
        })],
    );
    assert_eq!(reader.calls(&filter).unwrap().len(), 2);
    assert_eq!(reader.organizations().unwrap(), ["new", "acme"]);
    assert_eq!(reader.last_settled_at().unwrap(), Some(i64::MAX));
    drop((reader, table));
    // The name needs care in an address.
    let odd = folder.path().join("a?b#c%20 d");
    fs::create_dir(&odd).unwrap();
    fs::copy(
        folder.path().join("ledger.sqlite"),
        odd.join("ledger.sqlite"),
    )
    .unwrap();
    let connection = Reader::connect_unchanging(&odd.join("ledger.sqlite")).unwrap();
    let rows: i64 = connection
        .query_row("SELECT count(*) FROM settlements", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
}
