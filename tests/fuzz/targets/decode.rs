//! A decoded copy never passes its limit, whatever the codings and the bytes.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u8, u32, &[u8])| {
    let (codings, limit) = (fuzz::codings(input.0), u64::from(input.1));
    let mut whole = wire::RequestDecoder::new(&codings, limit);
    if whole.push(input.2).is_ok()
        && let Ok(decoded) = whole.finish()
    {
        assert!(decoded.len() as u64 <= limit || codings.is_empty());
    }
});
