//! The few fields of a multipart form that matter. It must not know what endpoint it was sent to,
//! and never looks into a file.

use memchr::memmem;

use crate::json_text::MOST_TEXT_BYTES;

/// Most parts of a form that are looked at.
const MOST_PARTS: usize = 256;
/// Most bytes of one part's head.
const MOST_HEAD_BYTES: usize = 4096;

/// What a form says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Its `model`, if there is one.
    pub(crate) model: Option<Box<str>>,
    /// Its `stream` is `true`.
    pub(crate) is_stream: bool,
}

impl Fields {
    /// Reads a whole form. Its boundary is the first line that is not empty: the header that names it is not needed.
    pub(crate) fn read(body: &[u8]) -> Self {
        let body = body.trim_ascii_start();
        let mut fields = Self::default();
        let Some(first_line) = memmem::find(body, b"\r\n") else {
            return fields;
        };
        let mut delimiter = b"\r\n".to_vec();
        delimiter.extend_from_slice(body.get(..first_line).unwrap_or_default());
        let finder = memmem::Finder::new(&delimiter);
        let mut rest = body.get(first_line..).unwrap_or_default();
        let mut models = 0;
        for _ in 0..MOST_PARTS {
            let Some(end) = finder.find(rest) else {
                break;
            };
            let (part, after) = rest.split_at_checked(end).unwrap_or_default();
            match field(part) {
                Some(("model", value)) => {
                    models += 1;
                    fields.model = (models == 1 && (1..=MOST_TEXT_BYTES).contains(&value.len()))
                        .then(|| value.into());
                }
                Some(("stream", value)) => fields.is_stream = value == "true",
                _ => {}
            }
            rest = after.get(delimiter.len()..).unwrap_or_default();
        }
        fields
    }
}

/// The name and text of a part that is no file. A part begins with the end of the boundary's
/// line.
fn field(part: &[u8]) -> Option<(&str, &str)> {
    let head_end = memmem::find(part.get(..part.len().min(MOST_HEAD_BYTES))?, b"\r\n\r\n")?;
    let head = std::str::from_utf8(part.get(..head_end)?).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    let parameter = |wanted: &str| {
        disposition.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim().trim_matches('"'))
        })
    };
    if parameter("filename").is_some() {
        return None;
    }
    let text = std::str::from_utf8(part.get(head_end + 4..)?).ok()?;
    Some((parameter("name")?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
        Content-Type: audio/wav\r\n\r\nRIFF\r\n--y\r\nmodel\0\r\n--x\r\n\
        content-disposition: form-data; name=\"model\"\r\n\r\ngpt-4o-transcribe\r\n--x\r\n\
        Content-Disposition: form-data; name=stream\r\n\r\ntrue\r\n--x--\r\n";

    #[test]
    fn model_and_stream_are_found_after_the_file() {
        let fields = Fields::read(FORM.as_bytes());
        assert_eq!(fields.model.as_deref(), Some("gpt-4o-transcribe"));
        assert!(fields.is_stream);
    }

    #[test]
    fn a_field_in_a_file_or_twice_is_not_believed() {
        let spoof = FORM.replace("RIFF", "\r\nname=\"model\"\r\n\r\nspoof");
        let fields = Fields::read(spoof.as_bytes());
        assert_eq!(fields.model.as_deref(), Some("gpt-4o-transcribe"));
        let twice = FORM.replace("name=stream", "name=model");
        assert_eq!(Fields::read(twice.as_bytes()), Fields::default());
        let long = FORM.replace("gpt-4o-transcribe", &"m".repeat(257));
        assert_eq!(Fields::read(long.as_bytes()).model, None);
    }

    #[test]
    fn every_cut_of_a_form_is_read_without_harm() {
        for end in 0..FORM.len() {
            let fields = Fields::read(&FORM.as_bytes()[..end]);
            assert!(
                fields
                    .model
                    .is_none_or(|model| &*model == "gpt-4o-transcribe")
            );
        }
    }
}
