//! A head that is passed on, either way, names its host and framing once; what ends at a hop or speaks in our name is
//! gone, and all else is as it came.
#![no_main]
use fuzz::heads;
libfuzzer_sys::fuzz_target!(|head: &[u8]| {
    let request =
        heads::request(head).map(|head| [heads::forwarded(&head), heads::forwarded_slowly(&head)]);
    let answer = || {
        let answer = heads::answer(head)?;
        Some([heads::passed_on(&answer), heads::passed_on_slowly(&answer)])
    };
    if let Some([found, due]) = request.or_else(answer) {
        assert_eq!(found, due);
    }
});
