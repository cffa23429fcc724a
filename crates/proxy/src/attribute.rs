//! Whose call it was: OpenAI's answer says so, or the key was seen before. A request header alone never names
//! an organization, or anybody could read and spend another's allowance.

use http::header::HeaderValue;
use http::response::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use meter::{Meter, Organization};

use crate::keys::{KeyHash, Keys};

const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const PROJECT: HeaderName = HeaderName::from_static("openai-project");

/// The longest name that is believed, in bytes: what is remembered must not grow with what upstream sends.
const MOST_NAME_BYTES: usize = 256;
/// Names of one organization; beyond it no more are learned.
const MOST_NAMES: usize = 8;

/// Whom a call belongs to, and whether the caller may learn that organization's standing.
#[derive(Clone, Debug)]
pub(crate) struct Whose {
    pub(crate) organization: Organization,
    pub(crate) project: Option<Box<str>>,
    /// OpenAI's answer named the organization, or it is a 2xx answer to a key that was seen with it: only
    /// then are group, allowance and remaining shown.
    pub(crate) may_know: bool,
}

/// Before the answer: whom the key was last seen with.
pub(crate) fn by_key(meter: &Meter, keys: &Keys, key: Option<KeyHash>) -> Whose {
    match key.and_then(|key| keys.seen_with(key)) {
        Some(seen) => Whose {
            organization: seen.organization,
            project: seen.project,
            may_know: false,
        },
        None => Whose {
            organization: meter.organizations().unknown(),
            project: None,
            may_know: false,
        },
    }
}

/// With the answer's head: what it names wins, and where it accepts the key is remembered for it: 2xx, and the 101
/// that opens a WebSocket.
pub(crate) fn by_answer(
    meter: &Meter,
    keys: &Keys,
    key: Option<KeyHash>,
    status: StatusCode,
    answer: &HeaderMap,
) -> Whose {
    let project = name(answer, &PROJECT);
    if answer.get(&ORGANIZATION).is_none_or(HeaderValue::is_empty) {
        let by_key = by_key(meter, keys, key);
        return Whose {
            may_know: accepts(status) && !by_key.organization.is_unknown(),
            project: project.map_or(by_key.project, |project| Some(project.into())),
            organization: by_key.organization,
        };
    }
    let named = name(answer, &ORGANIZATION).and_then(|name| meter.organizations().named(name));
    let Some(organization) = named else {
        // The table is full, or the name is none: it is somebody's call, but nothing can be kept of whose.
        return Whose {
            organization: meter.organizations().unknown(),
            project: None,
            may_know: false,
        };
    };
    if accepts(status)
        && let Some(key) = key
    {
        keys.remember(key, &organization, project);
    }
    Whose {
        organization,
        project: project.map(Into::into),
        may_know: true,
    }
}

/// Learns that the organization id of the request and the one that a 2xx answer named are one, and says whether
/// that was new.
///
/// Nothing is learned that would take an organization's totals to another one: an id that belongs to one that answers
/// have named otherwise, one more id of an organization that answers name by its id, or more ids than anybody has.
pub(crate) fn learn_alias(meter: &Meter, whose: &Whose, id: &str, answer: &Parts) -> bool {
    let organization = &whose.organization;
    let is_other = |other: &Organization| other != organization && other.names().any(is_slug);
    accepts(answer.status)
        && answer.headers.contains_key(&ORGANIZATION)
        && !is_slug(id)
        && organization.names().any(is_slug)
        && organization.names().count() < MOST_NAMES
        && !meter
            .organizations()
            .find(id)
            .is_some_and(|other| is_other(&other))
        && meter.learn_alias(organization, id)
}

/// Whether it is the name that answers give, not the id that settings show.
fn is_slug(name: &str) -> bool {
    !name.starts_with("org-")
}

fn accepts(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS
}

/// The organization that a request asks to be counted for; none where it names several, of which upstream takes which
/// it likes.
pub(crate) fn asked(request: &HeaderMap) -> Option<Box<str>> {
    let several = request.get_all(&ORGANIZATION).iter().nth(1).is_some();
    name(request, &ORGANIZATION)
        .filter(|_| !several)
        .map(Into::into)
}

