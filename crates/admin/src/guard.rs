//! Who may ask on the admin listener: a Host that is ours (a page of another site may have rebound its name to this
//! address), no page of another site by itself, and a token where one is set. Must not know what is asked.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use ring::hmac;
use ring::rand::SystemRandom;

/// Where a browser says who made it ask; it cannot be set by a page. `none`: nobody, an address was typed.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Where it says what for.
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// Where the page is: a link from anywhere may lead there.
const PAGE: &str = "/";

/// Names under which this machine reaches itself.
const LOOPBACK: &str = "localhost";

/// Whether a request may be answered.
#[derive(Debug)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    token: Option<Token>,
}

/// A token that is compared in constant time: by its keyed hash.
#[derive(Debug)]
struct Token {
    key: hmac::Key,
    tag: hmac::Tag,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Its Host is none of ours.
    Host,
    /// A page of another site asks.
    Site,
    /// It carries no token, or a wrong one.
    Token,
}

impl Guard {
    /// `hosts`: names beside addresses and `localhost`. `None` when the system has no randomness to compare with.
    pub(crate) fn new(hosts: &[String], token: Option<&str>) -> Option<Self> {
        let token = match token {
            None => None,
            Some(token) => {
                let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
                let tag = hmac::sign(&key, token.as_bytes());
                Some(Token { key, tag })
            }
        };
        Some(Self {
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            token,
        })
    }

    /// Whether the Host is one of ours.
    pub(crate) fn host(&self, head: &Parts) -> Result<(), Denied> {
        let host = host_of(head).ok_or(Denied::Host)?.to_ascii_lowercase();
        let name = without_port(&host);
        // A name can be rebound to another address, an address cannot.
        let is_address = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok();
        if is_address || name == LOOPBACK || self.hosts.iter().any(|one| one == name) {
            Ok(())
        } else {
            Err(Denied::Host)
        }
    }

    /// Whether nobody asks whom another site sent: any page that is open in somebody's browser can make it ask here, even
    /// though it cannot read the answer. Programs say nothing of it, and are answered.
    pub(crate) fn site(head: &Parts) -> Result<(), Denied> {
        let said = |name: HeaderName, is_fine: &dyn Fn(&str) -> bool| {
            let mut values = head.headers.get_all(name).iter();
            values.all(|value| value.to_str().is_ok_and(is_fine))
        };
        // `same-site` is another port of this host, or a neighbour of its name.
        let is_ours = said(FETCH_SITE, &|site| matches!(site, "same-origin" | "none"));
        let is_link = head.headers.contains_key(FETCH_MODE)
            && said(FETCH_MODE, &|mode| mode == "navigate")
            && head.uri.path() == PAGE;
        let host = host_of(head).unwrap_or_default();
        let is_of_host = said(ORIGIN, &|origin| is_origin_of(origin, host));
        if (is_ours || is_link) && is_of_host {
            Ok(())
        } else {
            Err(Denied::Site)
        }
    }

    /// Whether the token is there: `Authorization: Bearer ...`, or `?token=` where a browser cannot send a header.
    pub(crate) fn token(&self, head: &Parts) -> Result<(), Denied> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let bearer = head
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token));
        let query = head.uri.query().unwrap_or_default();
        let asked = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("token="));
        // A token has no spaces, so a plus sign is one, encoded or not.
        let shown: Cow<'_, [u8]> = match (bearer, asked) {
            (Some(bearer), _) => bearer.as_bytes().into(),
            (None, Some(asked)) => percent_decode_str(asked).into(),
            (None, None) => return Err(Denied::Token),
        };
        hmac::verify(&token.key, &shown, token.tag.as_ref()).map_err(|_| Denied::Token)
    }
}

/// Whom the request is for; `None`: nobody, or several.
fn host_of(head: &Parts) -> Option<&str> {
    let mut named = head.headers.get_all(HOST).iter();
    match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, None) => head.uri.authority().map(http::uri::Authority::as_str),
        _ => None,
    }
}

