//! The final tags of a stream as a comment in its last event: for those who asked for it and cannot look a call up.
//! Knows nothing of what the event says.

use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::tags::Tags;

/// Puts the tags before the blank line that ends the last event: never an event of their own, which some clients would
/// take for an empty one. Bytes that end otherwise stay as they are.
pub(crate) fn glued(last: Bytes, tags: &Tags) -> Bytes {
    let line_end: &[u8] = if last.ends_with(b"\r\n\r\n") {
        b"\r\n"
    } else if last.ends_with(b"\n\n") {
        b"\n"
    } else {
        return last;
    };
    let Ok(text) = serde_json::to_vec(&Shown(tags)) else {
        return last;
    };
    let event = last.strip_suffix(line_end).unwrap_or_default();
    Bytes::from([event, b": x-tollfree ", &text, line_end, line_end].concat())
}

/// The tags, named as in the look-up.
struct Shown<'t>(&'t Tags);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.serialize_into(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_id::CallId;
    use meter::{Reason, Verdict};

    fn glued_to(last: &'static [u8]) -> String {
        let tags = Tags::bare(CallId::new().unwrap(), Verdict::Billed, Reason::ServiceTier);
        let call = tags.call.to_string();
        let bytes = glued(Bytes::from_static(last), &tags);
        String::from_utf8(bytes.to_vec())
            .unwrap()
            .replace(&call, "c")
    }

    const TAGS: &str = r#": x-tollfree {"call":"c","verdict":"billed","reason":"service-tier"}"#;

    #[test]
    fn the_comment_is_a_line_of_the_last_event() {
        assert_eq!(
            glued_to(b"data: {}\n\ndata: [DONE]\n\n"),
            format!("data: {{}}\n\ndata: [DONE]\n{TAGS}\n\n")
        );
        assert_eq!(
            glued_to(b"data: [DONE]\r\n\r\n"),
            format!("data: [DONE]\r\n{TAGS}\r\n\r\n")
        );
    }

    #[test]
    fn an_event_that_is_not_whole_is_left_alone() {
        assert_eq!(glued_to(b"data: [DONE]\n"), "data: [DONE]\n");
        assert_eq!(glued_to(b""), "");
    }
}
