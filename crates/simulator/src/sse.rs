//! Events of a stream, framed and padded as OpenAI does. Chat chunks are padded by `obfuscation` until
//! the line `data: {...}` is 7 bytes past a multiple of 16; deltas of the Responses API until their
//! delta and padding are a multiple of 16 characters. Knows nothing of what an event says.

use bytes::Bytes;

use crate::ids::Ids;
use crate::json::Node;

/// The end of a chat or completions stream.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// One event without a name.
pub(crate) fn data(node: &Node) -> Bytes {
    format!("data: {}\n\n", node.compact()).into()
}

/// One event with its name, as the Responses API sends them.
pub(crate) fn named(name: &str, node: &Node) -> Bytes {
    format!("event: {name}\ndata: {}\n\n", node.compact()).into()
}

/// The padding of all events of one stream; `None` where the client asked for none.
#[derive(Debug, Clone)]
pub(crate) struct Padding(Option<Ids>);

/// Padding is made in steps of this many bytes or characters.
const STEP: usize = 16;

/// Where a padded chat line ends in its step.
const LINE_END: usize = 7;

impl Padding {
    pub(crate) fn new(asked: Option<bool>, ids: &Ids) -> Self {
        Self((asked != Some(false)).then(|| ids.part(u64::MAX - 1)))
    }

    /// The letters of event number `at`; of two paddings of the same event the shorter begins the
    /// longer.
    fn letters(ids: &Ids, at: usize, length: usize) -> String {
        ids.part(at as u64).letters(length)
    }

    /// A chat chunk, padded by its last member.
    pub(crate) fn chunk(&self, at: usize, mut members: Vec<(&'static str, Node)>) -> Bytes {
        let Some(ids) = &self.0 else {
            return data(&Node::Object(members));
        };
        let bare = Node::Object(members.clone()).compact();
        let line = "data: ".len() + bare.len() + ",\"obfuscation\":\"\"".len();
        let length = (LINE_END + STEP - line % STEP) % STEP;
        members.push(("obfuscation", Self::letters(ids, at, length).into()));
        data(&Node::Object(members))
    }

    /// The member that pads a delta of the Responses API.
    pub(crate) fn of_delta(&self, at: usize, delta: &str) -> Option<(&'static str, Node)> {
        let ids = self.0.as_ref()?;
        let length = (STEP - delta.chars().count() % STEP) % STEP;
        Some(("obfuscation", Self::letters(ids, at, length).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::object_of;

    #[test]
    fn chat_lines_end_seven_past_sixteen() {
        let padding = Padding::new(None, &Ids::new(1));
        for length in 0..40 {
            let text = "“".repeat(length);
            let piece = padding.chunk(length, vec![("content", text.into())]);
            let line = piece.len() - "\n\n".len();
            assert_eq!(line % 16, 7, "{length}");
        }
    }

    #[test]
    fn deltas_are_padded_by_characters() {
        let padding = Padding::new(Some(true), &Ids::new(1));
        for (delta, length) in [("Red", 13), ("é", 15), ("", 0), ("sixteen letters!", 0)] {
            let node = object_of([padding.of_delta(0, delta)]).compact();
            assert_eq!(
                node.len(),
                r#"{"obfuscation":""}"#.len() + length,
                "{delta}"
            );
        }
    }

    #[test]
    fn padding_can_be_refused() {
        let padding = Padding::new(Some(false), &Ids::new(1));
        assert_eq!(padding.chunk(0, vec![]), "data: {}\n\n");
        assert_eq!(padding.of_delta(0, "x"), None);
    }
}
