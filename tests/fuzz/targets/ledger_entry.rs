//! Bytes that pose as an entry of the ledger's tail are none, or an entry that is written as it was read.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = postcard::from_bytes::<ledger::Entry>(bytes) {
        let written = postcard::to_stdvec(&entry).expect("what was read can be written");
        let again =
            postcard::from_bytes::<ledger::Entry>(&written).expect("what was written can be read");
        assert_eq!(format!("{entry:?}"), format!("{again:?}"));
    }
});
