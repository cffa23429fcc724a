//! What a start goes on from, put back in its place. Must not know where it was kept.

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
            // What came before the ledger began is in the number that was stated.
            meter.state_total(&organization, group, day, 0);
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
    use super::*;

    // The rules of the shipped offer are tested in `app`; here only what needs no offer.
    #[test]
    fn the_unknown_organization_is_not_made_a_named_one() {
        let meter = Meter::new(0);
        assert!(named(&meter, "unknown").unwrap().is_unknown());
        assert!(!named(&meter, "acme").unwrap().is_unknown());
        assert_eq!(meter.organizations().count(), 1);
    }
}
