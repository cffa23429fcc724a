//! Whatever an answer is and however it is coded, what is found does not depend on its cuts.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (kind, coding, seed, body) = (usize::from(input.0), input.1, input.2, input.3);
    let (form, end) = (fuzz::FORMS[kind / 11 % 3], fuzz::ENDS[kind / 33 % 3]);
    let reader =
        || wire::ResponseReader::new(fuzz::ENDPOINTS[kind % 11], form, &fuzz::codings(coding));
    let whole = fuzz::reading(reader(), std::iter::once(body), end);
    let cut = fuzz::reading(reader(), fuzz::pieces(body, seed), end);
    assert!(fuzz::lasting(form, &whole, &cut), "{whole:?} {cut:?}");
});
