//! What a token of each model is in bytes, learned from the streams that ended well: so that one that was cut can be
//! estimated from below, without a tokenizer. Knows nothing of calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use meter::Usage;
use wire::Metered;

/// Models that are learned, by endpoint; calls of others are not estimated.
const MOST_MODELS: usize = 512;
/// The last streams of a model that count.
const STREAMS: usize = 32;
/// Streams of a model below which nothing is said of the next.
const LEAST_STREAMS: usize = 3;
/// Ratios are whole numbers of millionths of a token in each byte.
const MILLION: u64 = 1_000_000;

/// What was learned.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    models: Mutex<HashMap<Kind, Streams, ahash::RandomState>>,
}

/// Streams that are alike: of one endpoint, framed in one way, of one model.
type Kind = (Metered, bool, Box<str>);

/// The ratios of the last streams of a model: of input to the request's bytes, of output to the answer's.
#[derive(Debug, Default)]
struct Streams {
    ratios: Vec<(u64, u64)>,
    /// Where the next one goes.
    next: usize,
}

/// The bytes of a call: of its request's body, and of its answer as far as it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) sent: u64,
    pub(crate) seen: u64,
    /// They were framed as messages of a WebSocket, in which a token is fewer bytes than in events.
    pub(crate) on_socket: bool,
}

impl Learned {
    /// Learns from a stream that ended with usage.
    pub(crate) fn learn(&self, endpoint: Metered, model: &str, bytes: Bytes, usage: &Usage) {
        let ratio = |tokens: u64, bytes: u64| tokens.saturating_mul(MILLION).checked_div(bytes);
        let Some(ratios) = ratio(usage.input, bytes.sent).zip(ratio(usage.output, bytes.seen))
        else {
            return;
        };
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (endpoint, bytes.on_socket, model.into());
        if models.len() >= MOST_MODELS && !models.contains_key(&key) {
            return;
        }
        let streams = models.entry(key).or_default();
        match streams.ratios.get_mut(streams.next) {
            Some(oldest) => *oldest = ratios,
            None => streams.ratios.push(ratios),
        }
        streams.next = (streams.next + 1) % STREAMS;
    }

    /// The least that a call of so many bytes took, going by the leanest of the last streams; none for a model of which
    /// too few were seen.
    pub(crate) fn estimate(&self, endpoint: Metered, model: &str, bytes: Bytes) -> Option<Usage> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = models.get(&(endpoint, bytes.on_socket, model.into()))?;
        let ratios = Some(&streams.ratios).filter(|ratios| ratios.len() >= LEAST_STREAMS)?;
        let least = ratios
            .iter()
            .copied()
            .reduce(|one, other| (one.0.min(other.0), one.1.min(other.1)))?;
        let tokens =
            |ratio: u64, bytes: u64| (ratio.saturating_mul(bytes) / MILLION).min(Usage::MAX);
        Some(Usage {
            input: tokens(least.0, bytes.sent),
            output: tokens(least.1, bytes.seen),
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Metered = Metered::ChatCompletions;

    fn usage(input: u64, output: u64) -> Usage {
        Usage {
            input,
            output,
            ..Usage::default()
        }
    }

    fn bytes(sent: u64, seen: u64) -> Bytes {
        Bytes {
            sent,
            seen,
            on_socket: false,
        }
    }

    #[test]
    fn the_leanest_of_the_last_streams_counts() {
        let learned = Learned::default();
        learned.learn(CHAT, "m", bytes(400, 2000), &usage(100, 10));
        learned.learn(CHAT, "m", bytes(400, 2000), &usage(80, 20));
        assert_eq!(
            learned.estimate(CHAT, "m", bytes(400, 2000)),
            None,
            "too few"
        );
        learned.learn(CHAT, "m", bytes(400, 2000), &usage(90, 15));
        assert_eq!(
            learned.estimate(CHAT, "m", bytes(800, 1000)),
            Some(usage(160, 5))
        );
        assert_eq!(
            learned.estimate(Metered::Responses, "m", bytes(800, 1000)),
            None
        );
        let on_socket = Bytes {
            on_socket: true,
            ..bytes(800, 1000)
        };
        assert_eq!(learned.estimate(CHAT, "m", on_socket), None);
        for _ in 0..STREAMS {
            learned.learn(CHAT, "m", bytes(400, 2000), &usage(200, 40));
        }
        assert_eq!(
            learned.estimate(CHAT, "m", bytes(400, 1000)),
            Some(usage(200, 20))
        );
    }

    #[test]
    fn models_are_bounded_and_nothing_divides_by_nothing() {
        let learned = Learned::default();
        for number in 0..=MOST_MODELS {
            for _ in 0..LEAST_STREAMS {
                learned.learn(CHAT, &number.to_string(), bytes(1, 1), &usage(1, 1));
                learned.learn(CHAT, "empty", bytes(0, 0), &usage(1, 1));
            }
        }
        assert!(learned.estimate(CHAT, "0", bytes(5, 5)).is_some());
        assert!(
            learned
                .estimate(CHAT, &MOST_MODELS.to_string(), bytes(5, 5))
                .is_none()
        );
        assert!(learned.estimate(CHAT, "empty", bytes(5, 5)).is_none());
        let huge = learned.estimate(CHAT, "0", bytes(u64::MAX, u64::MAX));
        assert!(huge.unwrap().tokens() <= Usage::MAX);
    }
}
