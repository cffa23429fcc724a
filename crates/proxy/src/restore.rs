//! What a start goes on from, put back in its place. Must not know where it was kept.

use std::collections::HashMap;

use ledger::{CarriedTotal, Restored};
use meter::{Carried, Day, GroupId, Meter, Organization, Rules, SlackSource};

use crate::keys::{KeyHash, Keys};

/// Puts everything back; call it before the first call.
pub(crate) fn restore(restored: &Restored, meter: &Meter, rules: &Rules, keys: &Keys) {
    restore_totals(restored, meter, rules);
    for key in &restored.keys {
        if let Some(organization) = named(meter, &key.organization) {
            let hash = KeyHash::of_bytes(key.key_hash);
            keys.remember(hash, &organization, key.project.as_deref());
        }
    }
}

/// Puts back what standings are made of.
pub(crate) fn restore_totals(restored: &Restored, meter: &Meter, rules: &Rules) {
    for (organization, name) in &restored.aliases {
        if let Some(organization) = meter.organizations().named(organization) {
            meter.learn_alias(&organization, name);
        }
    }
    for (organization, at) in &restored.paid {
        if let Some(organization) = meter.organizations().named(organization) {
            meter.restore_paid(&organization, at.div_euclid(1000));
        }
    }
    for total in &restored.totals {
        restore_total(total, meter, rules);
    }
    of_nobody(&restored.totals, meter, rules);
}

/// The declared names that the ledger does not know yet to be their organizations', of these.
pub(crate) fn unknown_to_ledger<'r>(
    restored: &Restored,
    mut declared: Vec<(Organization, &'r str)>,
) -> Vec<(Organization, &'r str)> {
    let known: HashMap<&str, &str> = restored
        .aliases
        .iter()
        .map(|(organization, name)| (&**name, &**organization))
        .collect();
    declared.retain(|(organization, name)| {
        known_as(&known, organization.name()) != known_as(&known, name)
    });
    declared
}

fn known_as<'n>(known: &HashMap<&'n str, &'n str>, name: &'n str) -> &'n str {
    known.get(name).copied().unwrap_or(name)
}

fn restore_total(total: &CarriedTotal, meter: &Meter, rules: &Rules) {
    let Some(organization) = named(meter, &total.organization) else {
        return;
    };
    let day = Day::of_number(total.day);
    let slack = total
        .slack
        .iter()
        .filter_map(|(word, at_most)| Some((SlackSource::of_word(word)?, *at_most)))
        .collect();
    let carried = Carried {
        taken: total.taken,
        fitted: total.fitted,
        was_past: total.was_past,
        contradictions: total.contradictions,
        slack,
    };
    for group in groups(rules, &total.group) {
        if total.stated {
            meter.restore_stated(&organization, group, day);
        }
        meter.restore(&organization, group, day, &carried);
    }
}

/// Calls that were open at an unclean stop and of which it was not known yet whose they are may be anybody's.
fn of_nobody(totals: &[CarriedTotal], meter: &Meter, rules: &Rules) {
    let unknown = meter.organizations().unknown();
    let open = totals
        .iter()
        .filter(|total| total.organization == unknown.name())
        .flat_map(|total| total.slack.iter().map(move |slack| (total, slack)));
    for (total, (word, at_most)) in open {
        if SlackSource::of_word(word) != Some(SlackSource::UncleanStop) {
            continue;
        }
        for organization in meter.organizations().all() {
            for group in groups(rules, &total.group) {
                meter.add_uncounted(
                    &organization,
                    group,
                    Day::of_number(total.day),
                    SlackSource::UncleanStop,
                    *at_most,
                );
            }
        }
    }
}

/// The organization of a name that was kept.
pub(crate) fn named(meter: &Meter, name: &str) -> Option<Organization> {
    let unknown = meter.organizations().unknown();
    if name == unknown.name() {
        return Some(unknown);
    }
    meter.organizations().named(name)
}

