//! Whether a model is on the offer's dated list, or looks newer than it. Exact ids decide; names are taken
//! apart only to tell "newer than the list" from "not on it". Must not know totals or prices.

use crate::day::Day;
use crate::model_group::GroupId;

/// What the offer's list says about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listing {
    /// Its exact id is on the list.
    Listed(GroupId),
    /// A fine-tuned model (`ft:...`): not in the offer.
    FineTuned,
    /// Not on the list, but of a listed family and newer than the list: the list may lag behind. The group is
    /// that of the family's newest listed member. Never a ground to call anything free.
    NewerThanList(GroupId),
    /// Not on the list.
    NotListed,
}

impl Listing {
    /// The group the model is listed in, or would be.
    #[must_use]
    pub fn group(self) -> Option<GroupId> {
        match self {
            Self::Listed(group) | Self::NewerThanList(group) => Some(group),
            Self::FineTuned | Self::NotListed => None,
        }
    }
}

/// Whether an id is that of a fine-tuned model: `ft:gpt-4o-mini-2024-07-18:acme::id`, before 2023-08
/// `davinci:ft-acme-2023-01-31-12-00-00`.
pub(crate) fn is_fine_tuned(id: &str) -> bool {
    id.starts_with("ft:") || id.contains(":ft-")
}

/// Major and minor number: 5.6 is `(5, 6)`, 4 is `(4, 0)`.
type Version = (u32, u32);

/// A model id taken apart: `gpt-5.4-mini-2026-03-17` is `gpt-`, 5.4, `-mini` and a date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parts<'a> {
    /// The id without its date.
    undated: &'a str,
    date: Option<Day>,
    family: Option<Family<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Family<'a> {
    /// What stands before the version: the leading word.
    lead: &'a str,
    version: Version,
    /// What stands between version and date.
    tail: &'a str,
}

impl<'a> Parts<'a> {
    fn of(id: &'a str) -> Self {
        let (undated, date) = split_date(id);
        Self {
            undated,
            date,
            family: Family::of(undated),
        }
    }
}

impl<'a> Family<'a> {
    fn of(undated: &'a str) -> Option<Self> {
        let (lead, rest) = undated.split_at_checked(undated.find(|c: char| c.is_ascii_digit())?)?;
        let (major, rest) = split_number(rest)?;
        let (minor, tail) = rest
            .strip_prefix('.')
            .and_then(split_number)
            .unwrap_or((0, rest));
        Some(Self {
            lead,
            version: (major, minor),
            tail,
        })
    }
}

/// The number a text begins with, and the rest.
fn split_number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// Takes a trailing `-YYYY-MM-DD` off.
fn split_date(id: &str) -> (&str, Option<Day>) {
    let split = || {
        let (undated, date) = id.split_at_checked(id.len().checked_sub("-YYYY-MM-DD".len())?)?;
        let mut fields = date.strip_prefix('-')?.split('-');
        let (year, month, day) = (fields.next()?, fields.next()?, fields.next()?);
        let digits =
            |field: &str, count| field.len() == count && field.bytes().all(|b| b.is_ascii_digit());
        if !(digits(year, 4) && digits(month, 2) && digits(day, 2) && fields.next().is_none()) {
            return None;
        }
        let date = Day::of_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
        Some((undated, Some(date)))
    };
    split().unwrap_or((id, None))
}

