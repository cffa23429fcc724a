//! A configuration that is taken is TOML, lasts as it is with a remark behind it, and knows no section of nobody's; each
//! mistake in another one has its place in it.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| match fuzz::settings(text) {
    Err(mistakes) => fuzz::placed(&mistakes, text),
    Ok(settings) => {
        assert!(fuzz::table(text).is_some());
        assert_eq!(fuzz::settings(&format!("{text}\n# remark")), Ok(settings));
        assert!(fuzz::settings(&format!("{text}\n[nobody]")).is_err());
    }
});