/// The group of a name that was kept; all of them for none. A group that the offer no longer has is left alone.
fn groups<'r>(rules: &'r Rules, name: &'r str) -> impl Iterator<Item = GroupId> + 'r {
    rules
        .offer()
        .groups()
        .filter(move |(_, group)| name.is_empty() || *group.name == *name)
        .map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meter::{
        AfterCrossing, Assumption, DeclaredOrganization, Model, ModelGroup, Offer, OfferParts,
        Standing, Terms,
    };

    use super::*;

    const TODAY: i32 = 20_779;

    /// An offer of one group, and these names of one organization.
    fn rules(name: &str, alias: &str) -> Rules {
        let offer = Offer::new(OfferParts {
            list_date: Day::of_number(TODAY),
            price_date: None,
            groups: vec![ModelGroup {
                name: "small".into(),
                allowances: [1_000_000; 5],
            }],
            models: vec![Model {
                id: "tiny".into(),
                group: "small".into(),
                aliases: Vec::new(),
                context: Some(10_000),
            }],
            prices: Vec::new(),
        });
        let declared = DeclaredOrganization {
            name: name.into(),
            aliases: vec![alias.into()],
            terms: Terms::default(),
        };
        let offer = Arc::new(offer.unwrap());
        Rules::new(
            offer,
            AfterCrossing::Billed,
            Terms::default(),
            vec![declared],
        )
    }

    fn kept(organization: &str, taken: u64, stated: bool) -> CarriedTotal {
        CarriedTotal {
            organization: organization.into(),
            group: "small".into(),
            day: TODAY,
            taken,
            fitted: taken,
            stated,
            slack: vec![("unknown-calls".into(), Some(5))],
            ..CarriedTotal::default()
        }
    }

    /// How the organization stands after a start with these totals, of a ledger that began at noon.
    fn standing(totals: Vec<CarriedTotal>) -> Standing {
        let day = Day::of_number(TODAY);
        let rules = rules("my-org", "acme");
        let meter = Meter::new(day.start() + 43_200);
        meter.learn_declared(&rules);
        let restored = Restored {
            totals,
            ..Restored::default()
        };
        restore_totals(&restored, &meter, &rules);
        let group = rules.offer().group_named("small").unwrap();
        meter.standing(&rules, &named(&meter, "acme").unwrap(), group, day)
    }

    #[test]
    fn a_stated_total_is_restored_beside_what_another_name_took() {
        let (acme, stated) = (kept("acme", 1_000, false), kept("my-org", 411_000, true));
        for totals in [vec![acme.clone(), stated.clone()], vec![stated, acme]] {
            let now = standing(totals);
            assert_eq!(
                (now.taken, now.fitted, now.slack.tokens),
                (412_000, 412_000, 10)
            );
            assert!(!now.slack.sources.contains(Assumption::DayStart));
        }
        let unstated = standing(vec![kept("acme", 1_000, false)]);
        assert!(unstated.slack.sources.contains(Assumption::DayStart));
    }

    #[test]
    fn declared_names_are_told_to_a_ledger_that_does_not_know_them() {
        let told = |known: &[(&str, &str)], name: &str, alias: &str| {
            let pairs = known.iter();
            let restored = Restored {
                aliases: pairs
                    .map(|(one, two)| ((*one).into(), (*two).into()))
                    .collect(),
                ..Restored::default()
            };
            let rules = rules(name, alias);
            let declared = Meter::new(0).learn_declared(&rules);
            !unknown_to_ledger(&restored, declared).is_empty()
        };
        assert!(told(&[], "my-org", "acme"));
        assert!(told(&[("acme", "org-1")], "my-org", "acme"));
        assert!(!told(&[("my-org", "acme")], "my-org", "acme"));
        // Whichever of them the ledger sums up under.
        assert!(!told(&[("acme", "my-org")], "my-org", "acme"));
        let both = [("acme", "org-1"), ("acme", "org-2")];
        assert!(!told(&both, "org-1", "org-2"));
    }

    #[test]
    fn the_unknown_organization_is_not_made_a_named_one() {
        let meter = Meter::new(0);
        assert!(named(&meter, "unknown").unwrap().is_unknown());
        assert!(!named(&meter, "acme").unwrap().is_unknown());
        assert_eq!(meter.organizations().count(), 1);
    }
}
