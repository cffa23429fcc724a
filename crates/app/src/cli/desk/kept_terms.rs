//! What the ledger's days show of settings that are not declared here: the proxy that wrote them may have run with
//! others than a command's. It must not know how a standing is worked out.

use ledger::DayRow;
use meter::{DeclaredOrganization, GroupId, Offer, Terms, UsageTier};

use crate::config::Config;

/// Days that are looked back for an allowance.
pub(super) const DAYS: i32 = 31;

/// Puts what the days (oldest first) show in the place of what is not declared; whether any of it was.
pub(super) fn put(config: &mut Config, offer: &Offer, days: &[DayRow]) -> bool {
    let mut names: Vec<&str> = days.iter().map(|row| row.organization.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut any = false;
    for name in names {
        let declared = config
            .organizations
            .iter_mut()
            .find(|one| *one.name == *name || one.aliases.iter().any(|alias| **alias == *name));
        let terms = declared.as_deref().map_or(&config.terms, |one| &one.terms);
        let kept = allowances(offer, days, name);
        let Some(terms) = shown(terms, offer, &kept) else {
            continue;
        };
        any = true;
        match declared {
            Some(declared) => declared.terms = terms,
            None => config.organizations.push(DeclaredOrganization {
                name: name.into(),
                aliases: Vec::new(),
                terms,
            }),
        }
    }
    any
}

/// The newest allowance of each group.
fn allowances(offer: &Offer, days: &[DayRow], name: &str) -> Vec<(GroupId, u64)> {
    let newest = offer.groups().filter_map(|(id, group)| {
        let mut rows = days.iter().rev().filter(|row| row.organization == name);
        let row = rows.find(|row| *row.group == *group.name)?;
        Some((id, row.last_allowance?))
    });
    newest.collect()
}

/// The terms that give these allowances, if they are others and nobody declared them here: of several usage tiers with
/// the same allowances the lowest.
fn shown(terms: &Terms, offer: &Offer, kept: &[(GroupId, u64)]) -> Option<Terms> {
    if terms.usage_tier.is_some() || terms.enrolled.is_some_and(|enrolled| !enrolled) {
        return None;
    }
    let gives = |tier: &UsageTier| {
        let mut kept = kept.iter();
        kept.all(|(group, tokens)| offer.allowance(*group, *tier) == *tokens)
    };
    if gives(&UsageTier::LOWEST) {
        return None;
    }
    if terms.enrolled.is_none() && kept.iter().all(|(_, tokens)| *tokens == 0) {
        return Some(Terms {
            enrolled: Some(false),
            ..terms.clone()
        });
    }
    let tier = (1..=5).filter_map(UsageTier::new).find(gives)?;
    Some(Terms {
        usage_tier: Some(tier),
        ..terms.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::built_in_offer;

    fn row(organization: &str, day: i32, allowance: u64) -> DayRow {
        DayRow {
            day,
            organization: organization.to_owned(),
            group: "large".to_owned(),
            last_allowance: Some(allowance),
            ..DayRow::default()
        }
    }

    #[test]
    fn an_allowance_that_was_in_force_is_not_forgotten_with_its_settings() {
        let offer = built_in_offer().unwrap();
        let days = [
            row("acme", 1, 250_000),
            row("globex", 1, 0),
            row("initech", 1, 250_000),
            row("acme", 2, 1_000_000),
        ];
        let mut config = Config::default();
        assert!(put(&mut config, &offer, &days));
        let terms: Vec<_> = config
            .organizations
            .iter()
            .map(|one| (&*one.name, one.terms.usage_tier, one.terms.enrolled))
            .collect();
        assert_eq!(
            terms,
            [
                ("acme", UsageTier::new(3), None),
                ("globex", None, Some(false))
            ]
        );
    }

    #[test]
    fn what_is_declared_here_stays() {
        let offer = built_in_offer().unwrap();
        let mut config = Config::default();
        config.terms.usage_tier = UsageTier::new(1);
        let declared = config.clone();
        assert!(!put(&mut config, &offer, &[row("acme", 1, 1_000_000)]));
        assert_eq!(config, declared);
    }
}
