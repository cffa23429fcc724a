//! What is believed of a chat stream stands in one of its events, as a slow reader splits them.
#![no_main]
libfuzzer_sys::fuzz_target!(|stream: &[u8]| {
    if let Some(usage) = fuzz::believed(wire::Form::EventStream, stream) {
        let counts = Some((usage.input, usage.output));
        assert!(
            fuzz::events(stream)
                .iter()
                .any(|data| fuzz::counts(data) == counts),
            "{usage:?}"
        );
    }
});
