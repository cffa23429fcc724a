//! What is kept is there afterwards: once, in order, after every kind of stop. Must not know how it is done.

#![cfg(test)]

#[path = "../src/samples.rs"]
mod samples;
#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use ledger::{
    CallFilter, CarriedTotal, Durability, Entry, HealthState, Kept, Ledger, Lock, LockError,
    OpenCalls, Reader, SettledCall, Slack, Stated, Tokens, fold_tail, state_total,
};

use samples::{DAY, call, open_calls, settled, unknown};
use support::{LONG, NOW, calls, is_kept, open, open_with, tails, until};

#[test]
fn what_was_kept_is_there_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, restored, troubles) = open(folder.path());
    assert!(troubles.is_empty(), "{troubles:?}");
    assert_eq!(restored.began_at, NOW);
    for id in ["a", "b", "c"] {
        assert!(matches!(ledger.keep(&[settled(id)]), Kept::Now));
    }
    ledger.close(LONG).unwrap();
    assert_eq!(calls(folder.path()), ["a", "b", "c"]);
    assert_eq!(tails(folder.path()), 0);
    assert_eq!(ledger.health().state, HealthState::Ok);
    drop(ledger);

    let (_ledger, restored, _) = open(folder.path());
    assert!(restored.was_clean);
    let total = &restored.totals[0];
    assert_eq!((total.taken, total.fitted), (3_000, 3_000));
}

#[test]
fn the_tables_catch_up_with_what_was_kept_moments_ago() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    // The second is kept while the mover lets entries gather.
    for (count, id) in ["a", "b", "c"].into_iter().enumerate() {
        assert!(is_kept(ledger.keep(&[settled(id)])));
        assert!(ledger.catches_up(LONG));
        assert_eq!(calls(folder.path()).len(), count + 1);
    }
    assert!(ledger.catches_up(Duration::ZERO));
}

#[test]
fn what_was_kept_is_there_after_a_sudden_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    for id in ["a", "b", "c"] {
        assert!(matches!(ledger.keep(&[settled(id)]), Kept::Now));
    }
    drop(ledger);
    let lock = Lock::take(folder.path(), LONG).unwrap();
    assert!(!fold_tail(folder.path(), NOW).unwrap(), "it is held");
    drop(lock);
    assert!(fold_tail(folder.path(), NOW).unwrap());
    assert_eq!(calls(folder.path()), ["a", "b", "c"]);
    assert!(!fold_tail(folder.path(), NOW).unwrap(), "it is done");
}

#[test]
fn only_the_owner_can_read_anything() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/folder");
    let (ledger, ..) = open(&folder);
    assert!(is_kept(ledger.keep(&[settled("a")])));
    until("the first row", || !calls(&folder).is_empty());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

#[test]
fn one_program_has_it_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    let Err(LockError::InUse { pid, since, .. }) = Lock::take(folder.path(), Duration::ZERO) else {
        panic!("two hold it");
    };
    assert_eq!(pid, Some(std::process::id()));
    assert!(since.unwrap().ends_with('Z'));
    // A clean stop frees it at once, however many clones are left.
    ledger.close(LONG).unwrap();
    assert!(Lock::take(folder.path(), Duration::ZERO).is_ok());
}

#[test]
fn nothing_is_kept_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    ledger.close(LONG).unwrap();
    ledger.close(LONG).unwrap();
    assert!(matches!(ledger.keep(&[settled("a")]), Kept::No));
    assert_eq!(ledger.health().dropped, 1);
    assert!(calls(folder.path()).is_empty());
}

#[test]
fn many_threads_keep_everything_once_and_in_their_order() {
    const THREADS: usize = 8;
    const EACH: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let ledger = ledger.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    assert!(is_kept(ledger.keep(&[settled(&format!("{thread}-{n}"))])));
                }
            });
        }
    });
    let health = ledger.health();
    assert_eq!((health.waiting, health.dropped), (0, 0));
    ledger.close(LONG).unwrap();
    let mut next = HashMap::new();
    let all = calls(folder.path());
    assert_eq!(all.len(), THREADS * EACH);
    for call in all {
        let (thread, n) = call.split_once('-').unwrap();
        let expected = next.entry(thread.to_owned()).or_insert(0_usize);
        assert_eq!(n.parse::<usize>().unwrap(), *expected, "of thread {thread}");
        *expected += 1;
    }
}

