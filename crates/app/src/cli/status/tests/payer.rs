//! A group that OpenAI bills although its allowance is not spent.

use super::{seen, status};

#[test]
fn a_group_that_openai_bills_has_nothing_left_and_says_why() {
    let mut status = status();
    let group = &mut status.organizations[0].standing.groups[1];
    group.remaining_tokens = 0;
    group.largest_free_call_tokens = 0;
    group.payer_says_billed = true;
    let seen = seen(&status, 100);
    assert!(
        seen.contains(
            "61 %  6,118,420 of 10,000,000\n       OpenAI bills this group until 00:00 UTC"
        ),
        "{seen}"
    );
    assert!(
        seen.contains("note: OpenAI bills group small of acme until 00:00 UTC"),
        "{seen}"
    );
}
