//! Waiting for what must come true: looked for again and again, never longer than a test can stand.
//!
//! It must not know what is waited for.

use std::time::{Duration, Instant};

/// The longest wait. Longer means that it does not come.
const MOST_WAIT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const POLL: Duration = Duration::from_millis(5);

/// What `look` finds, as soon as it finds something; `what` names it where it never comes.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + MOST_WAIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came true: {what}");
        tokio::time::sleep(POLL).await;
    }
}
