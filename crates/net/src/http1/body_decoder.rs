//! What is left of a body that is read over HTTP/1.1, of a request or of an answer. It must not know sockets.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::SizeHint;

use super::chunked_decoder::{self, ChunkError, ChunkedDecoder};
use super::head::Framing;

/// What is left of a body.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    Nothing,
    /// So many bytes; at least one.
    Length(u64),
    Chunked(ChunkedDecoder),
    /// All until the connection ends.
    UntilClose,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Data; never empty.
    Data(Bytes),
    /// The body is over, with these trailers; what follows is none of it.
    End(HeaderMap),
    /// Nothing can be said before more bytes come.
    More,
}

impl BodyDecoder {
    /// All of a body that is framed like this.
    pub(crate) fn of(framing: Framing) -> Self {
        match framing {
            Framing::Nothing => Self::Nothing,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(ChunkedDecoder::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Takes the next of it out of what was read.
    ///
    /// # Errors
    /// [`ChunkError`]; nothing more can be said of what follows.
    pub(crate) fn step(&mut self, unread: &mut BytesMut) -> Result<Step, ChunkError> {
        let step = match self {
            Self::Nothing => Step::End(HeaderMap::new()),
            Self::Chunked(chunks) => chunks.step(unread)?,
            Self::Length(_) | Self::UntilClose if unread.is_empty() => Step::More,
            Self::Length(left) => Step::Data(chunked_decoder::take(unread, left)),
            Self::UntilClose => Step::Data(unread.split().freeze()),
        };
        if matches!(self, Self::Length(0)) || matches!(step, Step::End(_)) {
            *self = Self::Nothing;
        }
        Ok(step)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(_) | Self::UntilClose => SizeHint::default(),
        }
    }
}
