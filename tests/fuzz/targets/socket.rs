//! What the messages of a WebSocket tell, in either direction, does not depend on how their bytes are cut.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (bool, u8, &[u8])| {
    let (socket, pieces) = (fuzz::SOCKETS[usize::from(input.0)], || {
        fuzz::pieces(input.2, input.1)
    });
    let told = |pieces: &mut dyn Iterator<Item = &[u8]>| fuzz::told(socket, pieces);
    assert_eq!(told(&mut std::iter::once(input.2)), told(&mut pieces()));
});
