//! What a request body says, read by position from the whole decoded body. It must not know
//! prices, allowances or what becomes of the call.

use thiserror::Error;

use crate::Metered;
use crate::usage_ask::Splice;

/// Most bytes of a request body that is read: larger ones are forwarded unread.
pub const MOST_REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// Whether the answer to a request will report its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UsageAsked {
    /// Not a stream: JSON answers report usage unasked.
    #[default]
    NotAStream,
    /// A stream that will report usage: asked for, or of an endpoint that always does.
    Asked,
    /// A stream that will not, and [`crate::ask_for_usage`] can change that.
    NotAsked,
    /// Something odd about `stream` or `stream_options`: to be forwarded as it came.
    Odd,
}

/// What a request body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    /// The model asked for; at most 256 bytes, the client's own text.
    pub model: Option<Box<str>>,
    /// `stream` is literally true.
    pub stream: bool,
    /// Whether usage will be reported.
    pub usage_asked: UsageAsked,
    /// `background` is literally true.
    pub background: bool,
    /// The service tier asked for.
    pub service_tier: Option<Box<str>>,
    /// The request allows a tool that OpenAI itself runs.
    pub hosted_tool: bool,
    /// Answers asked for (`n`, `best_of`); 1 where nothing is said.
    pub choices: u64,
    /// The most tokens this call can take, where that follows from the body: only text with
    /// function and custom tools, nothing stored or fetched, and a limit on the output.
    pub bound: Option<u64>,
    /// The edit that asks for usage.
    pub(crate) splice: Option<Splice>,
}

impl Default for RequestFacts {
    /// The facts of a body that says nothing.
    fn default() -> Self {
        Self {
            model: None,
            stream: false,
            usage_asked: UsageAsked::NotAStream,
            background: false,
            service_tier: None,
            hosted_tool: false,
            choices: 1,
            bound: None,
            splice: None,
        }
    }
}

/// Why a request body says nothing that can be read.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// The body is neither one JSON object nor, where the endpoint takes one, a form.
    #[error("the request body is not one JSON object")]
    NotAnObject,
    /// The body is longer than [`MOST_REQUEST_BYTES`].
    #[error("the request body is too long to be read")]
    TooLong,
}

impl RequestFacts {
    /// Reads the decoded body of a request to `endpoint`.
    ///
    /// # Errors
    /// [`Unreadable`]: such a body is forwarded as it came, and OpenAI answers.
    pub fn read(endpoint: Metered, body: &[u8]) -> Result<Self, Unreadable> {
        let _ = (endpoint, body);
        Ok(Self::default())
    }
}
