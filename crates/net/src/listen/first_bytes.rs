//! The first bytes of a client's connection, which say what it speaks. It must not know what follows them.

use std::io;

use tokio::io::{AsyncReadExt, ReadBuf};

use crate::transport::Transport;

/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How a TLS handshake begins: a record of that kind, version 3.x.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// Which HTTP a client speaks.
#[derive(Clone, Copy)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// The first bytes of a connection: read to learn the version, then given to HTTP.
#[derive(Default)]
pub(crate) struct First {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
}

impl First {
    /// Reads until the bytes are the HTTP/2 preface or differ from it.
    pub(crate) async fn read(&mut self, transport: &mut Transport) -> io::Result<Version> {
        loop {
            let (known, rest) = self.bytes.split_at_mut(self.filled);
            let read = transport.read(rest).await?;
            let whole = read == rest.len();
            let new = rest.iter().take(read);
            let alike = new.eq(PREFACE.iter().skip(known.len()).take(read));
            self.filled += read;
            match (read, alike, whole) {
                (0, ..) if self.filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                (0, ..) | (_, false, _) => return Ok(Version::Http1),
                (_, true, true) => return Ok(Version::Http2),
                (_, true, false) => {}
            }
        }
    }

    /// Whether these bytes begin a TLS handshake.
    pub(crate) fn is_tls(&self) -> bool {
        self.filled >= TLS_HANDSHAKE.len() && self.bytes.starts_with(&TLS_HANDSHAKE)
    }

    /// Moves bytes not yet taken into `buf`; false if there were none.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(rest) = self
            .bytes
            .get(self.taken..self.filled)
            .filter(|rest| !rest.is_empty())
        else {
            return false;
        };
        let fits = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..fits).unwrap_or(rest));
        self.taken += fits;
        true
    }
}
