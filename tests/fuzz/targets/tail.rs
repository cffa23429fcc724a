//! Of a tail with anything behind its records, and cut anywhere, all whole records are read and nothing else.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u16, Vec<&[u8]>, &[u8])| {
    let (cut, records, rest) = input;
    let mut tail: Vec<u8> = records.iter().copied().flat_map(fuzz::record).collect();
    tail.extend(rest);
    tail.truncate(usize::from(cut));
    assert_eq!(fuzz::entries(&tail), fuzz::entries_slowly(&tail));
});
