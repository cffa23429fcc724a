//! However a connection's bytes are cut, the same messages are read from it, or are refused.
#![no_main]
use fuzz::{messages, pieces};
libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (seed, bytes) = input;
    let whole = || std::iter::once(bytes);
    assert_eq!(messages::requests(whole()), messages::requests(pieces(bytes, seed)));
    assert_eq!(messages::answers(whole()), messages::answers(pieces(bytes, seed)));
});
