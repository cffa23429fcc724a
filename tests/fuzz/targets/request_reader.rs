//! What is read of a request is what `serde_json` reads of it, for each endpoint.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let endpoint = fuzz::ENDPOINTS[usize::from(input.0) % fuzz::ENDPOINTS.len()];
    let is_form = input.1.starts_with(b"--");
    if let Ok(facts) = wire::RequestFacts::read(endpoint, input.1)
        && !is_form
    {
        fuzz::agree(&facts, input.1);
    }
});
