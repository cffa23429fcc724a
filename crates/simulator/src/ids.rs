//! Ids and filler of one call: unique, of constant length, and a function of the call's seed alone,
//! so that the same request asked twice with the same seed answers with the same bytes. Knows
//! nothing of requests.

/// A small, fast, deterministic source of letters (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    state: u64,
}

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A source of its own for one part of the call, whatever the others draw.
    pub(crate) fn part(&self, part: u64) -> Self {
        let mut ids = Self::new(self.state ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        ids.number();
        ids
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn draw(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length)
            .filter_map(|_| {
                let place = self.number() % alphabet.len().max(1) as u64;
                alphabet.get(usize::try_from(place).ok()?).copied()
            })
            .map(char::from)
            .collect()
    }

    /// Letters of both cases and digits.
    pub(crate) fn letters(&mut self, length: usize) -> String {
        self.draw(ALPHANUMERIC, length)
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.draw(b"0123456789abcdef", length)
    }

    /// An id with the shape of the Responses API: a prefix and 50 hexadecimal digits.
    pub(crate) fn long(&mut self, prefix: &str) -> String {
        format!("{prefix}_{}", self.hex(50))
    }
}
