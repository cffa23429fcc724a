//! The response headers of OpenAI behind Cloudflare, as recorded: which answers have which, with their
//! duplicates. Knows nothing of bodies.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::errors::Origin;
use crate::ids::Ids;
use crate::world::Identity;

/// What the headers of one answer depend on.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// Who asked; `None` where OpenAI does not say.
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) origin: Origin,
    pub(crate) request_id: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) now_ms: i64,
    pub(crate) processing_ms: u64,
    /// Tokens that the rate limit counts; `None` on endpoints without one.
    pub(crate) limited_tokens: Option<u64>,
    /// The model, on the endpoints that still name it in a header.
    pub(crate) model: Option<&'a str>,
}

/// JSON answers.
pub(crate) const JSON: &str = "application/json";
/// Streams.
pub(crate) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
/// Cloudflare's own pages.
pub(crate) const HTML: &str = "text/html; charset=UTF-8";

const LIMIT_REQUESTS: u64 = 10_000;
const LIMIT_TOKENS: u64 = 30_000_000;

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(HeaderName::from_static(name), value);
    }
}

/// All headers of an answer but those of its framing.
pub(crate) fn of(facts: &Facts<'_>, ids: &Ids) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let map = &mut headers;
    let at = Timestamp::from_millisecond(facts.now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    map.append(CONTENT_TYPE, HeaderValue::from_static(facts.content_type));
    if let Ok(date) = HeaderValue::from_str(&http_date(at)) {
        map.append(DATE, date);
    }
    put(map, "server", "cloudflare");
    let mut random = ids.part(u64::MAX);
    put(map, "cf-ray", &format!("{}-FRA", random.hex(16)));
    cookies(map, &mut random, at);
    if facts.origin == Origin::Cloudflare {
        return headers;
    }
    put(map, "cf-cache-status", "DYNAMIC");
    put(
        map,
        "strict-transport-security",
        "max-age=31536000; includeSubDomains; preload",
    );
    put(map, "x-content-type-options", "nosniff");
    put(map, "alt-svc", "h3=\":443\"; ma=86400");
    put(map, "x-request-id", facts.request_id);
    if facts.origin == Origin::Edge {
        put(map, "vary", "Origin");
        put(map, "x-openai-proxy-wasm", "v0.1");
        return headers;
    }
    for exposed in ["X-Request-ID", "CF-Ray", "CF-Ray"] {
        put(map, "access-control-expose-headers", exposed);
    }
    put(
        map,
        "openai-processing-ms",
        &facts.processing_ms.to_string(),
    );
    put(map, "openai-version", "2020-10-01");
    if facts.origin == Origin::Authentication {
        put(map, "www-authenticate", "Bearer realm=\"OpenAI API\"");
        return headers;
    }
    if let Some(identity) = facts.identity {
        put(map, "openai-organization", &identity.organization);
        put(map, "openai-project", &identity.project);
    }
    if let Some(model) = facts.model {
        put(map, "openai-model", model);
        map.append(
            CACHE_CONTROL,
            HeaderValue::from_static("no-cache, must-revalidate"),
        );
    }
    let waited = facts.processing_ms + 7;
    put(map, "x-envoy-upstream-service-time", &waited.to_string());
    put(map, "x-openai-proxy-wasm", "v0.1");
    rate_limits(map, facts.limited_tokens);
    headers
}

fn cookies(headers: &mut HeaderMap, random: &mut Ids, at: Timestamp) {
    let (seconds, milliseconds) = (at.as_second(), at.as_millisecond());
    let expires = Timestamp::from_second(seconds + 1800).unwrap_or(at);
    let bot = format!(
        "__cf_bm={}-{seconds}-1.0.1.1-{}; path=/; expires={}; domain=.api.openai.com; HttpOnly; \
         Secure; SameSite=None",
        random.letters(43),
        random.letters(86),
        expires.strftime("%a, %d-%b-%y %H:%M:%S GMT"),
    );
    put(headers, "set-cookie", &bot);
    let visitor = format!(
        "_cfuvid={}-{milliseconds}-0.0.1.1-604800000; path=/; domain=.api.openai.com; HttpOnly; \
         Secure; SameSite=None",
        random.letters(43),
    );
    put(headers, "set-cookie", &visitor);
}

fn rate_limits(headers: &mut HeaderMap, tokens: Option<u64>) {
    let Some(tokens) = tokens else { return };
    let tokens = tokens.min(LIMIT_TOKENS);
    // The limit refills evenly over a minute.
    let reset = tokens.saturating_mul(60_000) / LIMIT_TOKENS;
    for (name, value) in [
        ("x-ratelimit-limit-requests", LIMIT_REQUESTS.to_string()),
        ("x-ratelimit-limit-tokens", LIMIT_TOKENS.to_string()),
        (
            "x-ratelimit-remaining-requests",
            (LIMIT_REQUESTS - 1).to_string(),
        ),
        (
            "x-ratelimit-remaining-tokens",
            (LIMIT_TOKENS - tokens).to_string(),
        ),
        ("x-ratelimit-reset-requests", go_duration(6)),
        ("x-ratelimit-reset-tokens", go_duration(reset)),
    ] {
        put(headers, name, &value);
    }
}

/// Milliseconds as Go prints a duration: `6ms`, `8.64s`, `6m0s`.
fn go_duration(milliseconds: u64) -> String {
    let (minutes, rest) = (milliseconds / 60_000, milliseconds % 60_000);
    let seconds = || {
        let fraction = format!("{:03}", rest % 1000);
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        format!("{}{dot}{fraction}s", rest / 1000)
    };
    match (minutes, rest) {
        (0, 0) => "0s".to_owned(),
        (0, 1..1000) => format!("{rest}ms"),
        (0, _) => seconds(),
        _ => format!("{minutes}m{}", seconds()),
    }
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        let written: Vec<_> = [0, 6, 8_640, 13_065, 60_000, 360_000, 61_500]
            .map(go_duration)
            .into();
        assert_eq!(
            written,
            ["0s", "6ms", "8.64s", "13.065s", "1m0s", "6m0s", "1m1.5s"]
        );
    }

    #[test]
    fn dates_are_http_dates() {
        let at = Timestamp::from_second(784_111_777).unwrap();
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
