//! What is said of replicas that share totals. Knows nothing of how they do.

use super::{as_object, seen, status};

#[test]
fn how_totals_are_shared_is_said() {
    let mut status = status();
    let mut share = |in_step, replicas, missing_replicas| {
        status.sharing = Some(admin::Sharing {
            in_step,
            replicas,
            missing_replicas,
        });
        let text = seen(&status, 100);
        let notes = text.lines().filter(|line| line.contains("these totals"));
        (notes.collect::<String>(), as_object(&status))
    };
    let (note, object) = share(true, 3, 0);
    assert_eq!(note, "note: 3 replicas share these totals, in step");
    assert_eq!(object["sharing"]["replicas"], 3);
    let (note, _) = share(false, 2, 1);
    assert_eq!(note, "note: 2 replicas share these totals, 1 fell silent");
    let (note, object) = share(false, 0, 0);
    assert!(
        note.contains("what other replicas take is not known now"),
        "{note}"
    );
    assert_eq!(object["sharing"]["in_step"], false);
}
