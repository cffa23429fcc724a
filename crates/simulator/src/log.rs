//! The log: one entry for each billable request, in the order in which the simulated OpenAI's total
//! sees them, kept in memory (bounded) and written to a file as JSON lines. Knows nothing of what a
//! call costs.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Entries kept in memory; older ones are only in the file.
pub const MOST_LOG_ENTRIES: usize = 200_000;

/// One billable request. Token counts are what OpenAI bills, whatever the answer showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member of a JSON object"
)]
pub struct LogEntry {
    /// When its usage was complete, RFC 3339 in UTC with milliseconds.
    pub at: String,
    /// The organization's name slug.
    pub organization: String,
    /// The project (`proj_...`).
    pub project: String,
    /// The last four characters of the API key.
    pub key_hint: String,
    /// The endpoint, e.g. `/v1/chat/completions`.
    pub endpoint: String,
    /// The model that answered (the snapshot).
    pub model: String,
    /// The service tier that answered, e.g. `default`.
    pub service_tier: String,
    /// The response's id; for embeddings, which have none, the request's.
    pub response_id: String,
    /// The `x-request-id` of the answer.
    pub request_id: String,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Cached tokens among the input tokens.
    pub cached_tokens: u64,
    /// Reasoning tokens among the output tokens.
    pub reasoning_tokens: u64,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// Whether the request asked for usage in the stream.
    pub asked_usage: bool,
    /// The hosted tools that ran, by name, e.g. `web_search`.
    pub hosted_tools: Vec<String>,
    /// Whether the organization was enrolled.
    pub enrolled: bool,
    /// Whether the project shared its traffic.
    pub shared: bool,
    /// The organization's usage tier, 1 to 5.
    pub usage_tier: u8,
    /// Whether the answer was sent to its end.
    pub complete: bool,
    /// What the answer said in `billing.payer`, if it said anything.
    pub payer_shown: Option<String>,
}

impl LogEntry {
    /// Input and output tokens together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// The UTC day of [`at`](Self::at), e.g. `2026-11-21`.
    #[must_use]
    pub fn day(&self) -> &str {
        self.at.get(..10).unwrap_or(&self.at)
    }
}

/// The entries in memory, and the file they go to.
#[derive(Debug)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
    file: Option<File>,
}

impl Log {
    /// An empty log that also goes to `path`.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = match path {
            Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
            None => None,
        };
        Ok(Self {
            entries: VecDeque::new(),
            file,
        })
    }

    /// Adds one entry. The file has it when this returns, unless it could not be written: a
    /// simulator with a full disk goes on answering.
    pub(crate) fn push(&mut self, entry: LogEntry) {
        if let Some(file) = &mut self.file
            && let Ok(mut line) = serde_json::to_vec(&entry)
        {
            line.push(b'\n');
            if file.write_all(&line).is_err() {
                self.file = None;
            }
        }
        if self.entries.len() == MOST_LOG_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// A copy of the entries in memory, oldest first.
    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        self.entries.iter().cloned().collect()
    }
}
