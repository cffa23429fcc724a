//! Data frames taken from a body, put together.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http_body::Frame;

/// All data in one piece; a single frame is not copied.
pub(crate) fn join(mut frames: VecDeque<Frame<Bytes>>) -> Bytes {
    if frames.len() == 1 {
        let only = frames.pop_front().and_then(|frame| frame.into_data().ok());
        return only.unwrap_or_default();
    }
    let mut bytes = BytesMut::with_capacity(length(&frames));
    for frame in &frames {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], Bytes::as_ref));
    }
    bytes.freeze()
}

/// Bytes of data in these frames.
pub(crate) fn length(frames: &VecDeque<Frame<Bytes>>) -> usize {
    frames
        .iter()
        .filter_map(Frame::data_ref)
        .map(Bytes::len)
        .sum()
}
