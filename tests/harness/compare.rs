//! What a client, and an upstream, would notice of a proxy between them: two exchanges compared,
//! one that went directly and one that went through.
//!
//! The only exceptions are the ones the product documents; everything else is a difference.

use std::collections::BTreeMap;

use crate::http1::{Framing, Headers};
use crate::raw::Answer;
use crate::upstream::Received;

/// Headers of one connection, which no proxy forwards.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The list of names that a browser may read, extended by ours.
const EXPOSED: &str = "access-control-expose-headers";
/// What our own headers begin with.
const OURS: &str = "x-tollfree-";

/// Values by lower-case name, in their order.
type Values = BTreeMap<String, Vec<String>>;

/// What a client would notice; empty if nothing.
pub fn answers(direct: &Answer, through: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if direct.status() != through.status() {
        found.push(format!(
            "status {} became {}",
            direct.status(),
            through.status()
        ));
    }
    let (plain, tagged) = (&direct.head.headers, &through.head.headers);
    let skipped = |name: &str| name == "alt-svc" || name == EXPOSED || name.starts_with(OURS);
    differing(
        &values(plain, skipped),
        &values(tagged, skipped),
        &mut found,
    );
    let recorded = plain.members(EXPOSED);
    let others = partition(tagged).1;
    if others != recorded {
        found.push(format!("{EXPOSED}: {recorded:?} became {others:?}"));
    }
    framing(direct, through, &mut found);
    if direct.body.bytes != through.body.bytes {
        found.push(bytes("body", &direct.body.bytes, &through.body.bytes));
    }
    if direct.body.end != through.body.end {
        found.push(format!(
            "the end {:?} became {:?}",
            direct.body.end, through.body.end
        ));
    }
    found
}

fn framing(direct: &Answer, through: &Answer, found: &mut Vec<String>) {
    let (plain, other) = (direct.head.framing, through.head.framing);
    // A body that ends with its connection may be chunked by a proxy that keeps the connection.
    let same = plain == other || (plain == Framing::Close && other == Framing::Chunked);
    if !same {
        found.push(format!("framing {plain:?} became {other:?}"));
    }
}

/// What is wrong with the marks the product leaves on an answer; empty if nothing.
pub fn marks(direct: &Answer, through: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    let tagged = &through.head.headers;
    if tagged.has("alt-svc") {
        found.push("alt-svc speaks of another host and was kept".to_owned());
    }
    let ours = partition(tagged).0;
    if ours.is_empty() == direct.head.headers.has(EXPOSED) {
        found.push(format!("{EXPOSED}: our names are {ours:?}"));
    }
    for name in ["x-tollfree-call", "x-tollfree-verdict"] {
        if tagged.all(name).len() != 1 {
            found.push(format!("{name}: {:?}", tagged.all(name)));
        }
    }
    found
}

/// The exposed names: ours, and the others in their order.
fn partition(headers: &Headers) -> (Vec<String>, Vec<String>) {
    let ours = |name: &String| name.to_ascii_lowercase().starts_with(OURS);
    headers.members(EXPOSED).into_iter().partition(ours)
}

/// What the upstream would notice; empty if nothing. `asked` is a request to which the proxy added
/// the wish for usage, so its body and length differ and it takes no content coding.
pub fn requests(direct: &Received, through: &Received, asked: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (what, plain, other) in [
        ("method", &direct.method, &through.method),
        ("target", &direct.target, &through.target),
    ] {
        if plain != other {
            found.push(format!("{what} {plain:?} became {other:?}"));
        }
    }
    let skipped = |name: &str| {
        ["host", "x-replay-exchange", "accept-encoding"].contains(&name)
            || (asked && name == "content-length")
    };
    let (plain, other) = (&direct.headers, &through.headers);
    differing(&values(plain, skipped), &values(other, skipped), &mut found);
    let accepted = plain.members("accept-encoding");
    let expected = if asked {
        vec!["identity".to_owned()]
    } else {
        accepted
    };
    if other.members("accept-encoding") != expected {
        let other = other.members("accept-encoding");
        found.push(format!("accept-encoding {expected:?} became {other:?}"));
    }
    if other.all("host").len() != 1 {
        found.push(format!("host: {:?}", other.all("host")));
    }
    if !asked && direct.body != through.body {
        found.push(bytes("request body", &direct.body, &through.body));
    }
    found
}

/// End-to-end headers but the skipped ones.
fn values(headers: &Headers, skipped: impl Fn(&str) -> bool) -> Values {
    let mut values = Values::new();
    for (name, value) in &headers.0 {
        let name = name.to_ascii_lowercase();
        if !HOP_BY_HOP.contains(&&*name) && !skipped(&name) {
            values.entry(name).or_default().push(value.clone());
        }
    }
    values
}

fn differing(plain: &Values, other: &Values, found: &mut Vec<String>) {
    for (name, values) in plain {
        match other.get(name) {
            None => found.push(format!("{name} is gone: {values:?}")),
            Some(now) if now != values => {
                found.push(format!("{name}: {values:?} became {now:?}"));
            }
            Some(_) => {}
        }
    }
    for (name, values) in other {
        if !plain.contains_key(name) {
            found.push(format!("{name} was added: {values:?}"));
        }
    }
}

