//! Which headers end at a hop. Pure; knows nothing of tags or of OpenAI's own headers beyond their names.

use http::header::{CONNECTION, HeaderMap, HeaderName};

/// Meant for one connection, never forwarded (RFC 9110, 7.6.1, and the older habits of proxies).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// `Connection:` named a header that no hop may take away: a way to strip a credential or a tag in transit.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the Connection header names {0}, which no hop may remove")]
pub(crate) struct ProtectedHeader(pub(crate) HeaderName);

/// Removes the hop-by-hop headers, those that `Connection:` names, and those of which `also` says so: in one
/// pass over the names, because most heads have none of them.
///
/// # Errors
/// [`ProtectedHeader`] when `Connection:` names a header that carries the call itself; nothing is removed then.
pub(crate) fn strip(
    headers: &mut HeaderMap,
    also: impl Fn(&str) -> bool,
) -> Result<(), ProtectedHeader> {
    let mut ends_here: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        if is_hop_by_hop(name.as_str()) || also(name.as_str()) {
            ends_here.push(name.clone());
        }
    }
    if headers.contains_key(CONNECTION) {
        let named = headers
            .get_all(CONNECTION)
            .iter()
            // By bytes: one that is no text makes its own name none, not those beside it.
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        for name in named {
            if is_protected(&name) {
                return Err(ProtectedHeader(name));
            }
            ends_here.push(name);
        }
    }
    for name in ends_here {
        headers.remove(name);
    }
    Ok(())
}

fn is_protected(name: &HeaderName) -> bool {
    let text = name.as_str();
    matches!(text, "authorization" | "host")
        || ["content-", "openai-", crate::tags::PREFIX]
            .iter()
            .any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        map
    }

    #[test]
    fn hop_by_hop_and_named_headers_go_the_rest_stays_in_order() {
        let mut map = headers(&[
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ]);
        strip(&mut map, |_| false).unwrap();
        let left: Vec<_> = map.get_all("set-cookie").iter().collect();
        assert_eq!(map.len(), 2);
        assert_eq!(left, ["a=1", "b=2"]);
    }

    #[test]
    fn a_name_that_is_none_hides_no_other() {
        let mut map = headers(&[("connection", "X-Secret, \u{fc}"), ("x-secret", "1")]);
        strip(&mut map, |_| false).unwrap();
        assert!(map.is_empty());
        let mut map = headers(&[("connection", "\u{fc}, authorization")]);
        assert!(strip(&mut map, |_| false).is_err());
    }

    #[test]
    fn a_credential_cannot_be_named_away() {
        for name in [
            "Authorization",
            "OpenAI-Organization",
            "content-length",
            "x-tollfree-verdict",
            "host",
        ] {
            let mut map = headers(&[("connection", &format!("close, {name}"))]);
            assert!(strip(&mut map, |_| false).is_err(), "{name}");
        }
    }
}
