//! Every shape as a fixture: read whole, cut at every byte, truncated at every byte, encoded.

mod cases;
mod hostile;

use std::io::Write;

use cases::{Case, json_cases, stream_cases};

use super::*;

fn cases() -> Vec<Case> {
    let mut cases = json_cases();
    cases.extend(stream_cases());
    cases
}

fn read(endpoint: Metered, form: Form, codings: &[Coding], pieces: &[&[u8]], how: End) -> Reading {
    let mut reader = ResponseReader::new(endpoint, form, codings);
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish(how)
}

/// A reading without the count of bytes, which depends on where a stream is cut.
fn parts(reading: Reading) -> (Result<Usage, Reason>, Seen) {
    let (outcome, seen) = match reading {
        Reading::Reported(Reported { usage, seen }) => (Ok(usage), seen),
        Reading::Missing(Missing { why, seen }) => (Err(why), seen),
    };
    (
        outcome,
        Seen {
            text_bytes: 0,
            ..seen
        },
    )
}

#[test]
fn every_shape_is_read_whole() {
    for (endpoint, form, body, expected) in cases() {
        let (outcome, seen) = parts(read(endpoint, form, &[], &[body], End::Complete));
        assert_eq!(
            outcome,
            expected.outcome,
            "{endpoint} {}",
            body.escape_ascii()
        );
        assert_eq!(seen, expected.seen, "{endpoint}");
    }
}

#[test]
fn every_shape_is_read_at_every_cut() {
    for (endpoint, form, body, expected) in cases() {
        for cut in 0..=body.len() {
            let (first, second) = body.split_at(cut);
            let (outcome, seen) = parts(read(endpoint, form, &[], &[first, second], End::Complete));
            assert_eq!(outcome, expected.outcome, "{endpoint} cut at {cut}");
            assert_eq!(seen, expected.seen, "{endpoint} cut at {cut}");
        }
        for size in [1, 2, 3, 7] {
            let pieces: Vec<&[u8]> = body.chunks(size).collect();
            let (outcome, seen) = parts(read(endpoint, form, &[], &pieces, End::Complete));
            assert_eq!((outcome, seen), (expected.outcome, expected.seen.clone()));
        }
    }
}

#[test]
fn streams_come_event_by_event() {
    // As they really come: each push is whole events, which is what may pass unread.
    for (endpoint, form, body, expected) in stream_cases() {
        let text = std::str::from_utf8(body).unwrap();
        let pieces: Vec<&[u8]> = text
            .split_inclusive("\n\n")
            .flat_map(|events| events.split_inclusive("\r\n\r\n"))
            .map(str::as_bytes)
            .collect();
        let (outcome, seen) = parts(read(endpoint, form, &[], &pieces, End::Complete));
        assert_eq!(outcome, expected.outcome, "{endpoint}");
        assert_eq!(seen, expected.seen, "{endpoint}");
    }
}

#[test]
fn truncation_never_books_wrong() {
    for (endpoint, form, body, expected) in cases() {
        for end in 0..body.len() {
            for how in [End::Complete, End::ClientGone, End::UpstreamFailed] {
                let cut = &body[..end];
                let (outcome, _) = parts(read(endpoint, form, &[], &[cut], how));
                match outcome {
                    Ok(usage) => assert_eq!(Ok(usage), expected.outcome, "{endpoint} {end}"),
                    Err(why) => assert!(
                        match how {
                            End::Complete => true,
                            End::ClientGone =>
                                matches!(why, Reason::ClientGone) || expected.outcome == Err(why),
                            End::UpstreamFailed =>
                                matches!(why, Reason::UpstreamBroke) || expected.outcome == Err(why),
                        },
                        "{endpoint} {end} {how:?} {why:?}"
                    ),
                }
                // A JSON answer is whole or it is nothing.
                if form == Form::Json && end + 2 < body.len() {
                    assert!(outcome.is_err());
                }
            }
        }
    }
}

fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Identity => body.to_vec(),
        Coding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        Coding::Deflate => {
            let mut writer =
                flate2::write::ZlibEncoder::new(vec![], flate2::Compression::default());
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        Coding::Brotli => {
            let mut out = vec![];
            brotli::CompressorWriter::new(&mut out, 4096, 5, 22)
                .write_all(body)
                .unwrap();
            out
        }
        Coding::Zstd => zstd::encode_all(body, 3).unwrap(),
    }
}

