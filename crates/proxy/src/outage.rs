//! Upstream that gives no answer: said when that begins, each minute that it lasts, and when it is over. Knows nothing of
//! what was asked.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use net::{Break, SendError};

/// It is said no more often than this.
const EVERY: Duration = Duration::from_mins(1);

/// Whether calls get no answer now, and what was said of it.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// To be looked at without the lock.
    lasts: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Option<Unanswered>,
    /// When it was said last, of this outage or of one before.
    said_at: Option<Instant>,
    /// The one that lasts was said.
    is_said: bool,
}

/// Calls that got no answer, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unanswered {
    cause: String,
    help: &'static str,
    calls: u64,
    /// Unix seconds.
    since: i64,
}

impl Outage {
    /// A call got no answer, now in Unix seconds.
    pub(crate) fn failed(&self, error: &SendError, now: i64) {
        if let SendError::Broke {
            source: Break::Body(_),
            ..
        } = error
        {
            // The client's body broke off: upstream had no whole request.
            return;
        }
        if let Some(said) = self.counted(error, now, Instant::now()) {
            tracing::warn!("{said}");
        }
    }

    /// Counts the call; answers what is to be said of it.
    fn counted(&self, error: &SendError, now: i64, at: Instant) -> Option<String> {
        let text = error.to_string();
        // How long each attempt took differs from call to call.
        let cause = text
            .rsplit_once(" (after ")
            .map_or(&*text, |(cause, _)| cause);
        let mut state = self.state();
        let since = state.now.take().unwrap_or(Unanswered {
            cause: String::new(),
            help: "",
            calls: 0,
            since: now,
        });
        let unanswered = Unanswered {
            cause: cause.to_owned(),
            help: help(error),
            calls: since.calls + 1,
            ..since
        };
        self.lasts.store(true, Ordering::Relaxed);
        let is_due = state
            .said_at
            .is_none_or(|said| at.duration_since(said) >= EVERY);
        let said = is_due.then(|| unanswered.to_string());
        if is_due {
            state.said_at = Some(at);
            state.is_said = true;
        }
        state.now = Some(unanswered);
        said
    }

    /// A call got an answer.
    pub(crate) fn answered(&self) {
        if !self.lasts.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state();
        self.lasts.store(false, Ordering::Relaxed);
        let over = state.now.take();
        let was_said = std::mem::take(&mut state.is_said);
        drop(state);
        if let Some(over) = over.filter(|_| was_said) {
            tracing::info!("upstream answers again, after {}", over.calls());
        }
    }

    /// What people are told while calls get no answer.
    pub(crate) fn notice(&self) -> Option<String> {
        self.state().now.as_ref().map(ToString::to_string)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // It is changed in steps that do not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where to look.
fn help(error: &SendError) -> &'static str {
    if error.is_not_tls() {
        "http:// in upstream.url?"
    } else {
        "tollfree check"
    }
}

impl Unanswered {
    fn calls(&self) -> String {
        let at = self.since.rem_euclid(86_400);
        let at = format!("{:02}:{:02}:{:02} UTC", at / 3600, at / 60 % 60, at % 60);
        match self.calls {
            1 => format!("1 call without an answer at {at}"),
            calls => format!("{calls} calls without an answer since {at}"),
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}). help: {}", self.cause, self.calls(), self.help)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// 19:22:04 UTC.
    const NOW: i64 = 1_795_288_924;

    fn timed_out() -> SendError {
        SendError::ConnectTimedOut {
            address: Arc::from("api.openai.com:443"),
            after: Duration::from_secs(10),
        }
    }

    #[test]
    fn an_outage_is_said_once_a_minute_and_ends_with_an_answer() {
        let (outage, begun) = (Outage::default(), Instant::now());
        assert_eq!(outage.notice(), None);
        let first = outage.counted(&timed_out(), NOW, begun);
        assert_eq!(
            first.as_deref(),
            Some(
                "could not reach api.openai.com:443: no connection within 10.0 s (1 call without an answer at \
                 19:22:04 UTC). help: tollfree check"
            )
        );
        assert_eq!(outage.counted(&timed_out(), NOW + 59, begun), None);
        assert!(
            outage
                .notice()
                .unwrap()
                .contains("(2 calls without an answer since 19:22:04 UTC)")
        );
        let next = outage.counted(&timed_out(), NOW + 60, begun + EVERY);
        assert!(
            next.unwrap()
                .contains("(3 calls without an answer since 19:22:04 UTC)")
        );
        outage.answered();
        assert_eq!(outage.notice(), None);
        // One after the other within a minute is counted, and not said at once.
        assert_eq!(outage.counted(&timed_out(), NOW + 61, begun + EVERY), None);
        assert!(
            outage
                .notice()
                .unwrap()
                .contains("(1 call without an answer at 19:23:05 UTC)")
        );
    }

    #[test]
    fn how_long_each_attempt_took_is_left_out() {
        let outage = Outage::default();
        let refused = SendError::Tls {
            address: Arc::from("127.0.0.1:1"),
            after: Duration::from_millis(3),
            source: std::io::Error::other("no certificate"),
        };
        let said = outage.counted(&refused, NOW, Instant::now()).unwrap();
        assert!(
            said.starts_with("could not reach 127.0.0.1:1: TLS: no certificate (1 call"),
            "{said}"
        );
    }

    #[test]
    fn a_client_that_breaks_off_is_no_outage() {
        let outage = Outage::default();
        let broke = SendError::Broke {
            address: Arc::from("127.0.0.1:1"),
            sent: true,
            source: Break::Body("it went away".into()),
        };
        outage.failed(&broke, NOW);
        assert_eq!(outage.notice(), None);
    }
}
