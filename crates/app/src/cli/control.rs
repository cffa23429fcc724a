//! Asks the running proxy over the socket in its data directory. It must not know what the answers mean.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The longest wait for each step of an answer. The proxy answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read: 10,000 organizations fit.
const MOST_ANSWER_BYTES: u64 = 64 << 20;

/// A connection to the running proxy.
#[derive(Debug)]
pub(crate) struct Control(UnixStream);

/// Why the running proxy gave no answer that can be used.
#[derive(Debug, Error)]
pub(crate) enum Unanswered {
    /// It could not be asked, or did not answer in time.
    #[error("the running proxy does not answer: {0}")]
    Silent(#[from] io::Error),
    /// What it said cannot be understood: another version.
    #[error("the running proxy answers in another version's way")]
    Foreign,
    /// It refused, and said why.
    #[error("{0}")]
    Refused(String),
}

impl Control {
    /// Reaches the proxy that runs on this data directory; `None` if none does.
    pub(crate) fn reach(folder: &Path) -> Option<Self> {
        let stream = UnixStream::connect(folder.join(admin::SOCKET)).ok()?;
        Some(Self(stream))
    }

    /// `GET path`.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(crate) fn get<T: DeserializeOwned>(self, path: &str) -> Result<T, Unanswered> {
        self.exchange(&format!("GET {path} HTTP/1.0\r\nhost: tollfree\r\n\r\n"))
    }

    /// `POST path` with a JSON object.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(crate) fn post<T: DeserializeOwned>(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Unanswered> {
        let body = serde_json::to_string(body).map_err(io::Error::from)?;
        self.exchange(&format!(
            "POST {path} HTTP/1.0\r\nhost: tollfree\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// HTTP/1.0: the answer ends where the connection does.
    fn exchange<T: DeserializeOwned>(mut self, request: &str) -> Result<T, Unanswered> {
        self.0.set_read_timeout(Some(PATIENCE))?;
        self.0.set_write_timeout(Some(PATIENCE))?;
        self.0.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        self.0.take(MOST_ANSWER_BYTES).read_to_end(&mut answer)?;
        let answer = String::from_utf8(answer).map_err(|_| Unanswered::Foreign)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(Unanswered::Foreign)?;
        if head.split(' ').nth(1) == Some("200") {
            return serde_json::from_str(body).map_err(|_| Unanswered::Foreign);
        }
        let refusal: admin::Refusal =
            serde_json::from_str(body).map_err(|_| Unanswered::Foreign)?;
        Err(Unanswered::Refused(refusal.error.message))
    }
}