#[test]
fn every_shape_is_read_through_every_coding() {
    const EVERY: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
    for (endpoint, form, body, expected) in cases() {
        for coding in EVERY {
            let wrapped = encoded(coding, body);
            for size in [1, 5, 100, wrapped.len()] {
                let pieces: Vec<&[u8]> = wrapped.chunks(size).collect();
                let (outcome, seen) =
                    parts(read(endpoint, form, &[coding], &pieces, End::Complete));
                assert_eq!(outcome, expected.outcome, "{endpoint} {coding:?} {size}");
                assert_eq!(seen, expected.seen, "{endpoint} {coding:?} {size}");
            }
            let stacked = encoded(Coding::Gzip, &wrapped);
            let codings = [coding, Coding::Gzip];
            let (outcome, _) = parts(read(endpoint, form, &codings, &[&stacked], End::Complete));
            assert_eq!(outcome, expected.outcome, "{endpoint} {coding:?} in gzip");
            for end in (0..wrapped.len()).step_by(7) {
                let cut = &wrapped[..end];
                let (outcome, _) = parts(read(endpoint, form, &[coding], &[cut], End::Complete));
                assert!(outcome.is_err() || outcome == expected.outcome);
            }
        }
    }
}

#[test]
fn a_body_is_what_its_first_byte_says() {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    for (endpoint, told, body, expected) in cases() {
        let other = match told {
            Form::Json => Form::EventStream,
            Form::EventStream | Form::Other => Form::Json,
        };
        for (form, before) in [
            (other, &b""[..]),
            (other, b"\r\n\n"),
            (other, MARK),
            (told, MARK),
        ] {
            let body = [before, body].concat();
            for cut in 0..body.len().min(20) {
                let (first, second) = body.split_at(cut);
                let pieces = [first, second];
                let (outcome, seen) = parts(read(endpoint, form, &[], &pieces, End::Complete));
                let what = format!("{endpoint} {form:?} {cut} {}", before.escape_ascii());
                assert_eq!(outcome, expected.outcome, "{what}");
                assert_eq!(seen, expected.seen, "{what}");
            }
        }
    }
}

#[test]
fn bytes_behind_a_coding_hide_nothing_that_stood_in_it() {
    for (endpoint, form, body, expected) in cases() {
        let mut plain = ResponseReader::new(endpoint, form, &[]);
        plain.push(body);
        if !plain.ended() {
            continue;
        }
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let wrapped = encoded(coding, body);
            let whole = [&wrapped[..], &[0; 64]].concat();
            for pieces in [&[&whole[..]][..], &[&wrapped, &[0; 64]]] {
                let (outcome, seen) = parts(read(endpoint, form, &[coding], pieces, End::Complete));
                assert_eq!(outcome, expected.outcome, "{endpoint} {coding:?}");
                assert_eq!(seen, expected.seen, "{endpoint} {coding:?}");
            }
        }
    }
}

#[test]
fn a_stream_tells_its_own_end() {
    for (endpoint, form, body, _) in stream_cases() {
        let mut reader = ResponseReader::new(endpoint, form, &[]);
        let before_end = body.len() - 3;
        reader.push(&body[..before_end]);
        // A run's end is told by its own event, before the last line.
        assert_eq!(reader.ended(), endpoint == Metered::ThreadRuns);
        reader.push(&body[before_end..]);
        let has_end = !std::str::from_utf8(body).unwrap().contains("had an error");
        assert_eq!(reader.ended(), has_end, "{endpoint}");
    }
}

#[test]
fn a_bomb_ends_unreadable() {
    let zeros = vec![b' '; 8 * 1024 * 1024];
    let bomb = encoded(Coding::Gzip, &zeros);
    let mut reader = ResponseReader::new(Metered::Responses, Form::Json, &[Coding::Gzip]);
    reader.push(&bomb);
    assert!(reader.seen().text_bytes < 4 * 1024 * 1024);
    assert_eq!(
        parts(reader.finish(End::Complete)).0,
        Err(Reason::UnreadableBody)
    );
}
