//! From the client's head to upstream's, and from upstream's back to the client's: what is dropped, what is
//! set anew; all else stays as it came.

use http::header::{ACCEPT_ENCODING, CONNECTION, COOKIE, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri, Version, request, response};
use wire::Coding;

use super::hop_by_hop::{self, ProtectedHeader};
use crate::tags;

/// The codings that the readers decode, in the order in which they are offered for `*`.
const DECODED: [&str; 4] = ["gzip", "br", "zstd", "deflate"];

/// What the answer may be encoded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    /// Whatever the client accepts: the answer is not read.
    AsAsked,
    /// Those of the client's codings that can be read.
    Readable,
    /// None: the answer is edited on its way.
    Identity,
}

/// The request for upstream, whose authority is not ours to say: the connector knows the only one. Path and query
/// are the bytes that came unless `target` replaces them. Headers and URI are taken out of `head`.
///
/// # Errors
/// [`ProtectedHeader`] when the head must not be forwarded.
pub(crate) fn request<B>(
    head: &mut request::Parts,
    target: Option<&PathAndQuery>,
    accept: Accept,
    body: B,
) -> Result<Request<B>, ProtectedHeader> {
    let mut headers = std::mem::take(&mut head.headers);
    hop_by_hop::strip(&mut headers, |name| {
        // The authority is the connector's to say, and so is the length, by the body; `expect` was answered by our own
        // listener when the body was first asked for.
        tags::is_ours(name) || matches!(name, "host" | "expect")
    })?;
    if head.version == Version::HTTP_2 {
        join_cookies(&mut headers);
    }
    match accept {
        Accept::AsAsked => {}
        Accept::Readable => cut_accept_encoding(&mut headers),
        Accept::Identity => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = origin_form(std::mem::take(&mut head.uri), target);
    *request.headers_mut() = headers;
    Ok(request)
}

/// The target without scheme and authority: only path and query go upstream.
fn origin_form(uri: Uri, target: Option<&PathAndQuery>) -> Uri {
    let path = match target {
        Some(target) => Some(target.clone()),
        None if uri.authority().is_none() => return uri,
        None => uri.into_parts().path_and_query,
    };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = path;
    Uri::from_parts(parts).unwrap_or_default()
}

/// HTTP/2 may split a cookie into several fields; HTTP/1.1 knows one (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if cookies.len() > 1
        && let Ok(one) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, one);
    }
}

/// Cuts `Accept-Encoding` to the codings that can be read: absent stays absent, q-values stay, the first `*` becomes
/// those that are not named, nothing left becomes `identity`. Takes time and room as the header has bytes.
fn cut_accept_encoding(headers: &mut HeaderMap) {
    let codings = || {
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let codings = values.filter_map(|value| value.to_str().ok());
        codings.flat_map(|value| value.split(',')).map(named)
    };
    if codings().all(|(name, _)| Coding::named(name).is_some()) {
        return;
    }
    let is_named = DECODED.map(|known| codings().any(|(name, _)| name.eq_ignore_ascii_case(known)));
    let mut unnamed = (DECODED.iter().zip(is_named))
        .filter_map(|(known, is_named)| (!is_named).then_some(*known));
    let mut kept = String::new();
    let mut keep = |name: &str, weight: &str| {
        if !kept.is_empty() {
            kept.push_str(", ");
        }
        kept.push_str(name);
        kept.push_str(weight);
    };
    for (name, weight) in codings() {
        if name == "*" {
            unnamed.by_ref().for_each(|known| keep(known, weight));
        } else if Coding::named(name).is_some() {
            keep(name, weight);
        }
    }
    if kept.is_empty() {
        kept.push_str("identity");
    }
    if let Ok(value) = HeaderValue::try_from(kept) {
        headers.insert(ACCEPT_ENCODING, value);
    }
}

/// The name of a coding, and its weight with the semicolon before it.
fn named(coding: &str) -> (&str, &str) {
    let coding = coding.trim();
    let (name, weight) = coding.split_at(coding.find(';').unwrap_or(coding.len()));
    (name.trim_end(), weight)
}

/// Makes upstream's head the client's, all but the tags: hop-by-hop headers, foreign tags and `alt-svc` go.
/// `edited` bodies lose the length and coding that were theirs.
pub(crate) fn answer_head(head: &mut response::Parts, edited: bool) {
    let goes = |name: &str| {
        tags::is_ours(name)
            || name == "alt-svc"
            || (edited && matches!(name, "content-length" | "content-encoding"))
    };
    if hop_by_hop::strip(&mut head.headers, goes).is_err() {
        // Upstream cannot name a header away either: then nothing of what it named is removed.
        head.headers.remove(CONNECTION);
        let stripped = hop_by_hop::strip(&mut head.headers, goes);
        debug_assert!(stripped.is_ok(), "without Connection nothing can be named");
    }
    head.version = Version::HTTP_11;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(lines: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        cut_accept_encoding(&mut headers);
        headers
            .get(ACCEPT_ENCODING)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn accept_encoding_is_cut_to_what_can_be_read() {
        assert_eq!(cut(&[]), None);
        assert_eq!(
            cut(&["gzip, deflate, br, zstd"]).unwrap(),
            "gzip, deflate, br, zstd"
        );
        assert_eq!(
            cut(&["gzip;q=1.0,deflate;q=0.6,identity;q=0.3"]).unwrap(),
            "gzip;q=1.0,deflate;q=0.6,identity;q=0.3"
        );
        assert_eq!(cut(&["snappy, gzip;q=0.5"]).unwrap(), "gzip;q=0.5");
        assert_eq!(cut(&["dcb", "dcz"]).unwrap(), "identity");
        assert_eq!(cut(&["*"]).unwrap(), "gzip, br, zstd, deflate");
        assert_eq!(
            cut(&["br;q=0, *;q=0.1"]).unwrap(),
            "br;q=0, gzip;q=0.1, zstd;q=0.1, deflate;q=0.1"
        );
        assert_eq!(
            cut(&["*, *;q=0.5", "x, *"]).unwrap(),
            "gzip, br, zstd, deflate",
            "once"
        );
        assert_eq!(cut(&[" , gzip ;q=1 ,"]).unwrap(), "gzip;q=1");
        // A head full of it takes no more than its bytes.
        let many: &'static str = Box::leak("*,".repeat(30_000).into_boxed_str());
        assert_eq!(cut(&[many]).unwrap(), "gzip, br, zstd, deflate");
    }

    #[test]
    fn path_and_query_go_as_they_came_and_no_authority_goes_along() {
        let (mut head, ()) = Request::builder()
            .method("POST")
            .uri("http://evil.example/v1//a%2Fb/../c?x=%20&y")
            .header("host", "evil.example")
            .header("content-length", "3")
            .header("x-tollfree-verdict", "free")
            .body(())
            .unwrap()
            .into_parts();
        let request = request(&mut head, None, Accept::AsAsked, ()).unwrap();
        assert_eq!(request.uri().to_string(), "/v1//a%2Fb/../c?x=%20&y");
        assert!(!request.headers().contains_key("host"));
        assert!(!request.headers().contains_key("x-tollfree-verdict"));
    }
}
