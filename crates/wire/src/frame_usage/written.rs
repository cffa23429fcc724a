//! Frames as tests write them.

/// One unmasked frame; `first` is its first byte as it stands on the wire.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A text message as a server sends it.
pub(crate) fn message(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A text message as a client sends it.
pub(crate) fn masked(text: &str, mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = frame(0x81, text.as_bytes());
    bytes[1] |= 0x80;
    let payload = bytes.split_off(bytes.len() - text.len());
    bytes.extend(mask);
    let keys = mask.iter().cycle();
    bytes.extend(payload.iter().zip(keys).map(|(byte, key)| byte ^ key));
    bytes
}

pub(crate) fn ping(payload: &[u8]) -> Vec<u8> {
    frame(0x89, payload)
}

pub(crate) fn close() -> Vec<u8> {
    frame(0x88, &1000_u16.to_be_bytes())
}
