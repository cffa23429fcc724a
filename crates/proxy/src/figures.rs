//! What happened, in numbers: counters and histograms as plain atomics, of a size that no traffic can grow. Must
//! not know how they are shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meter::{Certainty, GroupId, Payer, Reason, Settlement, Verdict};
use wire::Metered;

/// Model groups told apart, as many as an offer may have; then the calls of no group.
const GROUPS: usize = 8;
const VERDICTS: usize = Verdict::ALL.len();
/// One more than there are certainties: calls without any.
const CERTAINTIES: usize = Certainty::ALL.len() + 1;
const REASONS: usize = Reason::ALL.len();
/// One more than there are creating endpoints: calls of all others.
const ENDPOINTS: usize = Metered::ALL.len() + 1;

/// Upper ends of the buckets of a histogram, in microseconds: from 10 us, below which nobody notices, to 2.5 s.
pub const BUCKET_MICROSECONDS: [u64; 17] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000, 2_500_000,
];

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took, by the buckets of [`BUCKET_MICROSECONDS`].
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Count; BUCKET_MICROSECONDS.len()],
    longer: Count,
    nanoseconds: Count,
}

impl Histogram {
    pub(crate) fn observe(&self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKET_MICROSECONDS
            .iter()
            .position(|end| microseconds <= *end)
            .and_then(|bucket| self.buckets.get(bucket));
        bucket.unwrap_or(&self.longer).one();
        self.nanoseconds
            .add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Each bucket's upper end in seconds and how many took at most that long; then all of them.
    pub fn cumulative(&self) -> (Vec<(f64, u64)>, u64) {
        let mut sum = 0;
        let ends = BUCKET_MICROSECONDS.iter().zip(&self.buckets);
        let buckets = ends
            .map(|(end, count)| {
                sum += count.get();
                (Duration::from_micros(*end).as_secs_f64(), sum)
            })
            .collect();
        (buckets, sum + self.longer.get())
    }

    /// All of it together, in seconds.
    #[must_use]
    pub fn sum_seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.get()).as_secs_f64()
    }
}

/// What a stream's head said before its usage was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foretold {
    /// The verdict came out as the head said.
    Right,
    /// It did not.
    Wrong,
    /// The usage never came.
    Unknown,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Figures {
    calls: [[[Count; CERTAINTIES]; VERDICTS]; ENDPOINTS],
    reasons: [Count; REASONS],
    tokens: [[[Count; 2]; 2]; GROUPS + 1],
    foretold: [[Count; 3]; 2],
    pending_heads: Count,
    /// OpenAI's own word was another than ours: it said that it pays, or that the developer does.
    payer_differs: [Count; 2],
    /// OpenAI paid for a model that is not on the list.
    pub unlisted_but_free: Count,
    /// Answers that left before their settlement was in the ledger.
    pub unrecorded: Count,
    /// Clients that left before their answer was whole.
    pub clients_gone: Count,
    /// Calls that a client's SDK sent again (`x-stainless-retry-count` above 0).
    pub retries: Count,
    /// Calls that are open now: begun, less ended.
    begun: Count,
    ended: Count,
    /// From a request's body in hand to its way upstream, and from the answer in hand to its way back, added up: of
    /// answers that are held.
    pub overhead: Histogram,
    /// The same up to the head of a stream: what tollfree adds to the time to the first token.
    pub added_first_token: Histogram,
}

/// The index of an endpoint; the last one is that of all others.
fn place(endpoint: Option<Metered>) -> usize {
    endpoint.map_or(ENDPOINTS - 1, |endpoint| endpoint as usize)
}

/// The directions of tokens, by their index.
const DIRECTIONS: [&str; 2] = ["input", "output"];

impl Figures {
    /// Counts a settlement, and what became of its forecast.
    pub(crate) fn settled(
        &self,
        endpoint: Metered,
        settlement: &Settlement,
        head: Option<Verdict>,
    ) {
        self.count(Some(endpoint), settlement.verdict, settlement.certainty);
        if let Some(reason) = self.reasons.get(settlement.reason as usize) {
            reason.one();
        }
        if let Some(usage) = settlement.usage {
            let group = settlement.span.and(settlement.group);
            let group = group.map_or(GROUPS, GroupId::index).min(GROUPS);
            let billed = usize::from(settlement.verdict == Verdict::Billed);
            if let Some([input, output]) = self.tokens.get(group).and_then(|by| by.get(billed)) {
                input.add(usage.input);
                output.add(usage.output);
            }
        }
        if settlement.payer_differs {
            let word = usize::from(settlement.payer == Some(Payer::Developer));
            if let Some(count) = self.payer_differs.get(word) {
                count.one();
            }
        }
        if settlement.unlisted_but_free {
            self.unlisted_but_free.one();
        }
        self.foretell(head, settlement.verdict);
    }

    fn foretell(&self, head: Option<Verdict>, came: Verdict) {
        let billed = match head {
            Some(Verdict::Free) => 0,
            Some(Verdict::Billed) => 1,
            Some(Verdict::Pending) => return self.pending_heads.one(),
            _ => return,
        };
        let foretold = match came {
            Verdict::Unknown => Foretold::Unknown,
            came if Some(came) == head => Foretold::Right,
            _ => Foretold::Wrong,
        };
        if let Some(count) = self
            .foretold
            .get(billed)
            .and_then(|by| by.get(foretold as usize))
        {
            count.one();
        }
    }

