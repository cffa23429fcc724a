//! Header lines that are written as they are. It must not know what they say.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::head;

/// Headers of an answer that nobody looks up again, as lines: they cost no place in a map. Found among its extensions,
/// they are written behind its other headers.
#[derive(Debug, Clone)]
pub struct Lines(BytesMut);

impl Lines {
    /// None yet, and room for so many bytes of them.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    /// Adds a line, with the value that `write` puts behind what is there. A value that could end its line is left out,
    /// and its line with it.
    pub fn add(&mut self, name: &HeaderName, write: impl FnOnce(&mut BytesMut)) {
        let before = self.0.len();
        head::put_name(&mut self.0, name);
        let begin = self.0.len();
        write(&mut self.0);
        let is_value = |value: &[u8]| (value.iter()).all(|byte| (b' '..=b'~').contains(byte));
        if self.0.get(begin..).is_some_and(is_value) {
            self.0.extend_from_slice(b"\r\n");
        } else {
            self.0.truncate(before);
        }
    }

    /// The lines, each with its end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as headers, for a protocol that has no lines.
    pub(crate) fn spread(self, headers: &mut HeaderMap) {
        let mut rest = self.0.freeze();
        while let Some(end) = memchr::memchr(b'\n', &rest) {
            let line = rest.split_to(end + 1);
            if let Some((name, value)) = header(&line) {
                headers.append(name, value);
            }
        }
    }
}

fn header(line: &Bytes) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr::memchr(b':', line)?;
    let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
    let value = line.slice_ref(line.get(colon + 1..)?.trim_ascii());
    Some((name, HeaderValue::from_maybe_shared(value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HeaderName = HeaderName::from_static("x-a");

    #[test]
    fn lines_are_headers_and_a_value_that_would_end_its_line_is_none() {
        let mut lines = Lines::with_capacity(0);
        for value in [
            "1",
            "a: b, c",
            "",
            "two\r\nx-evil: 1",
            "\n",
            "\0",
            "\u{fc}",
            "2",
        ] {
            lines.add(&A, |to| to.extend_from_slice(value.as_bytes()));
        }
        assert_eq!(
            lines.as_bytes(),
            b"x-a: 1\r\nx-a: a: b, c\r\nx-a: \r\nx-a: 2\r\n"
        );
        let mut headers = HeaderMap::new();
        lines.spread(&mut headers);
        let values: Vec<_> = headers.get_all(A).iter().collect();
        assert_eq!(values, ["1", "a: b, c", "", "2"]);
        assert_eq!(headers.len(), values.len());
    }
}
