//! Reads the events of one stream as they pass: which usage counts, and when the stream has said
//! all it has to say. It must not know codings, nor how the connection ends.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::json_scan::Scanner;
use crate::response_facts::{EventKind, Facts};
use crate::response_tree::{self, Tag};
use crate::sse::{Piece, Splitter};
use crate::usage::{Output, UsageFields, UsageFound};
use crate::{Metered, Seen, Status};

/// The data that ends a stream.
const DONE: &[u8] = b"[DONE]";

static USAGE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static RESPONSE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"response\""));
static ERROR_WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
/// How any letter of a key begins that is written with an escape.
static ESCAPED_LETTER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u00"));
static DONE_WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DONE));

/// What the events of a stream have said so far.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
pub(crate) struct Events {
    pub(crate) endpoint: Metered,
    splitter: Splitter,
    event: Event,
    /// Events read; the first of a stream always is, for its id and model.
    read: u64,
    pub(crate) seen: Seen,
    pub(crate) usage: UsageFound,
    /// The usage came with text beside it: it may be a count on the way, not the last word.
    pub(crate) usage_is_running: bool,
    pub(crate) has_error: bool,
    /// An event's data was no JSON.
    pub(crate) is_unreadable: bool,
    pub(crate) has_ended: bool,
}

/// The event under way.
#[derive(Debug)]
struct Event {
    scanner: Scanner<Tag>,
    facts: Facts,
    /// How much of `[DONE]` its data is so far; `None` once it is something else.
    done: Option<usize>,
    bytes: u64,
}

