//! What the keys in the store are called: everything of one organization in one slot of a cluster. Must not know
//! what stands under them.

use meter::Day;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The keys that one message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The total of one organization, group and day.
    pub(crate) total: String,
    /// What is known of the organization.
    pub(crate) about: String,
}

impl Keys {
    pub(crate) fn of(prefix: &str, organization: &str, group: &str, day: Day) -> Self {
        let tag = written(organization);
        Self {
            total: format!("{prefix}{{{tag}}}:{day}:{}", written(group)),
            about: format!("{prefix}{{{tag}}}"),
        }
    }
}

/// Where the replicas stand.
pub(crate) fn replicas(prefix: &str) -> String {
    format!("{prefix}replicas")
}

/// Who waits for a response.
pub(crate) fn awaited(prefix: &str, response_id: &str) -> String {
    format!("{prefix}awaited:{}", written(response_id))
}

/// What was seen of the responses that a replica waits for.
pub(crate) fn sights(prefix: &str, replica: &str) -> String {
    format!("{prefix}sights:{}", written(replica))
}

/// What may mean something in a key.
const MEANT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A name with everything encoded that means something in a key.
fn written(name: &str) -> String {
    utf8_percent_encode(name, &MEANT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_has_one_tag_and_no_name_can_forge_another() {
        let day = Day::of_date(2026, 11, 22).unwrap();
        let keys = Keys::of("tollfree:", "acme", "large", day);
        assert_eq!(keys.total, "tollfree:{acme}:2026-11-22:large");
        assert_eq!(keys.about, "tollfree:{acme}");
        let odd = Keys::of("t:", "a}:{b%7d", "x:y", day);
        assert_eq!(odd.total, "t:{a%7D%3A%7Bb%257d}:2026-11-22:x%3Ay");
    }
}
