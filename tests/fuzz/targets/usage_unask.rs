//! What is taken out of a stream does not depend on its cuts; where usage is never named, nothing is taken.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (mut whole, mut cut) = (wire::UsageUnask::new(), wire::UsageUnask::new());
    let (mut one, mut many) = (Vec::new(), Vec::new());
    whole.push(input.1, &mut one);
    fuzz::pieces(input.1, input.0).for_each(|piece| cut.push(piece, &mut many));
    (whole.finish(&mut one), cut.finish(&mut many));
    assert!(one == many && (one == input.1 || input.1.contains(&b'u') || input.1.contains(&b'\\')));
});