#[test]
fn with_power_loss_in_mind_entries_are_synced_in_groups() {
    const THREADS: usize = 8;
    const EACH: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open_with(folder.path(), Durability::PowerLoss);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let ledger = ledger.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    assert!(is_kept(ledger.keep(&[settled(&format!("{thread}-{n}"))])));
                }
            });
        }
    });
    ledger.close(LONG).unwrap();
    assert_eq!(calls(folder.path()).len(), THREADS * EACH);
}

#[test]
fn with_power_loss_in_mind_one_may_wait_for_what_others_gave() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open_with(folder.path(), Durability::PowerLoss);
    for version in 1..50 {
        let _ = ledger.keep(&[open_calls(version, Some(700))]);
        assert!(is_kept(ledger.so_far()));
        assert_eq!(ledger.health().waiting, 0, "all that was given is written");
    }
    ledger.close(LONG).unwrap();
}

#[test]
fn entries_given_together_stay_together() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[
        settled("a"),
        unknown("b", Some(50)),
        open_calls(1, Some(0))
    ])));
    assert!(matches!(ledger.keep(&[]), Kept::Now));
    ledger.close(LONG).unwrap();
    assert_eq!(calls(folder.path()), ["a", "b"]);
}

#[test]
fn what_is_too_large_for_a_record_is_counted_and_becomes_slack() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    let large = Entry::Settled(SettledCall {
        client: Some("x".repeat(64 * 1024).into()),
        ..call("a")
    });
    assert!(matches!(ledger.keep(&[large]), Kept::No));
    assert_eq!(ledger.health().dropped, 1);
    assert!(is_kept(ledger.keep(&[settled("b")])));
    ledger.close(LONG).unwrap();
    assert_eq!(calls(folder.path()), ["b"]);
    let totals = Reader::open(folder.path()).unwrap().totals(DAY).unwrap();
    let total = totals.iter().find(|total| total.group == "small").unwrap();
    assert_eq!(total.slack, [("unclean-stop".to_owned(), Some(1_000))]);
}

#[test]
fn calls_open_at_a_sudden_stop_are_slack_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(
        ledger.keep(&[settled("a"), open_calls(1, Some(700))])
    ));
    drop(ledger);
    for start in 0..2 {
        let (ledger, restored, _) = open(folder.path());
        assert_eq!(restored.was_clean, start > 0);
        let total = restored
            .totals
            .iter()
            .find(|total| total.group == "small")
            .unwrap();
        assert_eq!(total.slack, [("unclean-stop".to_owned(), Some(700))]);
        ledger.close(LONG).unwrap();
    }
}

#[test]
fn a_call_is_found_by_its_ids_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[settled("a"), settled("b")])));
    until("the row", || ledger.find_call("b").is_some());
    assert_eq!(ledger.find_call("a").unwrap().call, call("a"));
    assert_eq!(ledger.find_call("c"), None);
    let by_request = ledger.find_openai_id(&[7; 16], "req_b").unwrap();
    assert_eq!(by_request.call.call, "b");
    let by_response = ledger.find_openai_id(&[7; 16], "chatcmpl-a").unwrap();
    assert_eq!(by_response.call.call, "a");
    assert_eq!(ledger.find_openai_id(&[8; 16], "req_b"), None);
}

#[test]
fn who_reads_all_calls_slowly_holds_no_page_of_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    let ids: Vec<String> = (0..2_500).map(|number| format!("c{number}")).collect();
    for id in &ids {
        assert!(!matches!(ledger.keep(&[settled(id)]), Kept::No));
    }
    assert!(ledger.catches_up(LONG));
    let reader = Reader::open(folder.path()).unwrap();
    let writer = rusqlite::Connection::open(folder.path().join("ledger.sqlite")).unwrap();
    writer.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut read = Vec::new();
    let each = reader.each_call(DAY, DAY, None, |row| {
        // Between two calls the log can be emptied into the tables, and written anew.
        if read.len() % 900 == 0 {
            let kept: i64 = writer
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))
                .unwrap();
            assert_eq!(kept, 0, "a reader is in the way");
        }
        read.push(row.call.call.into_owned());
        ControlFlow::Continue(())
    });
    each.unwrap();
    assert_eq!(read, ids);
    let mut few = 0;
    let each = reader.each_call(DAY, DAY, None, |_| {
        few += 1;
        if few == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    each.unwrap();
    assert_eq!(few, 3);
}

#[test]
fn the_secret_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    let secret = ledger.key_secret();
    ledger.close(LONG).unwrap();
    assert_ne!(secret, [0; 32]);
    assert_eq!(fs::read(folder.path().join("key.secret")).unwrap(), secret);
    let (again, ..) = open(folder.path());
    assert_eq!(again.key_secret(), secret);
    assert!(!format!("{again:?}").contains(&format!("{secret:?}")));
    let (other, ..) = open(tempfile::tempdir().unwrap().path());
    assert_ne!(other.key_secret(), secret);
}

