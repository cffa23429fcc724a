//! Asks for usage in a request that did not: one insertion or replacement, every other byte as
//! it came. It must not know why usage is wanted.

use std::ops::Range;

use crate::{BYTE_ORDER_MARK, RequestFacts, UsageAsked};

/// One edit: `text` in the place of the bytes `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Splice {
    pub(crate) at: Range<usize>,
    pub(crate) text: &'static str,
}

/// The body with `stream_options.include_usage` true, or `None` where it is not to be asked
/// ([`UsageAsked::NotAsked`] is the only case that is). `body` is the one `facts` were read from.
#[must_use]
pub fn ask_for_usage(body: &[u8], facts: &RequestFacts) -> Option<Vec<u8>> {
    // Behind a byte-order mark it is JSON only to a lenient reader: OpenAI gets what its client wrote.
    if facts.usage_asked != UsageAsked::NotAsked || body.starts_with(&BYTE_ORDER_MARK) {
        return None;
    }
    let Splice { at, text } = facts.splice.as_ref()?;
    let mut asked = Vec::with_capacity(body.len() + text.len());
    asked.extend_from_slice(body.get(..at.start)?);
    asked.extend_from_slice(text.as_bytes());
    asked.extend_from_slice(body.get(at.end..)?);
    Some(asked)
}
