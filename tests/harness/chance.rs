//! Random numbers that come again: what a seed decided once it decides again.
//!
//! It must not know what is decided. (splitmix64, Steele, Lea and Flood 2014: one word of state.)

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The source of this seed.
    pub fn of(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A source of its own for one of several that run at once.
    #[must_use]
    pub fn branch(&mut self) -> Chance {
        Chance(self.word())
    }

    /// Any number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        assert!(least <= most, "{least} to {most}");
        least + self.word() % (most - least + 1)
    }

    /// Whether something happens that happens in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.word() % 100 < percent
    }

    /// One of these.
    pub fn of_these<'t, T>(&mut self, these: &'t [T]) -> &'t T {
        let last = these.len() as u64 - 1;
        let chosen = usize::try_from(self.between(0, last)).expect("an index");
        &these[chosen]
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn the_same_seed_decides_the_same_and_another_something_else() {
        let words = |seed| {
            let mut chance = Chance::of(seed);
            [chance.word(), chance.word(), chance.word()]
        };
        assert_eq!(words(7), words(7));
        assert_ne!(words(7), words(8));
        let mut chance = Chance::of(7);
        let thrown: Vec<u64> = (0..1_000).map(|_| chance.between(1, 6)).collect();
        for face in 1..=6 {
            assert!(thrown.contains(&face), "{face} never came");
        }
        assert!(thrown.iter().all(|face| (1..=6).contains(face)));
    }
}