impl Events {
    pub(crate) fn new(endpoint: Metered) -> Self {
        Self {
            endpoint,
            splitter: Splitter::new(),
            event: Event {
                scanner: Scanner::new(response_tree::of_event(endpoint)),
                facts: Facts::default(),
                done: Some(0),
                bytes: 0,
            },
            read: 0,
            seen: Seen::default(),
            usage: UsageFound::None,
            usage_is_running: false,
            has_error: false,
            is_unreadable: false,
            has_ended: false,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // What follows a stream's own end belongs to nobody.
        if self.has_ended {
            return;
        }
        self.seen.text_bytes += bytes.len() as u64;
        if self.is_quiet(bytes) {
            return;
        }
        let mut splitter = self.splitter;
        splitter.push(bytes, |piece| self.piece(piece));
        self.splitter = splitter;
    }

    pub(crate) fn finish(&mut self) {
        let mut splitter = self.splitter;
        splitter.finish(|piece| self.piece(piece));
    }

    fn piece(&mut self, piece: Piece<'_>) {
        if self.has_ended {
            return;
        }
        match piece {
            Piece::Data(bytes) => self.event.data(bytes),
            Piece::End => self.end_event(),
        }
    }

    /// Whether whole events can pass unread, told by a few searches: nothing in them could change
    /// what is known. Only keys are searched for, and a quote inside a string is escaped, so text
    /// cannot look like one. Events with letters written as escapes are read: a key may be.
    fn is_quiet(&self, bytes: &[u8]) -> bool {
        self.read > 0
            && self.splitter.is_between_events()
            && (bytes.ends_with(b"\n\n") || bytes.ends_with(b"\n\r\n"))
            && DONE_WORD.find(bytes).is_none()
            && ERROR_WORD.find(bytes).is_none()
            && !has_escaped_letter(bytes)
            && match self.endpoint {
                // Only events that hold a whole Responses object matter.
                Metered::Responses | Metered::ResponsesCompact => {
                    RESPONSE_KEY.find(bytes).is_none()
                }
                // Runs tell their status beside a usage that is null.
                Metered::ThreadRuns => false,
                _ => !has_usage(bytes),
            }
    }

    fn end_event(&mut self) {
        let bytes = std::mem::take(&mut self.event.bytes);
        let done = self.event.done.replace(0);
        if done == Some(DONE.len()) {
            self.has_ended = true;
            return;
        }
        let is_whole = self.event.finish(done);
        let facts = std::mem::take(&mut self.event.facts);
        if !is_whole {
            // An event of no data at all says nothing, and hides nothing.
            self.is_unreadable |= bytes > 0;
            return;
        }
        self.read += 1;
        if facts.has_response {
            // It repeats what was streamed before: no more text was generated for it.
            self.seen.text_bytes = self.seen.text_bytes.saturating_sub(bytes);
        }
        self.has_error |= facts.has_error || facts.kind == EventKind::Error;
        match self.endpoint {
            Metered::Responses | Metered::ResponsesCompact => self.response_event(facts),
            Metered::ThreadRuns => self.run_event(facts),
            _ => {
                self.has_ended = facts.kind == EventKind::MediaEnd;
                self.flat_event(facts);
            }
        }
    }

    /// Usage counts only in the terminal event; the others show the answer on its way. One whose name is not known here is
    /// terminal if it shows a usage beside a status that is a last one.
    fn response_event(&mut self, mut facts: Facts) {
        if !facts.has_response || facts.is_odd {
            return;
        }
        let usage = facts.usage.found(Output::Needed);
        let is_over = facts.seen.status.is_some_and(Status::is_terminal);
        if facts.kind == EventKind::ResponseEnd || is_over && usage != UsageFound::None {
            self.has_ended = true;
            self.usage = usage;
            self.has_error |= facts.seen.status == Some(Status::Failed);
        } else {
            // "auto" and null: what is known of these only at the end.
            facts.seen.service_tier = None;
            facts.seen.payer = None;
        }
        self.remember(&mut facts.seen);
    }

    /// Usage stands in each step and again, summed, in the run: only the run counts.
    fn run_event(&mut self, mut facts: Facts) {
        if !facts.is_run {
            return;
        }
        if facts.seen.status.is_some_and(Status::is_terminal) {
            self.has_ended = true;
            self.has_error |= facts.seen.status == Some(Status::Failed);
        } else {
            facts.usage = UsageFields::default();
        }
        self.flat_event(facts);
    }

    /// Usage stands in the event itself; the last that is not null counts.
    fn flat_event(&mut self, mut facts: Facts) {
        match facts.usage.found(Output::of(self.endpoint)) {
            UsageFound::None => {}
            // One that cannot be believed makes the others doubtful too.
            _ if self.usage == UsageFound::Odd => {}
            found => {
                self.usage = found;
                self.usage_is_running = facts.has_choices;
            }
        }
        self.remember(&mut facts.seen);
    }

    /// Later events know better.
    fn remember(&mut self, later: &mut Seen) {
        fn newer<T>(held: &mut Option<T>, later: &mut Option<T>) {
            if later.is_some() {
                *held = later.take();
            }
        }
        newer(&mut self.seen.response_id, &mut later.response_id);
        newer(&mut self.seen.model, &mut later.model);
        newer(&mut self.seen.service_tier, &mut later.service_tier);
        newer(&mut self.seen.payer, &mut later.payer);
        newer(&mut self.seen.status, &mut later.status);
        newer(&mut self.seen.completed_at, &mut later.completed_at);
        self.seen.hosted_tool |= later.hosted_tool;
    }
}

impl Event {
    fn data(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(matched) = self.done {
            let expected = DONE.get(matched..).unwrap_or_default();
            if expected.starts_with(bytes) {
                self.done = Some(matched + bytes.len());
                return;
            }
            self.done = None;
            self.scan(DONE.get(..matched).unwrap_or_default());
        }
        self.scan(bytes);
    }

    fn scan(&mut self, bytes: &[u8]) {
        // An error stays with the scanner, and is asked for at the event's end.
        let _ = self.scanner.push(bytes, |found| self.facts.take(&found));
    }

    /// Whether the data was one JSON value. `done`: what it has of `[DONE]`, held back until now.
    fn finish(&mut self, done: Option<usize>) -> bool {
        if let Some(matched) = done {
            self.scan(DONE.get(..matched).unwrap_or_default());
        }
        let finished = self.scanner.finish(|_| {});
        self.scanner.reset();
        finished.is_ok()
    }
}

/// Most events have no escape at all, which one byte tells soonest.
fn has_escaped_letter(bytes: &[u8]) -> bool {
    let escape = memchr::memchr(b'\\', bytes).and_then(|at| bytes.get(at..));
    escape.is_some_and(|rest| ESCAPED_LETTER.find(rest).is_some())
}

/// Whether a `usage` stands anywhere in these bytes that is not null.
fn has_usage(bytes: &[u8]) -> bool {
    USAGE_KEY.find_iter(bytes).any(|at| {
        let after = bytes
            .get(at + USAGE_KEY.needle().len()..)
            .unwrap_or_default();
        let value = after
            .trim_ascii_start()
            .strip_prefix(b":")
            .map(<[u8]>::trim_ascii_start);
        !value.is_some_and(|value| value.starts_with(b"null"))
    })
}