    /// Counts a call of which nothing is settled.
    pub(crate) fn passed(&self, endpoint: Option<Metered>) {
        self.count(endpoint, Verdict::None, None);
    }

    fn count(&self, endpoint: Option<Metered>, verdict: Verdict, certainty: Option<Certainty>) {
        let certainty = certainty.map_or(CERTAINTIES - 1, |certainty| certainty as usize);
        let count = self
            .calls
            .get(place(endpoint))
            .and_then(|by| by.get(verdict as usize))
            .and_then(|by| by.get(certainty));
        if let Some(count) = count {
            count.one();
        }
    }

    /// A call begins, and is under way until [`ended`](Self::ended).
    pub(crate) fn begun(&self) {
        self.begun.one();
    }

    pub(crate) fn ended(&self) {
        self.ended.one();
    }

    /// Metered calls that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        // Ended first: read the other way round, more might have ended than had begun.
        let ended = self.ended.get();
        self.begun.get().saturating_sub(ended)
    }

    /// Calls by endpoint (`other`: those that take no tokens), verdict and certainty (none: empty), those above 0.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> {
        let endpoints = Metered::ALL
            .map(Metered::as_str)
            .into_iter()
            .chain(["other"]);
        let certainties = || {
            Certainty::ALL
                .map(Certainty::as_str)
                .into_iter()
                .chain([""])
        };
        endpoints
            .zip(&self.calls)
            .flat_map(|(endpoint, by)| {
                let verdicts = Verdict::ALL.map(Verdict::as_str).into_iter().zip(by);
                verdicts.map(move |(verdict, by)| (endpoint, verdict, by))
            })
            .flat_map(move |(endpoint, verdict, by)| {
                let counts = certainties().zip(by);
                counts.map(move |(certainty, count)| (endpoint, verdict, certainty, count.get()))
            })
            .filter(|(.., count)| *count > 0)
    }

    /// Settlements by reason, those above 0.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        let reasons = Reason::ALL.into_iter().zip(&self.reasons);
        reasons
            .map(|(reason, count)| (reason, count.get()))
            .filter(|(_, count)| *count > 0)
    }

    /// Tokens by group (`None`: calls that take no span), `free` or `billed`, `input` or `output`; those above 0.
    pub fn tokens(&self) -> impl Iterator<Item = (Option<usize>, &'static str, &'static str, u64)> {
        let groups = (0..GROUPS).map(Some).chain([None]).zip(&self.tokens);
        groups
            .flat_map(|(group, by)| {
                let verdicts = [Verdict::Free, Verdict::Billed].into_iter().zip(by);
                verdicts.map(move |(verdict, by)| (group, verdict.as_str(), by))
            })
            .flat_map(|(group, verdict, by)| {
                let counts = DIRECTIONS.into_iter().zip(by);
                counts.map(move |(direction, count)| (group, verdict, direction, count.get()))
            })
            .filter(|(.., count)| *count > 0)
    }

    /// Heads of streams that said `free` or `billed`, and what came of it.
    pub fn foretold(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let verdicts = [Verdict::Free, Verdict::Billed].into_iter();
        verdicts.zip(&self.foretold).flat_map(|(verdict, by)| {
            let outcomes = ["right", "wrong", "unknown"].into_iter().zip(by);
            outcomes.map(move |(outcome, count)| (verdict.as_str(), outcome, count.get()))
        })
    }

    /// Heads of streams that could say neither.
    #[must_use]
    pub fn pending_heads(&self) -> u64 {
        self.pending_heads.get()
    }

    /// How often OpenAI's own word differed from ours: its word, and the count.
    pub fn payer_differs(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let words = [Payer::OpenAi, Payer::Developer].into_iter();
        words
            .zip(&self.payer_differs)
            .map(|(word, count)| (word.as_str(), count.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_place_of_its_own() {
        for (index, endpoint) in Metered::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, index);
        }
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
        for (index, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict as usize, index);
        }
        for (index, certainty) in Certainty::ALL.into_iter().enumerate() {
            assert_eq!(certainty as usize, index);
        }
    }

    #[test]
    fn a_histogram_is_cumulative_and_keeps_what_is_longer() {
        let histogram = Histogram::default();
        for microseconds in [3, 10, 11, 2_500_000, 9_000_000] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let (buckets, all) = histogram.cumulative();
        assert_eq!(buckets.first(), Some(&(0.000_01, 2)));
        assert_eq!(buckets.get(1), Some(&(0.000_025, 3)));
        assert_eq!(buckets.last(), Some(&(2.5, 4)));
        assert_eq!(all, 5);
        assert!((histogram.sum_seconds() - 11.500_024).abs() < 1e-9);
    }

    #[test]
    fn calls_are_counted_where_they_belong() {
        let figures = Figures::default();
        figures.passed(None);
        figures.passed(Some(Metered::Embeddings));
        figures.passed(Some(Metered::Embeddings));
        let calls: Vec<_> = figures.calls().collect();
        assert_eq!(
            calls,
            [("embeddings", "none", "", 2), ("other", "none", "", 1)]
        );
        figures.foretell(Some(Verdict::Free), Verdict::Billed);
        figures.foretell(Some(Verdict::Free), Verdict::Free);
        figures.foretell(Some(Verdict::Pending), Verdict::Free);
        assert_eq!(figures.pending_heads(), 1);
        let wrong: u64 = figures
            .foretold()
            .filter(|(_, outcome, _)| *outcome == "wrong")
            .map(|(.., count)| count)
            .sum();
        assert_eq!(wrong, 1);
    }
}
