//! Every coding at every cut, truncated, broken, and over its budget.

use super::*;
use crate::decoders::Decoders;
use crate::{DECODE_STEP_BYTES, RequestDecoder};

const TEXT: &[u8] = b"data: {\"usage\":null}\n\ndata: {\"usage\":{\"total_tokens\":12345}}\n\n";
const EVERY: [Coding; 5] = [
    Coding::Identity,
    Coding::Gzip,
    Coding::Deflate,
    Coding::Brotli,
    Coding::Zstd,
];

fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::best();
    match coding {
        Coding::Identity => body.to_vec(),
        Coding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(vec![], level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        Coding::Deflate => {
            let mut writer = flate2::write::ZlibEncoder::new(vec![], level);
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

fn whole(codings: &[Coding], body: &[u8], most_bytes: u64) -> Result<Vec<u8>, DecodeError> {
    let mut whole = RequestDecoder::new(codings, most_bytes);
    for step in body.chunks(DECODE_STEP_BYTES) {
        whole.push(step)?;
    }
    whole.finish()
}

fn decoded(coding: Coding, pieces: &[&[u8]]) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(coding, MOST_DECODED_BYTES);
    let mut out = vec![];
    for piece in pieces {
        decoder.push(piece, &mut out)?;
    }
    decoder.finish(&mut out)?;
    Ok(out)
}

#[test]
fn every_coding_is_undone_at_every_cut() {
    for coding in EVERY {
        let bytes = encoded(coding, TEXT);
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(
                decoded(coding, &[first, second]).unwrap(),
                TEXT,
                "{coding:?}"
            );
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decoded(coding, &single).unwrap(), TEXT, "{coding:?}");
        if coding != Coding::Identity {
            for end in 0..bytes.len() {
                let cut = decoded(coding, &[&bytes[..end]]);
                assert!(
                    matches!(cut, Err(DecodeError::Truncated)),
                    "{coding:?} {end}"
                );
            }
        }
    }
}

#[test]
fn what_is_decoded_is_seen_before_the_end() {
    // A server flushes its coding after each event; the event must not wait for the next.
    let mut writer = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    writer.write_all(TEXT).unwrap();
    writer.flush().unwrap();
    let mut decoder = Decoder::new(Coding::Gzip, MOST_DECODED_BYTES);
    let mut out = vec![];
    decoder.push(writer.get_ref(), &mut out).unwrap();
    assert_eq!(out, TEXT);
    let mut writer = zstd::stream::write::Encoder::new(vec![], 3).unwrap();
    writer.write_all(TEXT).unwrap();
    writer.flush().unwrap();
    let mut decoder = Decoder::new(Coding::Zstd, MOST_DECODED_BYTES);
    let mut out = vec![];
    decoder.push(writer.get_ref(), &mut out).unwrap();
    assert_eq!(out, TEXT);
}

#[test]
fn deflate_may_be_raw_and_gzip_and_zstd_may_go_on() {
    let mut raw = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::default());
    raw.write_all(TEXT).unwrap();
    let raw = raw.finish().unwrap();
    let single: Vec<&[u8]> = raw.chunks(1).collect();
    assert_eq!(decoded(Coding::Deflate, &[&raw]).unwrap(), TEXT);
    assert_eq!(decoded(Coding::Deflate, &single).unwrap(), TEXT);
    for coding in [Coding::Gzip, Coding::Zstd] {
        let twice = [encoded(coding, TEXT), encoded(coding, TEXT)].concat();
        assert_eq!(decoded(coding, &[&twice]).unwrap(), [TEXT, TEXT].concat());
    }
}

#[test]
fn what_stood_before_a_fault_is_given() {
    for coding in EVERY.into_iter().skip(1) {
        let bytes = [&encoded(coding, TEXT)[..], &[0; 64]].concat();
        let mut out = vec![];
        let pushed = Decoder::new(coding, MOST_DECODED_BYTES).push(&bytes, &mut out);
        assert!(pushed.is_err(), "{coding:?}");
        assert_eq!(out, TEXT, "{coding:?}");
        let mut passed = vec![];
        let pushed = Decoders::new(&[coding]).push(&bytes, |bytes| passed.extend_from_slice(bytes));
        assert!(pushed.is_err(), "{coding:?}");
        assert_eq!(passed, TEXT, "{coding:?}");
    }
}

#[test]
fn broken_bytes_are_told() {
    for coding in EVERY.into_iter().skip(1) {
        assert!(decoded(coding, &[b"\xffno such coding, no such coding"]).is_err());
        let mut trailing = encoded(coding, TEXT);
        trailing.extend_from_slice(b"trailing bytes");
        assert!(decoded(coding, &[&trailing]).is_err(), "{coding:?}");
        let mut decoder = Decoder::new(coding, MOST_DECODED_BYTES);
        let mut out = vec![];
        assert!(decoder.push(&trailing, &mut out).is_err());
        assert!(decoder.push(TEXT, &mut out).is_err(), "an error stays");
    }
}

