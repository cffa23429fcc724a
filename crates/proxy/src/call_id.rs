//! The id of one call: time-ordered, so that a ledger appends at its end, and unguessable, since whoever
//! names it may read the call's verdict. Knows nothing of calls.

use std::cell::RefCell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

/// Crockford's base 32: no letter that can be mistaken for a digit, and its order is the bytes' order.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 48 bits of milliseconds, 5 bits a letter.
const TIME_LETTERS: usize = 10;
/// 100 random bits, 5 bits a letter.
const RANDOM_LETTERS: usize = 20;
const PREFIX: &[u8; 2] = b"c_";
const LENGTH: usize = PREFIX.len() + TIME_LETTERS + RANDOM_LETTERS;

/// An id such as `c_01jd8m6x3k9q2v7n4t5r1w8y0z2b4d6f`: `c_`, 10 letters of Unix milliseconds, 20 letters of
/// randomness (100 bits), in Crockford's base 32, lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId([u8; LENGTH]);

impl CallId {
    /// A new id of this instant.
    ///
    /// # Errors
    /// [`NoRandomness`] when the system has none; then nothing may be given out that must not be guessed.
    pub fn new() -> Result<CallId, NoRandomness> {
        let milliseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        let mut random = [0; RANDOM_LETTERS];
        fill(&mut random)?;
        let mut id = [0; LENGTH];
        let letters = (0..TIME_LETTERS)
            .map(|place| milliseconds >> (5 * (TIME_LETTERS - 1 - place)))
            .chain(random.into_iter().map(u64::from));
        let (prefix, rest) = id.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX);
        for (slot, value) in rest.iter_mut().zip(letters) {
            *slot = *ALPHABET.get((value & 31) as usize).unwrap_or(&b'0');
        }
        Ok(CallId(id))
    }

    /// The id of this text; `None` if it is none of ours.
    #[must_use]
    pub fn of_text(text: &str) -> Option<CallId> {
        let mut letters = text.strip_prefix("c_")?.bytes();
        if !letters.all(|letter| ALPHABET.contains(&letter)) {
            return None;
        }
        text.as_bytes().try_into().ok().map(CallId)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// Bytes fetched from the system at once: a call costs a copy, not a system call.
const POOL_BYTES: usize = RANDOM_LETTERS * 64;

/// Random bytes not yet given out; each is given out once.
struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES })
    };
}

fn fill(target: &mut [u8; RANDOM_LETTERS]) -> Result<(), NoRandomness> {
    POOL.with_borrow_mut(|pool| {
        if pool.used + RANDOM_LETTERS > POOL_BYTES {
            SystemRandom::new()
                .fill(&mut pool.bytes)
                .map_err(|_| NoRandomness)?;
            pool.used = 0;
        }
        let fresh = pool
            .bytes
            .get_mut(pool.used..pool.used + RANDOM_LETTERS)
            .ok_or(NoRandomness)?;
        target.copy_from_slice(fresh);
        fresh.fill(0);
        pool.used += RANDOM_LETTERS;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_differ_and_their_order_is_the_order_of_time() {
        let ids: Vec<CallId> = (0..1000).map(|_| CallId::new().unwrap()).collect();
        let distinct: HashSet<_> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        assert_eq!(distinct.len(), ids.len());
        for pair in ids.windows(2) {
            assert!(pair[0].as_str()[..12] <= pair[1].as_str()[..12]);
        }
        assert_eq!(ids[0].as_str().len(), 32);
        assert_eq!(CallId::of_text(ids[0].as_str()), Some(ids[0]));
        for none in ["", "c_", "resp_1", &ids[0].as_str()[1..], &"u".repeat(32)] {
            assert_eq!(CallId::of_text(none), None, "{none}");
        }
    }
}
