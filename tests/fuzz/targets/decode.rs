//! A decoded copy never passes its limit, whatever the codings and the bytes.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u8, u32, &[u8])| {
    let limit = u64::from(input.1);
    if let Ok(decoded) = wire::decode_whole(&fuzz::codings(input.0), input.2, limit) {
        assert!(decoded.len() as u64 <= limit || fuzz::codings(input.0).is_empty());
    }
});
