//! What waits to be appended to the tail, and who waits for it: bounded, and what finds no room is counted. Must
//! not know files, threads or clocks beyond how long somebody waited.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::tail::record;
use crate::{Commit, DEADLINE, Entry, SettledCall};

/// The most entries that wait.
pub(crate) const MOST_ENTRIES: usize = 65_536;
/// The most bytes that wait.
pub(crate) const MOST_BYTES: usize = 32 * 1024 * 1024;
/// The most sums of lost calls that are kept apart, one for each organization, group and day. What finds no room
/// here either is only in the number of dropped calls.
const MOST_LOST: usize = 16_384;

/// What waits. Bytes are counted from the beginning of the program: an entry is committed when as many bytes are
/// committed as had been given with it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Records that nobody has taken for writing yet.
    records: Vec<u8>,
    /// How many those are.
    count: usize,
    /// Entries given and not committed, those being written included.
    entries: usize,
    /// Bytes given.
    given: u64,
    /// Bytes committed.
    committed: u64,
    waiting: VecDeque<Waiting>,
    lost: HashMap<LostOf, Lost>,
    closed: bool,
    dropped: u64,
    late: u64,
}

#[derive(Debug)]
struct Waiting {
    /// As many bytes must be committed.
    for_bytes: u64,
    since: Instant,
    told: oneshot::Sender<bool>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LostOf {
    organization: String,
    group: String,
    day: i32,
}

#[derive(Debug, Default)]
struct Lost {
    calls: u64,
    /// `None`: without limit.
    tokens: Option<u64>,
}

impl Queue {
    /// Gives entries to be written. Answers how many bytes must be committed for all of them to be, or `None` if
    /// there is no room for them: they are dropped, and counted.
    pub(crate) fn give(&mut self, records: &[u8], entries: &[Entry<'_>]) -> Option<u64> {
        let entries_then = self.entries.saturating_add(entries.len());
        let bytes_then = self.bytes().saturating_add(records.len() as u64);
        if self.closed || entries_then > MOST_ENTRIES || bytes_then > MOST_BYTES as u64 {
            self.drop_all(entries);
            return None;
        }
        Some(self.put(records, entries.len()))
    }

    fn put(&mut self, records: &[u8], count: usize) -> u64 {
        self.records.extend_from_slice(records);
        self.count += count;
        self.entries += count;
        self.given += records.len() as u64;
        self.given
    }

    /// Counts entries that are not kept.
    pub(crate) fn drop_all(&mut self, entries: &[Entry<'_>]) {
        for entry in entries {
            match entry {
                Entry::Settled(call) => {
                    self.dropped += 1;
                    self.lose(call, 1, taken(call));
                }
                Entry::Adjusted(adjustment) => {
                    self.dropped += 1;
                    // Its call is counted already. A total that should have been lowered and is not errs to the safe
                    // side.
                    let raised = adjustment.change.try_into().unwrap_or(0);
                    self.lose(&adjustment.row, 0, raised);
                }
                _ => {}
            }
        }
    }

    /// Books `taken` tokens and the slack of a row that is not kept, and so many calls with it.
    fn lose(&mut self, call: &SettledCall<'_>, calls: u64, taken: u64) {
        let slack = call.slack.as_ref();
        let tokens = slack
            .map_or(Some(0), |slack| slack.at_most)
            .map(|slack| slack.saturating_add(taken));
        if calls == 0 && tokens == Some(0) {
            return;
        }
        let any_group = slack.is_some_and(|slack| slack.any_group);
        let of = LostOf {
            organization: call.organization.to_string(),
            group: call
                .group
                .as_deref()
                .filter(|_| !any_group)
                .unwrap_or_default()
                .to_owned(),
            day: call.day,
        };
        if self.lost.len() >= MOST_LOST && !self.lost.contains_key(&of) {
            return;
        }
        let lost = self.lost.entry(of).or_insert(Lost {
            calls: 0,
            tokens: Some(0),
        });
        lost.calls += calls;
        lost.tokens = lost
            .tokens
            .zip(tokens)
            .map(|(sum, more)| sum.saturating_add(more));
    }

    /// Puts what was lost in line to be written, now that writing works. The bounds do not hold for this: there
    /// are few of them.
    pub(crate) fn put_lost(&mut self) {
        for (of, lost) in mem::take(&mut self.lost) {
            self.put_one(&Entry::Lost {
                organization: of.organization.into(),
                group: of.group.into(),
                day: of.day,
                calls: lost.calls,
                tokens: lost.tokens,
            });
        }
    }

    fn put_one(&mut self, entry: &Entry<'_>) {
        let mut bytes = Vec::new();
        if record::append(entry, &mut bytes) {
            self.put(&bytes, 1);
        }
    }

    /// Refuses whatever comes from now on; the last entry says that the program stopped.
    pub(crate) fn close(&mut self) {
        if !mem::replace(&mut self.closed, true) {
            self.put_lost();
            self.put_one(&Entry::Stopped);
        }
    }

    /// Takes what waits for writing into `into`, which is empty. Answers how many records that is.
    pub(crate) fn take(&mut self, into: &mut Vec<u8>) -> usize {
        mem::swap(&mut self.records, into);
        mem::take(&mut self.count)
    }

    /// Books what was written. Whoever waited for it is put into `told`, to be told without any lock held.
    pub(crate) fn commit(
        &mut self,
        bytes: usize,
        entries: usize,
        told: &mut Vec<oneshot::Sender<bool>>,
    ) {
        self.committed += bytes as u64;
        self.entries = self.entries.saturating_sub(entries);
        let committed = self.committed;
        while let Some(done) = self
            .waiting
            .pop_front_if(|waiting| waiting.for_bytes <= committed)
        {
            if done.since.elapsed() > DEADLINE {
                self.late += 1;
            }
            told.push(done.told);
        }
    }

    /// Waits until `for_bytes` are committed; `None`: they are already.
    pub(crate) fn wait(&mut self, for_bytes: u64) -> Option<Commit> {
        if self.committed >= for_bytes {
            return None;
        }
        let (told, commit) = oneshot::channel();
        let waiting = Waiting {
            for_bytes,
            since: Instant::now(),
            told,
        };
        // Nearly always the last: entries are waited for in the order they were given.
        let place = self
            .waiting
            .partition_point(|other| other.for_bytes <= for_bytes);
        self.waiting.insert(place, waiting);
        Some(Commit(commit))
    }

    /// Bytes given since the program began.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    /// Whether records wait that nobody has taken.
    pub(crate) fn is_waiting(&self) -> bool {
        self.count > 0
    }

    /// Entries given and not committed.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes given and not committed.
    fn bytes(&self) -> u64 {
        self.given.saturating_sub(self.committed)
    }

    /// Bytes committed since the program began.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// Whether calls were dropped that no entry tells of yet.
    pub(crate) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Settled calls and adjustments dropped, commits that came too late.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.dropped, self.late)
    }
}

/// What a settled call took of its running total.
fn taken(call: &SettledCall<'_>) -> u64 {
    call.span
        .map_or(0, |(before, after)| after.saturating_sub(before))
}
