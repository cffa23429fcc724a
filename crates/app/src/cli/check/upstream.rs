//! One question to upstream: does anything answer, and what does it think the time is. It must not know what is made of
//! the answer.

use std::time::{Duration, Instant};

use http::header::{DATE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::Empty;
use jiff::fmt::rfc2822::DateTimeParser;
use net::Connector;
use tokio::time::timeout;

use crate::cli::desk::now;
use crate::config::Loaded;
use crate::wiring;

/// The longest wait for the head of its answer, connection included.
const PATIENCE: Duration = Duration::from_secs(20);
/// Answered without a key by a refusal, which is an answer all the same.
const QUESTION: &str = "/v1/models";

/// Upstream's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    /// Its status.
    pub(super) status: u16,
    /// From the question to the head of the answer.
    pub(super) took: Duration,
    /// Seconds that our clock is ahead of its `date`; none where it says no date.
    pub(super) clock_ahead: Option<i64>,
}

/// Asks for the models without a key.
pub(super) async fn ask(loaded: &Loaded) -> Result<Answered, String> {
    let settings = wiring::connect(&loaded.config);
    let connector = Connector::new(settings).map_err(|error| error.to_string())?;
    let agent = HeaderValue::from_static(concat!("tollfree/", env!("CARGO_PKG_VERSION")));
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = http::Uri::from_static(QUESTION);
    request.headers_mut().insert(USER_AGENT, agent);
    let began = Instant::now();
    match timeout(PATIENCE, connector.send(request)).await {
        Ok(Ok(response)) => Ok(Answered {
            status: response.status().as_u16(),
            took: began.elapsed(),
            clock_ahead: date(response.headers()).map(|date| now() - date),
        }),
        Ok(Err(error)) if error.is_not_tls() => {
            Err(format!("{error}. help: http:// in upstream.url?"))
        }
        Ok(Err(error)) => Err(format!(
            "{error}. help: is the network there, and upstream.url right? behind a proxy: HTTPS_PROXY"
        )),
        Err(_) => Err(format!(
            "{} did not answer within {} s. help: is the network there, and upstream.url right?",
            connector.address(),
            PATIENCE.as_secs()
        )),
    }
}

/// Unix seconds of the `date` header.
fn date(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let at = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(at.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(
            DATE,
            HeaderValue::from_static("Sat, 21 Nov 2026 23:10:04 GMT"),
        );
        assert_eq!(date(&headers), Some(1_795_302_604));
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        assert_eq!(date(&headers), None);
    }
}
