//! What is believed of a chat answer is what `serde_json` reads; what that writes is believed where it adds up.
#![no_main]
libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let believed =
        |body: &[u8]| fuzz::believed(wire::Form::Json, body).map(|one| (one.input, one.output));
    let found = believed(body);
    assert!(found.is_none() || found == fuzz::counts(body), "{found:?}");
    let again = serde_json::from_slice::<serde_json::Value>(body).map(|value| value.to_string());
    let again = again.unwrap_or_default();
    assert_eq!(believed(again.as_bytes()), fuzz::counts(again.as_bytes()));
});