#[test]
fn a_total_is_stated_while_nobody_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[settled("a")])));
    let stated = Stated {
        organization: "acme".into(),
        group: "small".into(),
        day: DAY,
        at: NOW,
        tokens: 400,
        change: 0,
    };
    assert_eq!(state_total(folder.path(), &stated, &[]).unwrap(), None);
    drop(ledger);
    drop(Lock::take(folder.path(), LONG).unwrap());
    let done = state_total(folder.path(), &stated, &[]).unwrap();
    assert_eq!(done, Some(-600));
    let reader = Reader::open(folder.path()).unwrap();
    let totals = reader.totals(DAY).unwrap();
    let total = totals.iter().find(|total| total.group == "small").unwrap();
    assert_eq!((total.taken, total.stated), (400, true));
    let rows = reader.calls(&CallFilter {
        at_most: 10,
        ..CallFilter::default()
    });
    assert_eq!(rows.unwrap().len(), 1);
}

#[test]
fn a_total_is_stated_for_all_names_of_its_organization() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    let learned = Entry::Alias {
        organization: "acme".into(),
        name: "org-acme".into(),
    };
    let other = Entry::Settled(SettledCall {
        organization: "my-org".into(),
        ..call("b")
    });
    assert!(is_kept(ledger.keep(&[settled("a"), learned, other])));
    ledger.close(LONG).unwrap();
    drop(ledger);
    let state = |organization: &'static str, tokens, declared: &[_]| {
        let stated = Stated {
            organization: organization.into(),
            group: "small".into(),
            day: DAY,
            at: NOW,
            tokens,
            change: 0,
        };
        let change = state_total(folder.path(), &stated, declared).unwrap();
        let totals = Reader::open(folder.path()).unwrap().totals(DAY).unwrap();
        let total = |total: CarriedTotal| (total.organization, total.taken);
        let totals: Vec<_> = totals.into_iter().map(total).collect();
        (change, totals)
    };
    let row = |name: &str, taken| (name.to_owned(), taken);
    assert_eq!(
        state("org-acme", 1_500, &[]),
        (Some(500), vec![row("acme", 1_500), row("my-org", 1_000)])
    );
    let declared = [("my-org", "acme")];
    for (name, change) in [("my-org", 1_500), ("acme", 0), ("org-acme", 0)] {
        assert_eq!(
            state(name, 4_000, &declared),
            (Some(change), vec![row("my-org", 4_000)])
        );
    }
}

#[test]
fn what_of_a_statement_could_not_be_written_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let too_large = "x".repeat(64 * 1024);
    let refused = |organization: &str, declared: &[_]| {
        let stated = Stated {
            organization: organization.into(),
            group: "small".into(),
            day: DAY,
            at: NOW,
            tokens: 400,
            change: 0,
        };
        let refused = state_total(folder.path(), &stated, declared);
        drop(Lock::take(folder.path(), LONG).unwrap());
        refused.unwrap_err().to_string()
    };
    assert_eq!(
        refused("acme", &[("acme", &*too_large)]),
        "the declared other names could not be written"
    );
    assert_eq!(
        refused(&too_large, &[]),
        "the stated total could not be written"
    );
}

#[test]
fn nothing_is_folded_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!fold_tail(folder.path(), NOW).unwrap());
    assert!(!fold_tail(&folder.path().join("missing"), NOW).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_ledger_left_alone_frees_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    let clone: Ledger = ledger.clone();
    drop(ledger);
    assert!(Lock::take(folder.path(), Duration::ZERO).is_err());
    drop(clone);
    assert!(Lock::take(folder.path(), LONG).is_ok());
}