/// Finds the group of the family's newest listed member if this id, which is not listed, is newer than the list:
/// a snapshot of a listed model dated after the list, or a listed family's version above every listed one of
/// the same leading word.
pub(crate) fn newer_than_list<'a>(
    id: &str,
    list_date: Day,
    listed: impl Iterator<Item = (&'a str, GroupId)> + Clone,
) -> Option<GroupId> {
    let asked = Parts::of(id);
    let listed = listed.map(|(id, group)| (Parts::of(id), group));
    if asked.date.is_some_and(|date| date > list_date) {
        let same = listed
            .clone()
            .filter(|(parts, _)| parts.undated == asked.undated);
        if let Some((_, group)) = same.max_by_key(|(parts, _)| parts.date) {
            return Some(group);
        }
    }
    let asked = asked.family?;
    let same_word = listed
        .filter_map(|(parts, group)| Some((parts.family?, parts.date, group)))
        .filter(|(family, ..)| family.lead == asked.lead);
    if same_word
        .clone()
        .any(|(family, ..)| family.version >= asked.version)
    {
        return None;
    }
    same_word
        .filter(|(family, ..)| family.tail == asked.tail)
        .max_by_key(|(family, date, _)| (family.version, *date))
        .map(|(.., group)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: GroupId = GroupId(0);
    const SMALL: GroupId = GroupId(1);

    const LISTED: [(&str, GroupId); 11] = [
        ("gpt-6-astra", LARGE),
        ("gpt-6-sol", LARGE),
        ("gpt-6-luna", LARGE),
        ("gpt-5.6-luna", SMALL),
        ("gpt-5.5-2026-04-23", LARGE),
        ("gpt-5.4-mini-2026-03-17", SMALL),
        ("gpt-4o-2024-08-06", LARGE),
        ("gpt-4o-2024-11-20", LARGE),
        ("o3-2025-04-16", LARGE),
        ("o4-mini-2025-04-16", SMALL),
        ("codex-mini-latest", SMALL),
    ];

    fn newer(id: &str) -> Option<GroupId> {
        newer_than_list(id, Day::of_date(2026, 9, 28).unwrap(), LISTED.into_iter())
    }

    #[test]
    fn ids_are_taken_apart() {
        let parts = Parts::of("gpt-5.4-mini-2026-03-17");
        assert_eq!(parts.undated, "gpt-5.4-mini");
        assert_eq!(parts.date, Day::of_date(2026, 3, 17));
        assert_eq!(
            parts.family,
            Some(Family {
                lead: "gpt-",
                version: (5, 4),
                tail: "-mini"
            })
        );
        let family = |id| Parts::of(id).family.map(|f| (f.lead, f.version, f.tail));
        assert_eq!(family("gpt-4o"), Some(("gpt-", (4, 0), "o")));
        assert_eq!(family("o5-mini"), Some(("o", (5, 0), "-mini")));
        assert_eq!(family("gpt-6."), Some(("gpt-", (6, 0), ".")));
        assert_eq!(family("codex-mini-latest"), None);
        assert_eq!(family("gpt-99999999999"), None);
        assert_eq!(Parts::of("gpt-4o-2024-13-01").date, None);
        assert_eq!(Parts::of("gpt-4o-2024-1-011").date, None);
        assert_eq!(Parts::of("gpt-4o-+024-01-01").date, None);
        assert_eq!(Parts::of("-2024-01-01").undated, "");
        assert_eq!(Parts::of("ü2024-01-01").date, None);
    }

    #[test]
    fn a_snapshot_dated_after_the_list_is_newer() {
        assert_eq!(newer("gpt-4o-2026-09-29"), Some(LARGE));
        assert_eq!(newer("gpt-4o-2026-09-28"), None);
        assert_eq!(newer("gpt-6-sol-2026-10-01"), Some(LARGE));
        assert_eq!(newer("gpt-5.4-mini-2026-12-01"), Some(SMALL));
        assert_eq!(newer("codex-mini-latest-2027-01-01"), Some(SMALL));
        assert_eq!(newer("gpt-4o-audio-preview-2026-12-01"), None);
    }

    #[test]
    fn a_higher_version_of_a_listed_family_is_newer() {
        assert_eq!(newer("gpt-6.1-sol"), Some(LARGE));
        assert_eq!(newer("gpt-6.2-astra-2026-01-01"), Some(LARGE));
        assert_eq!(newer("gpt-7"), Some(LARGE));
        assert_eq!(newer("gpt-10.0-mini"), Some(SMALL));
        assert_eq!(newer("o5-mini"), Some(SMALL));
        assert_eq!(newer("o5"), Some(LARGE));
    }

    #[test]
    fn the_newest_listed_member_of_the_family_lends_its_group() {
        // gpt-5.6-luna is small, gpt-6-luna is large.
        assert_eq!(newer("gpt-6.1-luna"), Some(LARGE));
    }

    #[test]
    fn what_is_not_above_every_listed_version_is_not_newer() {
        assert_eq!(newer("gpt-5.7"), None);
        assert_eq!(newer("gpt-6"), None);
        assert_eq!(newer("o4"), None);
        assert_eq!(newer("gpt-6.1-rosalind"), None);
        assert_eq!(newer("gpt-4o-search-preview"), None);
        assert_eq!(newer("o3-pro"), None);
        assert_eq!(newer("text-embedding-9-small"), None);
        assert_eq!(newer(""), None);
    }
}
