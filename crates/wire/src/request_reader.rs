//! What a request body says, read by position from the whole decoded body. It must not know
//! prices, allowances or what becomes of the call.

use meter::Usage;
use thiserror::Error;

use crate::json_scan::{Found, ScanError, Scanner};
use crate::json_text::{integer, plain, short_text};
use crate::request_tree::{self, Tag};
use crate::usage_ask::Splice;
use crate::{Metered, multipart};

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
            service_tier: None,
            hosted_tool: false,
            choices: 1,
            bound: None,
            splice: None,
        }
    }
}

/// Why a request body says nothing that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The body is not JSON, nor a form where the endpoint takes one.
    #[error("the request body is not JSON")]
    NotJson(#[source] ScanError),
    /// The body is JSON, and no object.
    #[error("the request body is not a JSON object")]
    NotAnObject,
    /// The body is longer than [`MOST_REQUEST_BYTES`].
    #[error("the request body is too long to be read")]
    TooLong,
}

impl RequestFacts {
    /// Reads the decoded body of a request to `endpoint`: a JSON object, or the multipart form
    /// that transcriptions and image edits send.
    ///
    /// # Errors
    /// [`Unreadable`]: such a body is forwarded as it came, and OpenAI answers.
    pub fn read(endpoint: Metered, body: &[u8]) -> Result<Self, Unreadable> {
        if body.len() > MOST_REQUEST_BYTES {
            return Err(Unreadable::TooLong);
        }
        if let Some(fields) = form(endpoint, body, true) {
            return Ok(Self::of_form(&fields));
        }
        let mut scan = RequestScan::new(endpoint);
        scan.push(body);
        scan.finish()
    }

    /// Reads what is at hand of a request too long to be read: of a form each part says for itself what it says. `None`
    /// for any other.
    #[must_use]
    pub fn begun(endpoint: Metered, beginning: &[u8]) -> Option<Self> {
        form(endpoint, beginning, false).map(|fields| Self::of_form(&fields))
    }

    fn of_form(fields: &multipart::Fields) -> Self {
        Self {
            model: fields.model.clone(),
            stream: fields.is_stream,
            usage_asked: if fields.is_stream {
                UsageAsked::Asked
            } else {
                UsageAsked::NotAStream
            },
            ..Self::default()
        }
    }
}

/// The fields of a form, where it is one.
fn form(endpoint: Metered, body: &[u8], is_whole: bool) -> Option<multipart::Fields> {
    let may_be = endpoint.takes_form() && !body.trim_ascii_start().starts_with(b"{");
    may_be
        .then(|| multipart::Fields::read(body, is_whole))
        .flatten()
}

/// Reads a JSON request as it passes, cut anywhere; keeps nothing of it but what is wanted.
#[derive(Debug)]
pub(crate) struct RequestScan {
    endpoint: Metered,
    scanner: Scanner<Tag>,
    notes: Notes,
    length: u64,
}

impl RequestScan {
    pub(crate) fn new(endpoint: Metered) -> Self {
        Self {
            endpoint,
            scanner: Scanner::new(request_tree::of(endpoint)),
            notes: Notes::default(),
            length: 0,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        // An error stays with the scanner, and is asked for at the end.
        let _ = self.scanner.push(bytes, |found| self.notes.take(&found));
    }

    pub(crate) fn finish(mut self) -> Result<RequestFacts, Unreadable> {
        let notes = &mut self.notes;
        self.scanner
            .finish(|found| notes.take(&found))
            .map_err(Unreadable::NotJson)?;
        let notes = self.notes;
        if !notes.is_object {
            return Err(Unreadable::NotAnObject);
        }
        let choices = notes.choices.max(1) * notes.prompts.max(1);
        let (usage_asked, splice) = notes.asking(self.endpoint);
        Ok(RequestFacts {
            model: notes.model,
            stream: notes.stream.is_true,
            usage_asked,
            service_tier: notes.service_tier,
            hosted_tool: notes.hosted_tool,
            choices,
            bound: (!notes.is_unbounded)
                .then_some(notes.most_output)
                .flatten()
                .and_then(|most| most.checked_mul(choices)?.checked_add(self.length))
                .filter(|&bound| bound <= Usage::MAX),
            splice,
        })
    }
}

/// A member whose place matters for the asking.
#[derive(Debug, Default)]
struct Placed {
    is_there: bool,
    is_true: bool,
    is_odd: bool,
    first: u8,
    start: usize,
    end: usize,
}

impl Placed {
    fn take(&mut self, found: &Found<'_, Tag>) {
        self.is_odd |= found.again;
        self.is_there = true;
        self.is_true = found.first == b't' && !self.is_odd;
        self.first = found.first;
        self.start = found.value_start;
        self.end = found.value_end;
    }
}

/// What is noted while the body is scanned.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a note of its own, in any combination"
)]
struct Notes {
    is_object: bool,
    model: Option<Box<str>>,
    stream: Placed,
    stream_options: Placed,
    include_usage: Placed,
    has_other_option: bool,
    service_tier: Option<Box<str>>,
    hosted_tool: bool,
    choices: u64,
    prompts: u64,
    most_output: Option<u64>,
    is_unbounded: bool,
    /// Of the tool, part or item under way: its type was one that adds nothing unseen.
    tool_is_plain: bool,
    part_is_plain: bool,
    item_is_plain: bool,
    item_has_type: bool,
    item_has_role: bool,
}