#[test]
fn budgets_hold() {
    let bomb = vec![b'x'; 4 * 1024 * 1024];
    for coding in EVERY.into_iter().skip(1) {
        let bytes = encoded(coding, &bomb);
        let mut decoder = Decoder::new(coding, MOST_DECODED_BYTES);
        let mut out = vec![];
        let told = bytes
            .chunks(512)
            .find_map(|piece| decoder.push(piece, &mut out).err());
        assert!(
            matches!(told, Some(DecodeError::OverBudget)),
            "{coding:?} {told:?}"
        );
        assert!(out.len() as u64 <= FREE_DECODED_BYTES + 100 * bytes.len() as u64);
        let limited = whole(&[coding], &encoded(coding, TEXT), TEXT.len() as u64 - 1);
        assert!(
            matches!(limited, Err(DecodeError::OverBudget)),
            "{coding:?}"
        );
        let enough = whole(&[coding], &encoded(coding, TEXT), TEXT.len() as u64);
        assert_eq!(enough.unwrap(), TEXT);
    }
    // A body that repeats itself is no bomb.
    let spaces = vec![b' '; 500_000];
    assert_eq!(
        decoded(Coding::Gzip, &[&encoded(Coding::Gzip, &spaces)]).unwrap(),
        spaces
    );
}

/// A member of nothing is 20 bytes, and to begin one costs as much as to decode thousands.
#[test]
fn gzip_members_cost_what_beginning_them_costs() {
    let pushed = |member: &[u8], times| {
        let mut decoder = Decoder::new(Coding::Gzip, MOST_DECODED_BYTES);
        decoder.push(&member.repeat(times), &mut Vec::new())
    };
    let nothing = encoded(Coding::Gzip, b"");
    let told = pushed(&nothing, 1_000);
    assert!(matches!(told, Err(DecodeError::OverBudget)), "{told:?}");
    assert!(pushed(&nothing, 50).is_ok());
    let noise: Vec<u8> = (0..40_000_u32)
        .map(|n| n.wrapping_mul(0x9e37_79b1).to_be_bytes()[1])
        .collect();
    assert!(pushed(&encoded(Coding::Gzip, &noise), 200).is_ok());
}

/// Deflate without end that decodes to nothing: eight blocks, each with tables of its own (RFC 1951, 3.2.7) and no byte.
fn empty_blocks() -> Vec<u8> {
    let mut bits = String::new();
    let mut put = |value: u32, count: usize| {
        let lowest_first = format!("{value:0count$b}");
        bits.extend(lowest_first.chars().rev());
    };
    for _ in 0..8 {
        // Not the last block; one with tables; 257 literals, one distance, 18 lengths of codes.
        for (value, count) in [(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)] {
            put(value, count);
        }
        // Codes of one bit for "138 zeros at most" (the third) and for "one bit" (the last).
        (0..18).for_each(|place| put(u32::from(matches!(place, 2 | 17)), 3));
        // 138 and 118 zeros, the end of the block, the distance; then the end itself.
        for (value, count) in [(1, 1), (127, 7), (1, 1), (107, 7), (0, 1), (0, 1), (0, 1)] {
            put(value, count);
        }
    }
    let bits = bits.as_bytes();
    let byte = |bits: &[u8]| (0..8).fold(0, |byte, at| byte | (bits[at] - b'0') << at);
    bits.chunks(8).map(byte).collect()
}

#[test]
fn work_that_gives_nothing_is_no_way_around_the_budget() {
    let bomb = empty_blocks().repeat(100_000);
    let mut body = RequestDecoder::new(&[Coding::Deflate], MOST_DECODED_BYTES);
    let mut taken = 0;
    let refused = bomb.chunks(DECODE_STEP_BYTES).find_map(|step| {
        taken += step.len();
        body.push(step).err()
    });
    assert!(
        matches!(refused, Some(DecodeError::OverBudget)),
        "{refused:?} after {taken} of {}",
        bomb.len()
    );
    // Honest bodies take much less than they may.
    let numbers = (0..200_000_u32).map(|n| n.wrapping_mul(0x9e37_79b1).to_string());
    let text = numbers.collect::<Vec<_>>().join(",").into_bytes();
    for coding in EVERY.into_iter().skip(1) {
        let body = encoded(coding, &text);
        assert_eq!(whole(&[coding], &body, MOST_DECODED_BYTES).unwrap(), text);
    }
}

#[test]
fn headers_name_codings_in_the_order_applied() {
    for (values, expected) in [
        (&[][..], Some(&[][..])),
        (&[""], Some(&[])),
        (&["identity"], Some(&[])),
        (&["gzip"], Some(&[Coding::Gzip])),
        (&[" GZip , br"], Some(&[Coding::Gzip, Coding::Brotli])),
        (
            &["x-gzip", "zstd,,deflate"],
            Some(&[Coding::Gzip, Coding::Zstd, Coding::Deflate]),
        ),
        (&["gzip, unknown"], None),
        (&["gzip;q=1"], None),
        (&["gzip,gzip,gzip,gzip,gzip"], None),
    ] {
        let codings = Coding::of(values.iter().copied());
        assert_eq!(codings.as_deref(), expected, "{values:?}");
    }
    let stacked = encoded(Coding::Brotli, &encoded(Coding::Gzip, TEXT));
    let codings = Coding::of(["gzip, br"]).unwrap();
    assert_eq!(whole(&codings, &stacked, 1000).unwrap(), TEXT);
}
