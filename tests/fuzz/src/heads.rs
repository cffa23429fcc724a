//! Heads from bytes, as hyper reads them; what becomes of them on their way, and what should, read slowly: line by line.
//! It must not know how they are edited.

use std::collections::BTreeMap;

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, request, response};

use crate::clear_head;
use crate::forward::{self, Accept};

/// The length that bodies have here, in bytes.
const LENGTH: u64 = 7;

/// The target and the headers that go on, in the order of each name; none where the head is refused.
type Passed = Option<(String, BTreeMap<String, Vec<Vec<u8>>>)>;

/// The request whose head this is.
pub fn request(bytes: &[u8]) -> Option<request::Parts> {
    let mut lines = [httparse::EMPTY_HEADER; 100];
    let mut read = httparse::Request::new(&mut lines);
    read.parse(bytes)
        .ok()
        .filter(httparse::Status::is_complete)?;
    let mut request = Request::new(());
    *request.method_mut() = read.method?.parse().ok()?;
    *request.uri_mut() = read.path?.parse().ok()?;
    *request.version_mut() = [Version::HTTP_10, Version::HTTP_11][usize::from(read.version?)];
    *request.headers_mut() = headers(read.headers)?;
    Some(request.into_parts().0)
}

/// The answer whose head this is.
pub fn answer(bytes: &[u8]) -> Option<response::Parts> {
    let mut lines = [httparse::EMPTY_HEADER; 100];
    let mut read = httparse::Response::new(&mut lines);
    read.parse(bytes)
        .ok()
        .filter(httparse::Status::is_complete)?;
    let mut answer = Response::new(());
    *answer.headers_mut() = headers(read.headers)?;
    Some(answer.into_parts().0)
}

fn headers(lines: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let line = |line: &httparse::Header<'_>| {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(line.value).ok()?))
    };
    let mut headers = HeaderMap::new();
    for read in lines {
        let (name, value) = line(read)?;
        headers.append(name, value);
    }
    Some(headers)
}

/// What reaches upstream of a request.
pub fn forwarded(head: &request::Parts) -> Passed {
    clear_head::check(head).ok()?;
    let mut head = head.clone();
    let request = forward::request(&mut head, None, Accept::AsAsked, ()).ok()?;
    Some((request.uri().to_string(), lines(request.headers())))
}

/// What should.
pub fn forwarded_slowly(head: &request::Parts) -> Passed {
    let mut lines = lines(&head.headers);
    let only = |name: &str| match lines.get(name).map(Vec::as_slice) {
        None => Some(None),
        Some([only]) => Some(Some(only.to_ascii_lowercase())),
        Some(_) => None,
    };
    let is_framed = only("transfer-encoding")?.is_none_or(|coding| coding == b"chunked");
    let has_host = match only("host")? {
        None => head.version == Version::HTTP_10,
        Some(host) => is_host(&host),
    };
    let target = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let has_path = target.starts_with('/') || (target == "*" && head.method == "OPTIONS");
    let named = named(&lines);
    if !(is_framed && has_host && has_path) || named.iter().any(|name| is_protected(name)) {
        return None;
    }
    let goes = ["host", "expect"];
    lines.retain(|name, _| !(ends_here(name) || goes.contains(&&**name) || named.contains(name)));
    Some((target.to_owned(), lines))
}

/// What reaches the client of an answer whose body is as long as its framing says, before it is tagged.
pub fn passed_on(head: &response::Parts) -> Passed {
    let mut head = head.clone();
    forward::answer_head(&mut head, false);
    clear_head::set_length(&mut head.headers, Some(LENGTH));
    Some((String::new(), lines(&head.headers)))
}

/// What should.
pub fn passed_on_slowly(head: &response::Parts) -> Passed {
    let mut lines = lines(&head.headers);
    let mut named = named(&lines);
    // One name too many, and none of them counts.
    if named.iter().any(|name| is_protected(name)) {
        named.clear();
    }
    lines.retain(|name, _| !(ends_here(name) || name == "alt-svc" || named.contains(name)));
    if let Some(length) = lines.get_mut("content-length") {
        *length = vec![LENGTH.to_string().into_bytes()];
    }
    Some((String::new(), lines))
}

fn lines(headers: &HeaderMap) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut lines = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers {
        let same = lines.entry(name.to_string()).or_default();
        same.push(value.as_bytes().to_vec());
    }
    lines
}

/// The headers that `Connection` names.
fn named(lines: &BTreeMap<String, Vec<Vec<u8>>>) -> Vec<String> {
    let lists = lines.get("connection").into_iter().flatten();
    let names = lists.flat_map(|list| list.split(|byte| *byte == b','));
    let names = names.map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase());
    // What cannot be a name names nothing.
    let letters = |name: &str| {
        name.bytes()
            .all(|one| one.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&one))
    };
    names.filter(|name| letters(name)).collect()
}

fn ends_here(name: &str) -> bool {
    let hop = "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer \
               transfer-encoding upgrade";
    hop.split(' ').any(|one| one == name) || name.starts_with("x-tollfree-")
}

fn is_protected(name: &str) -> bool {
    let begins = ["content-", "openai-", "x-tollfree-"];
    let begins = begins.iter().any(|begin| name.starts_with(begin));
    begins || name == "authorization" || name == "host"
}

/// A name or an address, perhaps with a port, and nobody's name before it; or nothing.
fn is_host(host: &[u8]) -> bool {
    let text = std::str::from_utf8(host).unwrap_or("not text");
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"@/?#\\".contains(&byte);
    host.is_empty() || (host.iter().copied().all(is_plain) && text.parse::<Authority>().is_ok())
}
