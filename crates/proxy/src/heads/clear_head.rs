//! Heads that only one reading has: what two servers could take for two different requests is not forwarded, and an
//! answer that is framed in two ways is none. It must not know calls or OpenAI.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{Method, Version, request};

/// A request that is not forwarded, because somebody else could read another one in it.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// A body framed in another way than chunks or a length.
    #[error(
        "its transfer-encoding is not exactly one \"chunked\". help: send content-length, or chunked alone"
    )]
    TransferEncoding,
    /// No host, several, or one that is none.
    #[error(
        "a request has exactly one host, a name or an address with or without a port. help: send it"
    )]
    Host,
    /// A target that is no path.
    #[error("the request's target has no path. help: send one that begins with a slash")]
    Target,
}

/// Whether a request has exactly one reading.
///
/// # Errors
/// [`Unclear`], what of it has not.
pub(crate) fn check(head: &request::Parts) -> Result<(), Unclear> {
    if !is_framed_once(&head.headers) {
        return Err(Unclear::TransferEncoding);
    }
    if !has_one_host(head) {
        return Err(Unclear::Host);
    }
    let path = head.uri.path();
    if path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS) {
        Ok(())
    } else {
        Err(Unclear::Target)
    }
}

/// Whether a body is chunked and nothing else, or says no transfer coding at all: `gzip, chunked` would leave a body
/// behind whose coding nobody names any more (RFC 9112, 6.1).
fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// HTTP/1.1 names its host once; HTTP/1.0 may leave it out (RFC 9112, 3.2). HTTP/2 has an authority in its place, which a
/// host beside it repeats (RFC 9113, 8.3.1).
fn has_one_host(head: &request::Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    let authority = (head.uri.authority()).filter(|_| head.version == Version::HTTP_2);
    match (authority, hosts.next(), hosts.next()) {
        (None, None, _) => head.version < Version::HTTP_11,
        (None, Some(only), None) => is_host(only),
        (Some(authority), None, _) => !authority.as_str().contains('@'),
        (Some(authority), Some(only), None) => {
            is_host(only)
                && authority
                    .as_str()
                    .as_bytes()
                    .eq_ignore_ascii_case(only.as_bytes())
        }
        (_, Some(_), Some(_)) => false,
    }
}

/// A host, perhaps with a port; nobody's name before it. An absolute-form target may come with an empty one.
fn is_host(value: &HeaderValue) -> bool {
    value.is_empty()
        || value
            .to_str()
            .ok()
            .filter(|text| !text.contains('@'))
            .and_then(|text| text.parse::<Authority>().ok())
            .is_some()
}

/// Puts an answer's length anew, as its body has it: an upstream that says a length twice, or beside chunks, is not
/// repeated. `length` is what its framing came to, where that is known beforehand.
pub(crate) fn set_length(headers: &mut HeaderMap, length: Option<u64>) {
    let Some(said) = headers.get(CONTENT_LENGTH) else {
        return;
    };
    match length {
        None => drop(headers.remove(CONTENT_LENGTH)),
        Some(length) => {
            let is_so = headers.get_all(CONTENT_LENGTH).iter().count() == 1
                && said.to_str().ok().and_then(|said| said.parse().ok()) == Some(length);
            if !is_so {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn checked(target: &str, version: Version, lines: &[(&str, &str)]) -> Result<(), Unclear> {
        let mut request = Request::builder().uri(target).version(version);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn one_host_or_none_where_that_may_be() {
        let host = |hosts: &[&str], version| {
            let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            checked("/v1/models", version, &lines)
        };
        for good in ["localhost", "localhost:8800", "[::1]:8800", "127.0.0.1", ""] {
            assert_eq!(host(&[good], Version::HTTP_11), Ok(()), "{good}");
        }
        for bad in ["a@evil", "a b", "a/b", "[::1", "a:b:c", "\u{fc}"] {
            assert_eq!(host(&[bad], Version::HTTP_11), Err(Unclear::Host), "{bad}");
        }
        assert_eq!(host(&["a", "a"], Version::HTTP_11), Err(Unclear::Host));
        assert_eq!(host(&["a", "a"], Version::HTTP_10), Err(Unclear::Host));
        assert_eq!(host(&[], Version::HTTP_11), Err(Unclear::Host));
        assert_eq!(host(&[], Version::HTTP_10), Ok(()));
        let both = |target: &str, hosts: &[&str]| {
            let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            checked(target, Version::HTTP_2, &lines)
        };
        for (target, hosts) in [
            ("https://a:1/v1", &[][..]),
            ("https://a:1/v1", &["A:1"]),
            ("/v1", &["a"]),
        ] {
            assert_eq!(both(target, hosts), Ok(()), "{target} {hosts:?}");
        }
        for (target, hosts) in [
            ("/v1", &[][..]),
            ("https://a/v1", &["b"]),
            ("https://a/v1", &["a", "a"]),
            ("https://b@a/v1", &[]),
            ("/v1", &["b@a"]),
        ] {
            assert_eq!(
                both(target, hosts),
                Err(Unclear::Host),
                "{target} {hosts:?}"
            );
        }
    }

    #[test]
    fn a_body_is_chunked_and_nothing_else() {
        let coded = |codings: &[&str]| {
            let mut lines = vec![("host", "x")];
            lines.extend(codings.iter().map(|coding| ("transfer-encoding", *coding)));
            checked("/v1/models", Version::HTTP_11, &lines)
        };
        assert_eq!(coded(&["chunked"]), Ok(()));
        assert_eq!(coded(&["Chunked"]), Ok(()));
        for bad in [
            "identity, chunked",
            "chunked, chunked",
            "gzip, chunked",
            ",chunked",
            "",
        ] {
            assert_eq!(coded(&[bad]), Err(Unclear::TransferEncoding), "{bad}");
        }
        assert_eq!(coded(&["gzip", "chunked"]), Err(Unclear::TransferEncoding));
    }

    #[test]
    fn a_target_has_a_path() {
        let host = [("host", "x")];
        let target = |target| checked(target, Version::HTTP_11, &host);
        assert_eq!(target("/"), Ok(()));
        assert_eq!(target("http://elsewhere.example/v1/models"), Ok(()));
        assert_eq!(target("evil.example:443"), Err(Unclear::Target));
        assert_eq!(target("*"), Err(Unclear::Target));
    }

    #[test]
    fn a_length_is_said_once_and_as_it_is() {
        let set = |said: &[&'static str], length| {
            let mut headers = HeaderMap::new();
            for one in said {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(one));
            }
            set_length(&mut headers, length);
            let left = headers.get_all(CONTENT_LENGTH).iter();
            left.map(|one| one.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(set(&["2"], Some(2)), ["2"]);
        assert_eq!(set(&["2, 2"], Some(2)), ["2"]);
        assert_eq!(set(&["2", "2"], Some(2)), ["2"]);
        assert_eq!(set(&["4"], None), [""; 0]);
        assert_eq!(set(&[], Some(2)), [""; 0]);
    }
}