/// Where two bodies part, with a little of both.
fn bytes(what: &str, plain: &[u8], other: &[u8]) -> String {
    let same = plain.iter().zip(other).take_while(|(a, b)| a == b).count();
    let near = |bytes: &[u8]| {
        let from = same.saturating_sub(20).min(bytes.len());
        let to = bytes.len().min(same + 60);
        String::from_utf8_lossy(&bytes[from..to]).into_owned()
    };
    format!(
        "{what} of {} bytes became {} bytes and differs at {same}: {:?} / {:?}",
        plain.len(),
        other.len(),
        near(plain),
        near(other),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{EXPOSED, answers, marks, requests};
    use crate::http1::{Body, End, Framing, Headers};
    use crate::raw::{Answer, AnswerHead};
    use crate::upstream::Received;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn headers(lines: Lines) -> Headers {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Headers(lines.iter().map(owned).collect())
    }

    fn answer(lines: Lines, bytes: &[u8]) -> Answer {
        let head = AnswerHead {
            status: 200,
            headers: headers(lines),
            framing: Framing::Chunked,
            at: Instant::now(),
            interim: Vec::new(),
        };
        let body = Body {
            bytes: bytes.to_vec(),
            pieces: Vec::new(),
            end: End::Complete,
        };
        Answer { head, body }
    }

    #[test]
    fn the_documented_exceptions_are_no_differences() {
        let direct = [
            ("Set-Cookie", "a"),
            ("X-Other", "1"),
            ("set-cookie", "b"),
            ("alt-svc", "h3"),
            ("connection", "keep-alive"),
            ("access-control-expose-headers", "X-Request-ID"),
        ];
        let through = [
            ("x-other", "1"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
            ("access-control-expose-headers", "X-Request-ID"),
            ("access-control-expose-headers", "x-tollfree-call"),
            ("x-tollfree-call", "1"),
            ("x-tollfree-verdict", "none"),
        ];
        let (direct, through) = (answer(&direct, b"body"), answer(&through, b"body"));
        assert_eq!(answers(&direct, &through), Vec::<String>::new());
        assert_eq!(marks(&direct, &through), Vec::<String>::new());
    }

    #[test]
    fn every_other_change_of_an_answer_is_found() {
        let direct = [("set-cookie", "a"), ("set-cookie", "b")];
        let plain = answer(&direct, b"body");
        let changed: [(Lines, &[u8]); 5] = [
            (&[direct[1], direct[0]], b"body"),
            (&[direct[0]], b"body"),
            (&[direct[0], direct[1], ("date", "now")], b"body"),
            (&[direct[0], direct[1], (EXPOSED, "date")], b"body"),
            (&direct, b"bodY"),
        ];
        for (lines, bytes) in changed {
            let found = answers(&plain, &answer(lines, bytes));
            assert_eq!(found.len(), 1, "{lines:?} {bytes:?}: {found:?}");
        }
        let mut broken = answer(&direct, b"body");
        broken.body.end = End::Broken("reset".to_owned());
        broken.head.framing = Framing::Length(4);
        broken.head.status = 500;
        assert_eq!(answers(&plain, &broken).len(), 3);
    }

    #[test]
    fn missing_and_misplaced_marks_are_found() {
        let call = ("x-tollfree-call", "1");
        let verdict = ("x-tollfree-verdict", "free");
        let exposed = (EXPOSED, "x-tollfree-call");
        let plain = answer(&[], b"");
        let listing = answer(&[(EXPOSED, "date")], b"");
        assert!(marks(&plain, &answer(&[call, verdict], b"")).is_empty());
        assert_eq!(marks(&plain, &answer(&[], b"")).len(), 2);
        let wrong: [Lines; 3] = [
            &[call, verdict, verdict],
            &[call, verdict, exposed],
            &[call, verdict, ("alt-svc", "h3")],
        ];
        for lines in wrong {
            assert_eq!(marks(&plain, &answer(lines, b"")).len(), 1, "{lines:?}");
        }
        assert_eq!(marks(&listing, &answer(&[call, verdict], b"")).len(), 1);
    }

    #[test]
    fn every_change_of_a_request_is_found() {
        let received = |lines: Lines, body: &[u8]| Received {
            method: "POST".to_owned(),
            target: "/v1/x?a=%41".to_owned(),
            headers: headers(lines),
            body: body.to_vec(),
            connection: 0,
        };
        let lines = [("host", "a"), ("accept-encoding", "gzip, br"), ("x", "1")];
        let plain = received(&lines, b"{}");
        let nearer = [("host", "b"), ("accept-encoding", "gzip,br"), ("x", "1")];
        assert!(requests(&plain, &received(&nearer, b"{}"), false).is_empty());
        let asked = [("host", "b"), ("accept-encoding", "identity"), ("x", "1")];
        assert!(requests(&plain, &received(&asked, b"{..}"), true).is_empty());
        assert_eq!(requests(&plain, &received(&asked, b"{..}"), false).len(), 2);
        let more = [lines[0], lines[1], lines[2], ("via", "1.1 proxy")];
        assert_eq!(requests(&plain, &received(&more, b"{}"), false).len(), 1);
        let mut elsewhere = plain.clone();
        elsewhere.target = "/v1/x?a=A".to_owned();
        assert_eq!(requests(&plain, &elsewhere, false).len(), 1);
    }
}
