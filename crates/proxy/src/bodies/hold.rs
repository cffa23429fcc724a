//! Holds a JSON answer back until it is whole, so that its head can carry its verdict: within limits of bytes
//! and time; past them it goes on like a stream. Knows nothing of what the answer says.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use net::UpstreamBody;
use wire::Form;

use super::answer_body::Broken;
use super::frames::{Deadline, Gathered};
use super::memory::Reservation;
use crate::settling::call_under_way::CallUnderWay;

/// How long and how large an answer may be to be held.
pub(crate) struct Patience {
    /// Bytes of this answer, as it came and decoded.
    pub(crate) most: usize,
    /// Bytes of all answers held together.
    pub(crate) most_together: usize,
    /// Time since upstream's head.
    pub(crate) time: Duration,
}

/// What came of it.
pub(crate) enum Held {
    /// The whole body; `sized` tells that upstream told its length beforehand.
    Whole { bytes: Bytes, sized: bool },
    /// It was too long, too slow, a stream, or broke off: what was taken, then the rest.
    Partial {
        early: VecDeque<Frame<Bytes>>,
        rest: UpstreamBody,
        broke: Option<Broken>,
    },
}

/// Takes the answer's body while `patience` lasts; `call` reads each frame once, now.
pub(crate) async fn hold(
    mut body: UpstreamBody,
    call: &mut CallUnderWay,
    reserved: &mut Reservation,
    patience: &Patience,
) -> Held {
    let mut early = Gathered::default();
    if body.size_hint().lower() > patience.most as u64 {
        return Held::Partial {
            early: early.into_frames(),
            rest: body,
            broke: None,
        };
    }
    let sized = body.size_hint().exact().is_some();
    let whole = |early: Gathered| Held::Whole {
        bytes: early.join(),
        sized,
    };
    let mut deadline = Deadline::of(patience.time);
    let broke = loop {
        let frame = match deadline.next(&mut body).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => break Some(Broken::Upstream(error)),
            Ok(None) => return whole(early),
            Err(_too_slow) => break None,
        };
        // Trailers end a body. None of OpenAI's answers has any.
        let Some(data) = frame.data_ref() else {
            return whole(early);
        };
        let bytes = data.len();
        call.read(data);
        let fits = call.form_seen() != Some(Form::EventStream)
            && early.length() + bytes <= patience.most
            && call.decoded_bytes() <= patience.most as u64
            && reserved.grow(bytes, patience.most_together);
        early.push(frame);
        if !fits {
            break None;
        }
        if body.is_end_stream() {
            return whole(early);
        }
    };
    Held::Partial {
        early: early.into_frames(),
        rest: body,
        broke,
    }
}