impl Notes {
    fn take(&mut self, found: &Found<'_, Tag>) {
        // A member that stands there twice says nothing.
        let raw = found.whole().filter(|_| !found.again);
        let word = raw.and_then(plain);
        match found.tag {
            Tag::Body => self.is_object = found.first == b'{',
            Tag::Model => self.model = raw.and_then(short_text),
            Tag::ServiceTier => self.service_tier = raw.and_then(short_text),
            Tag::Stream => self.stream.take(found),
            Tag::StreamOptions => self.stream_options.take(found),
            Tag::IncludeUsage => self.include_usage.take(found),
            Tag::OtherOption => self.has_other_option = true,
            Tag::Choices => self.choices = self.choices.max(self.count(found).unwrap_or_default()),
            Tag::Prompt => self.prompts += u64::from(matches!(found.first, b'"' | b'[')),
            Tag::MostOutput => self.most_output = self.most_output.max(self.count(found)),
            Tag::Unbounded => self.is_unbounded |= !found.is_null(),
            Tag::TakesTurns => {
                self.is_unbounded |= !found.is_null();
                self.hosted_tool |= !found.is_null();
            }
            Tag::ToolType => {
                self.tool_is_plain = matches!(word, Some("function" | "custom"));
                self.hosted_tool |= word.is_some_and(is_hosted_tool);
            }
            Tag::Tool => self.is_unbounded |= !std::mem::take(&mut self.tool_is_plain),
            Tag::PartType => {
                self.part_is_plain = matches!(
                    word,
                    Some("text" | "input_text" | "output_text" | "refusal")
                );
            }
            Tag::Part => self.is_unbounded |= !std::mem::take(&mut self.part_is_plain),
            Tag::ItemType => {
                self.item_has_type = true;
                self.item_is_plain = matches!(
                    word,
                    Some(
                        "message"
                            | "function_call"
                            | "function_call_output"
                            | "custom_tool_call"
                            | "custom_tool_call_output"
                    )
                );
            }
            Tag::ItemRole => self.item_has_role = true,
            Tag::Item => {
                // Without a type it is a message, or, with an id alone, an item stored before.
                let has_type = std::mem::take(&mut self.item_has_type);
                let has_role = std::mem::take(&mut self.item_has_role);
                let is_plain = std::mem::take(&mut self.item_is_plain);
                self.is_unbounded |= if has_type { !is_plain } else { !has_role };
            }
        }
    }

    /// A count; null says nothing, and anything else that is no count leaves all unbounded.
    fn count(&mut self, found: &Found<'_, Tag>) -> Option<u64> {
        let count = found
            .whole()
            .filter(|_| !found.again)
            .and_then(integer)
            .filter(|&count| count <= Usage::MAX);
        self.is_unbounded |= count.is_none() && !found.is_null();
        count
    }

    /// Whether usage is asked for, and the edit that asks.
    fn asking(&self, endpoint: Metered) -> (UsageAsked, Option<Splice>) {
        let Self {
            stream,
            stream_options: options,
            include_usage: include,
            ..
        } = self;
        if stream.is_odd || stream.is_there && !matches!(stream.first, b't' | b'f' | b'n') {
            return (UsageAsked::Odd, None);
        }
        if !stream.is_true {
            return (UsageAsked::NotAStream, None);
        }
        if !matches!(endpoint, Metered::ChatCompletions | Metered::Completions) {
            return (UsageAsked::Asked, None);
        }
        if options.is_odd || include.is_odd {
            return (UsageAsked::Odd, None);
        }
        let (at, text) = match (options.is_there, options.first) {
            (false, _) => (
                stream.end..stream.end,
                r#","stream_options":{"include_usage":true}"#,
            ),
            (true, b'n') => (options.start..options.end, r#"{"include_usage":true}"#),
            (true, b'{') => match (include.is_there, include.first) {
                (true, b't') => return (UsageAsked::Asked, None),
                (true, b'f') => (include.start..include.end, "true"),
                (true, _) => return (UsageAsked::Odd, None),
                (false, _) => {
                    let inside = options.start + 1;
                    let text = if self.has_other_option {
                        r#""include_usage":true,"#
                    } else {
                        r#""include_usage":true"#
                    };
                    (inside..inside, text)
                }
            },
            (true, _) => return (UsageAsked::Odd, None),
        };
        (UsageAsked::NotAsked, Some(Splice { at, text }))
    }
}

/// Whether OpenAI itself runs tools of this type. Functions, custom tools, namespaces of them,
/// computers, local shells and patches are run by the client.
pub(crate) fn is_hosted_tool(name: &str) -> bool {
    !matches!(
        name,
        "function"
            | "custom"
            | "namespace"
            | "computer"
            | "computer_use_preview"
            | "local_shell"
            | "apply_patch"
    )
}

#[cfg(test)]
mod tests;
