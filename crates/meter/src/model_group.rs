//! Model groups, the models in them and the usage tiers their allowances depend on: the words of the offer.
//! Must not know how a name is looked up, nor any total.

use std::sync::Arc;

/// `OpenAI`'s usage tier of an organization: 1 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageTier(u8);

impl UsageTier {
    /// The lowest, taken where none is declared.
    pub const LOWEST: Self = Self(1);

    /// A usage tier; `None` outside 1 to 5.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (1..=5).contains(&number).then_some(Self(number))
    }

    /// 1 to 5.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// Names one group of an [`Offer`](crate::Offer): its place in the offer's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u8);

impl GroupId {
    /// The place in the offer's order, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A group of models that share one allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelGroup {
    /// Its name, such as `large`.
    pub name: Arc<str>,
    /// Tokens free per organization and day, by usage tier 1 to 5.
    pub allowances: [u64; 5],
}

impl ModelGroup {
    /// Tokens free per day for an organization of this usage tier.
    #[must_use]
    pub fn allowance(&self, usage_tier: UsageTier) -> u64 {
        let [first, second, third, fourth, fifth] = self.allowances;
        match usage_tier.get() {
            5 => fifth,
            4 => fourth,
            3 => third,
            2 => second,
            _ => first,
        }
    }
}

/// A model on the offer's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The exact id, as answers name it (a snapshot).
    pub id: Box<str>,
    /// The name of its group.
    pub group: Box<str>,
    /// Names that requests use and that are expected to be answered by this model.
    pub aliases: Vec<Box<str>>,
    /// The most tokens one choice can take (most input + most output), where known.
    pub context: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_tiers_are_one_to_five() {
        assert_eq!(UsageTier::new(0), None);
        assert_eq!(UsageTier::new(6), None);
        let group = ModelGroup {
            name: "large".into(),
            allowances: [1, 2, 3, 4, 5],
        };
        for number in 1..=5 {
            let tier = UsageTier::new(number).unwrap();
            assert_eq!(tier.get(), number);
            assert_eq!(group.allowance(tier), u64::from(number));
        }
    }
}
