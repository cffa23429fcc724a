//! An offer that is taken lists the models that its TOML does, each in its group, and nothing else; each mistake in
//! another one has its place in it.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| match fuzz::offered(text) {
    Err(mistakes) => fuzz::placed(&mistakes, text),
    Ok(offer) => {
        let table = fuzz::table(text).expect("what was taken is TOML");
        assert_eq!(fuzz::listed(&offer), fuzz::listed_by(&table));
    }
});
