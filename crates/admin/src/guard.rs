//! Who may ask on the admin listener: a Host that is ours (a page of another site may have rebound its name to this
//! address), and a token where one is set. Must not know what is asked.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use ring::hmac;
use ring::rand::SystemRandom;

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
        let mut named = head.headers.get_all(HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, None) => head.uri.authority().map(http::uri::Authority::as_str),
            _ => None,
        };
        let host = host.ok_or(Denied::Host)?.to_ascii_lowercase();
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
