//! A target is forwarded as it came, or under `/v1/`, and then it stays as it is.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u8, &str)| {
    let method = ["GET", "POST", "DELETE", "HEAD"][usize::from(input.0 % 4)];
    let route = wire::classify(method, input.1);
    let Some(target) = route.rewritten else {
        return;
    };
    let again = wire::classify(method, &target);
    assert!(
        target.starts_with("/v1/") && again.rewritten.is_none() && again.endpoint == route.endpoint
    );
});