/// A name that upstream or a client gives: not empty, and not longer than is remembered.
pub(crate) fn name<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty() && text.len() <= MOST_NAME_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn head(organization: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(name) = organization {
            headers.insert(ORGANIZATION, HeaderValue::from_static(name));
        }
        headers
    }

    #[test]
    fn the_answer_names_the_organization_and_a_2xx_teaches_the_key() {
        let (meter, keys) = (Meter::new(0), Keys::new().unwrap());
        let key = Some(KeyHash::of_bytes([7; 16]));
        let stranger = by_answer(&meter, &keys, key, StatusCode::OK, &head(None));
        assert!(stranger.organization.is_unknown() && !stranger.may_know);

        let named = by_answer(&meter, &keys, key, StatusCode::OK, &head(Some("acme")));
        assert!(named.may_know);
        let again = by_answer(&meter, &keys, key, StatusCode::OK, &head(None));
        assert_eq!(again.organization.name(), "acme");
        assert!(again.may_know);
        let refused = by_answer(&meter, &keys, key, StatusCode::UNAUTHORIZED, &head(None));
        assert!(
            !refused.may_know,
            "a 401 shows nothing even to a key once seen"
        );
    }

    #[test]
    fn an_error_teaches_nothing_and_a_request_header_alone_names_nobody() {
        let (meter, keys) = (Meter::new(0), Keys::new().unwrap());
        let key = Some(KeyHash::of_bytes([7; 16]));
        let bad = StatusCode::BAD_REQUEST;
        by_answer(&meter, &keys, key, bad, &head(Some("acme")));
        assert!(by_key(&meter, &keys, key).organization.is_unknown());
        let asked = by_answer(&meter, &keys, key, StatusCode::OK, &head(None));
        assert!(asked.organization.is_unknown());
        let known = by_answer(&meter, &keys, key, StatusCode::OK, &head(Some("acme")));
        let unnamed = by_answer(&meter, &keys, key, StatusCode::OK, &head(Some("")));
        assert!(
            unnamed.organization == known.organization,
            "an empty name names nobody"
        );
        let (answer, ()) = http::Response::new(()).into_parts();
        assert!(!learn_alias(&meter, &asked, "org-1", &answer));
        assert!(meter.organizations().find("org-1").is_none());
    }

    #[test]
    fn an_id_that_is_anothers_moves_no_totals() {
        let (meter, keys) = (Meter::new(0), Keys::new().unwrap());
        let key = Some(KeyHash::of_bytes([7; 16]));
        let named = |name| by_answer(&meter, &keys, key, StatusCode::OK, &head(Some(name)));
        let (mut answer, ()) = http::Response::new(()).into_parts();
        answer.headers = head(Some("any"));
        let (victim, attacker) = (named("victim"), named("attacker"));
        assert!(learn_alias(&meter, &victim, "org-victim", &answer));
        assert!(!learn_alias(&meter, &attacker, "org-victim", &answer));
        assert!(victim.organization != attacker.organization);
        assert_eq!(
            meter.organizations().find("org-victim"),
            Some(victim.organization)
        );
        // An id that settings declare, and no answer has named otherwise, is learned.
        let declared = meter.organizations().named("org-declared").unwrap();
        assert!(learn_alias(&meter, &attacker, "org-declared", &answer));
        assert!(declared == attacker.organization);
        // Nor can anybody fill the table with ids of its own.
        let learned = (0..100)
            .filter(|number| learn_alias(&meter, &attacker, &format!("org-{number}"), &answer));
        assert!(learned.count() < MOST_NAMES);
        assert!(!learn_alias(&meter, &named("org-a"), "org-b", &answer));
    }

    #[test]
    fn who_names_several_asks_for_none() {
        let mut request = head(Some("org-1"));
        assert_eq!(asked(&request).as_deref(), Some("org-1"));
        request.append(ORGANIZATION, HeaderValue::from_static("org-2"));
        assert_eq!(asked(&request), None);
    }
}