/// Whether an origin like `http://localhost:8801` is that of this host, port included.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    // A browser leaves the usual port out, a proxy in front of this may not.
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.strip_suffix(usual).map_or(name.clone(), str::to_owned)
    };
    bare(authority) == bare(host)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(host: &str, authorization: Option<&str>, target: &str) -> Parts {
        let mut request = Request::get(target).header(HOST, host);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_rebound_name_is_not_answered() {
        let guard = Guard::new(&["Tollfree.internal".to_owned()], None).unwrap();
        for ours in [
            "127.0.0.1:8801",
            "localhost:8801",
            "[::1]:8801",
            "[::1]",
            "tollfree.internal",
            "10.0.0.7:1",
        ] {
            assert_eq!(guard.host(&head(ours, None, "/")), Ok(()), "{ours}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8801",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert_eq!(
                guard.host(&head(foreign, None, "/")),
                Err(Denied::Host),
                "{foreign}"
            );
        }
    }

    fn sent(target: &str, said: &[(&str, &str)]) -> Result<(), Denied> {
        let mut head = head("localhost:8801", None, target);
        for (name, value) in said {
            let name: HeaderName = name.parse().unwrap();
            head.headers.append(name, value.parse().unwrap());
        }
        Guard::site(&head)
    }

    #[test]
    fn a_page_of_another_site_is_not_answered() {
        for ours in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[("origin", "http://localhost:8801")],
            &[("origin", "http://LOCALHOST:8801")],
        ] {
            assert_eq!(sent("/api/v1/calls", ours), Ok(()), "{ours:?}");
        }
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert_eq!(sent("/", &link), Ok(()));
        assert_eq!(sent("/?token=x", &link), Ok(()));
        for path in ["/api/v1/calls", "/metrics", "/healthz", "/main.js"] {
            assert_eq!(sent(path, &link), Err(Denied::Site), "{path}");
        }
        for foreign in [
            &[("sec-fetch-site", "cross-site")][..],
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            &[
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("sec-fetch-site", "")],
            &[("origin", "https://evil.example")],
            &[("origin", "http://localhost:3000")],
            &[("origin", "http://localhost")],
            &[("origin", "null")],
            &[("origin", "http://localhost:8801"), ("origin", "null")],
        ] {
            for path in ["/", "/api/v1/calls"] {
                assert_eq!(sent(path, foreign), Err(Denied::Site), "{path} {foreign:?}");
            }
        }
    }

    #[test]
    fn a_usual_port_may_be_left_out() {
        for (origin, host) in [
            ("https://tollfree.internal", "tollfree.internal:443"),
            ("http://tollfree.internal:80", "tollfree.internal"),
            ("http://[::1]:8801", "[::1]:8801"),
        ] {
            assert!(is_origin_of(origin, host), "{origin} {host}");
        }
        assert!(!is_origin_of(
            "https://tollfree.internal",
            "tollfree.internal:80"
        ));
        assert!(!is_origin_of(
            "ftp://tollfree.internal",
            "tollfree.internal"
        ));
    }

    #[test]
    fn a_token_is_asked_for_where_one_is_set() {
        let open = Guard::new(&[], None).unwrap();
        assert_eq!(open.token(&head("localhost", None, "/")), Ok(()));
        let guard = Guard::new(&[], Some("s3cret")).unwrap();
        assert_eq!(
            guard.token(&head("localhost", None, "/")),
            Err(Denied::Token)
        );
        assert_eq!(
            guard.token(&head("localhost", Some("bearer s3cret"), "/")),
            Ok(())
        );
        assert_eq!(
            guard.token(&head("localhost", Some("Bearer s3cret"), "/")),
            Ok(())
        );
        assert_eq!(
            guard.token(&head("localhost", None, "/x?a=1&token=s3cret")),
            Ok(())
        );
        let guard = Guard::new(&[], Some("a+b/c=%")).unwrap();
        for said in ["a+b/c=%25", "a%2Bb%2Fc%3D%25"] {
            let target = format!("/x?token={said}");
            assert_eq!(guard.token(&head("localhost", None, &target)), Ok(()));
        }
        let guard = Guard::new(&[], Some("s3cret")).unwrap();
        for wrong in ["Bearer s3cre", "Bearer s3crett", "s3cret", "Basic s3cret"] {
            assert_eq!(
                guard.token(&head("localhost", Some(wrong), "/")),
                Err(Denied::Token),
                "{wrong}"
            );
        }
    }
}
