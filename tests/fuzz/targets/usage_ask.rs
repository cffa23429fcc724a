//! Asking for usage changes one member of the request and leaves JSON behind, or nothing is asked.
#![no_main]
libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(facts) = wire::RequestFacts::read(wire::Metered::ChatCompletions, body) else {
        return;
    };
    let asked = wire::ask_for_usage(body, &facts).filter(|_| std::str::from_utf8(body).is_ok());
    assert!(asked.is_none_or(|asked| fuzz::is_asked(body, &asked)));
});
