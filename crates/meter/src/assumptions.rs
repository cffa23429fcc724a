//! What a verdict assumes: a closed set, part of the public contract. Must not know why something is assumed.

use std::fmt;

/// One thing a verdict takes for granted without having seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assumption {
    /// The organization is enrolled in the offer; nobody declared it and `OpenAI` has not said so of late.
    Enrolment,
    /// The project shares its traffic with `OpenAI`; the answer named no project.
    Sharing,
    /// No tokens of the organization were taken by traffic that did not pass here.
    OutsideUsage,
    /// Nothing was taken in the part of the day before counting began.
    DayStart,
    /// Calls whose usage never came took nothing more than was counted.
    UnknownCalls,
    /// Calls open when the program stopped without warning took nothing.
    UncleanStop,
    /// Our rule holds although `OpenAI`'s own word contradicted it today.
    Payer,
    /// The dated model list is right about this model.
    ModelList,
    /// The tokens of a call that used a hosted tool are covered.
    HostedTool,
    /// Service tiers other than default are not covered.
    ServiceTier,
    /// A call that began on another day, or ended within seconds of it, counts on the day its usage came.
    Straddles,
    /// What other replicas took is what was last heard of them: the totals they share could not be asked.
    SharedTotals,
}

impl Assumption {
    /// Every assumption, in the public contract's order.
    pub const ALL: [Self; 12] = [
        Self::Enrolment,
        Self::Sharing,
        Self::OutsideUsage,
        Self::DayStart,
        Self::UnknownCalls,
        Self::UncleanStop,
        Self::Payer,
        Self::ModelList,
        Self::HostedTool,
        Self::ServiceTier,
        Self::Straddles,
        Self::SharedTotals,
    ];

    /// The public contract's word, as in `x-tollfree-assumes`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Sharing => "sharing",
            Self::OutsideUsage => "outside-usage",
            Self::DayStart => "day-start",
            Self::UnknownCalls => "unknown-calls",
            Self::UncleanStop => "unclean-stop",
            Self::Payer => "payer",
            Self::ModelList => "model-list",
            Self::HostedTool => "hosted-tool",
            Self::ServiceTier => "service-tier",
            Self::Straddles => "straddles",
            Self::SharedTotals => "shared-totals",
        }
    }

    /// The assumption of that word; `None` for a word that is none.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of assumptions. Shown as a comma list in the public contract's order: `enrolment,outside-usage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assumptions(u16);

impl Assumptions {
    /// Nothing assumed.
    pub const NONE: Self = Self(0);

    /// The set that such a comma list names; words that are none are left out.
    #[must_use]
    pub fn of_words(list: &str) -> Self {
        list.split(',').filter_map(Assumption::of_word).collect()
    }

    /// Adds one.
    pub fn insert(&mut self, assumption: Assumption) {
        self.0 |= assumption.bit();
    }

    /// Adds one if the condition holds.
    pub fn insert_if(&mut self, condition: bool, assumption: Assumption) {
        if condition {
            self.insert(assumption);
        }
    }

    /// Whether this one is in the set.
    #[must_use]
    pub fn contains(self, assumption: Assumption) -> bool {
        self.0 & assumption.bit() != 0
    }

    /// Whether nothing is assumed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What either set holds.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The members in the public contract's order.
    pub fn iter(self) -> impl Iterator<Item = Assumption> {
        Assumption::ALL
            .into_iter()
            .filter(move |assumption| self.contains(*assumption))
    }
}

impl From<Assumption> for Assumptions {
    fn from(assumption: Assumption) -> Self {
        Self(assumption.bit())
    }
}

impl FromIterator<Assumption> for Assumptions {
    fn from_iter<I: IntoIterator<Item = Assumption>>(assumptions: I) -> Self {
        assumptions
            .into_iter()
            .fold(Self::NONE, |set, one| set.union(one.into()))
    }
}

impl fmt::Display for Assumptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, assumption) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(assumption.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_shown_in_the_contracts_order_whatever_the_order_of_insertion() {
        let set: Assumptions = [
            Assumption::Straddles,
            Assumption::OutsideUsage,
            Assumption::Enrolment,
        ]
        .into_iter()
        .collect();
        assert_eq!(set.to_string(), "enrolment,outside-usage,straddles");
        assert_eq!(Assumptions::of_words(&set.to_string()), set);
        assert_eq!(Assumptions::NONE.to_string(), "");
    }

    #[test]
    fn every_assumption_has_a_place_of_its_own() {
        for one in Assumption::ALL {
            let set = Assumptions::from(one);
            assert_eq!(set.iter().collect::<Vec<_>>(), [one]);
            assert_eq!(set.to_string(), one.as_str());
        }
        let all: Assumptions = Assumption::ALL.into_iter().collect();
        assert_eq!(
            all.to_string(),
            "enrolment,sharing,outside-usage,day-start,unknown-calls,unclean-stop,payer,model-list,hosted-tool,service-tier,straddles,shared-totals"
        );
    }
}
