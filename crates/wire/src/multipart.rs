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
    /// Reads a form, or what is at hand of its beginning; none where no line begins one. Its boundary is the first line
    /// that begins with `--`: the header that names it is not needed. The end of one that `is_whole` ends its last part,
    /// too.
    pub(crate) fn read(body: &[u8], is_whole: bool) -> Option<Self> {
        let body = body.get(first_delimiter(body)?..)?;
        let mut fields = Self::default();
        let Some(first_line) = memmem::find(body, b"\r\n") else {
            return Some(fields);
        };
        let mut delimiter = b"\r\n".to_vec();
        delimiter.extend_from_slice(body.get(..first_line).unwrap_or_default());
        let finder = memmem::Finder::new(&delimiter);
        let mut rest = body.get(first_line..).unwrap_or_default();
        let mut models = 0;
        for _ in 0..MOST_PARTS {
            let end = finder.find(rest);
            let part = match end {
                Some(end) => rest.get(..end).unwrap_or_default(),
                // Behind the last delimiter stands no part.
                None if is_whole && !rest.starts_with(b"--") => {
                    rest.strip_suffix(b"\r\n").unwrap_or(rest)
                }
                None => break,
            };
            match field(part) {
                // The delimiter itself may have been cut.
                Some((_, value)) if end.is_none() && value.contains('\r') => {}
                Some(("model", value)) => {
                    models += 1;
                    fields.model = (models == 1 && (1..=MOST_TEXT_BYTES).contains(&value.len()))
                        .then(|| value.into());
                }
                Some(("stream", value)) => fields.is_stream = value == "true",
                _ => {}
            }
            let Some(end) = end else {
                break;
            };
            rest = rest.get(end + delimiter.len()..).unwrap_or_default();
        }
        Some(fields)
    }
}

/// Where the first delimiter stands. What stands before it is no part (RFC 2046, 5.1.1).
fn first_delimiter(body: &[u8]) -> Option<usize> {
    let blank = body.len() - body.trim_ascii_start().len();
    if body.get(blank..)?.starts_with(b"--") {
        return Some(blank);
    }
    Some(memmem::find(body, b"\r\n--")? + 2)
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
        let fields = Fields::read(FORM.as_bytes(), true).unwrap();
        assert_eq!(fields.model.as_deref(), Some("gpt-4o-transcribe"));
        assert!(fields.is_stream);
    }

    #[test]
    fn a_field_in_a_file_or_twice_is_not_believed() {
        let spoof = FORM.replace("RIFF", "\r\nname=\"model\"\r\n\r\nspoof");
        let fields = Fields::read(spoof.as_bytes(), true).unwrap();
        assert_eq!(fields.model.as_deref(), Some("gpt-4o-transcribe"));
        let twice = FORM.replace("name=stream", "name=model");
        assert_eq!(
            Fields::read(twice.as_bytes(), true),
            Some(Fields::default())
        );
        let long = FORM.replace("gpt-4o-transcribe", &"m".repeat(257));
        assert_eq!(Fields::read(long.as_bytes(), true).unwrap().model, None);
    }

    #[test]
    fn a_form_may_begin_before_its_first_line_and_end_before_its_last() {
        let preamble = format!("This is a form.\r\n\r\n{FORM}");
        let fields = Fields::read(preamble.as_bytes(), true).unwrap();
        assert_eq!(fields.model.as_deref(), Some("gpt-4o-transcribe"));
        let open = FORM.strip_suffix("\r\n--x--\r\n").unwrap();
        let fields = Fields::read(open.as_bytes(), true).unwrap();
        assert_eq!(fields.model.as_deref(), Some("gpt-4o-transcribe"));
        assert!(fields.is_stream);
    }

    #[test]
    fn every_cut_of_a_form_is_read_without_harm() {
        for end in 3..FORM.len() {
            let cut = &FORM.as_bytes()[..end];
            let model = |is_whole| Fields::read(cut, is_whole).unwrap().model;
            assert!(model(false).is_none_or(|model| &*model == "gpt-4o-transcribe"));
            // What its sender calls whole is taken at its word, as far as it is one.
            assert!(model(true).is_none_or(|model| "gpt-4o-transcribe".starts_with(&*model)));
        }
    }
}
