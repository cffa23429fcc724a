//! Messages of HTTP/1.1 read from a connection, one behind the other, as the bytes come. It must not know how.

use bytes::BytesMut;
use http::HeaderMap;

use crate::body_decoder::{BodyDecoder, Step};
use crate::request_head::Limits;
use crate::{answer_head, request_head};

/// Small, so that heads come up against them.
const LIMITS: Limits = Limits {
    bytes: 512,
    headers: 8,
};

/// What was read of a connection: each head as text, its body, and its trailers; then whether all of it could be.
pub type Read = (Vec<(String, Vec<u8>, HeaderMap)>, bool);

/// The requests in these pieces.
pub fn requests<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let mut looked = 0;
    read(pieces, |bytes| {
        let head = request_head::take(bytes, &mut looked, LIMITS).map_err(drop)?;
        Ok(head.map(|head| (format!("{:?}", head.request), BodyDecoder::of(head.framing))))
    })
}

/// The answers in these pieces.
pub fn answers<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let mut looked = 0;
    read(pieces, |bytes| {
        let head = match bytes.is_empty() {
            true => None,
            false => answer_head::take(bytes, looked, false).map_err(drop)?,
        };
        looked = if head.is_some() { 0 } else { bytes.len() };
        Ok(head.map(|head| {
            (
                format!("{:?}", head.response),
                BodyDecoder::of(head.framing),
            )
        }))
    })
}

fn read<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    mut take: impl FnMut(&mut BytesMut) -> Result<Option<(String, BodyDecoder)>, ()>,
) -> Read {
    let (mut messages, mut bytes, mut left) = (Vec::new(), BytesMut::new(), BodyDecoder::Nothing);
    for piece in pieces {
        bytes.extend_from_slice(piece);
        loop {
            if left.is_nothing() {
                match take(&mut bytes) {
                    Ok(Some((head, body))) => {
                        messages.push((head, Vec::new(), HeaderMap::new()));
                        left = body;
                    }
                    Ok(None) => break,
                    Err(()) => return (messages, false),
                }
                continue;
            }
            let (_, body, trailers) = messages.last_mut().expect("a body has a head");
            match left.step(&mut bytes) {
                Ok(Step::Data(data)) => body.extend_from_slice(&data),
                Ok(Step::End(end)) => *trailers = end,
                Ok(Step::More) => break,
                Err(_) => return (messages, false),
            }
        }
    }
    (messages, true)
}
