//! Frames of a WebSocket (RFC 6455, 5), read from a client and written to it. Knows nothing of what they say.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use super::Outgoing;
use crate::body::Reset;

/// The largest message of a client, all its frames together.
const MOST_MESSAGE_BYTES: u64 = 64 * 1024 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;

/// What a client said.
#[derive(Debug)]
pub(super) enum Said {
    Text(String),
    Ping(Bytes),
    Pong,
    /// Goodbye, to be answered with this status.
    Close(u16),
    /// Nothing more, and no goodbye.
    Gone,
}

/// Reads a client's messages.
#[derive(Debug)]
pub(super) struct Reader<R> {
    from: BufReader<R>,
    /// The text under way, if its last frame has not come.
    text: Option<Vec<u8>>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from: BufReader::new(from),
            text: None,
        }
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Said {
        loop {
            match self.frame().await {
                Ok(Some(said)) => return said,
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Said::Close(PROTOCOL_ERROR);
                }
                Err(_) => return Said::Gone,
            }
        }
    }

    /// Reads one frame, and says what it ends.
    async fn frame(&mut self) -> io::Result<Option<Said>> {
        let wrong = || io::Error::from(io::ErrorKind::InvalidData);
        let (first, second) = (self.from.read_u8().await?, self.from.read_u8().await?);
        // No extension was agreed on, and a client masks what it says.
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(wrong());
        }
        let length = match second & 0x7f {
            126 => u64::from(self.from.read_u16().await?),
            127 => self.from.read_u64().await?,
            length => u64::from(length),
        };
        let before = self.text.as_ref().map_or(0, Vec::len) as u64;
        if length.saturating_add(before) > MOST_MESSAGE_BYTES {
            return Err(wrong());
        }
        let mut mask = [0; 4];
        self.from.read_exact(&mut mask).await?;
        let mut payload = vec![0; usize::try_from(length).map_err(|_| wrong())?];
        self.from.read_exact(&mut payload).await?;
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        let is_last = first & 0x80 != 0;
        let said = match (first & 0x0f, self.text.take()) {
            (TEXT, None) => payload,
            (0, Some(mut text)) => {
                text.append(&mut payload);
                text
            }
            (control, text) if is_last && control >= CLOSE => {
                self.text = text;
                return match control {
                    CLOSE => Ok(Some(Said::Close(NORMAL))),
                    PING => Ok(Some(Said::Ping(payload.into()))),
                    PONG => Ok(Some(Said::Pong)),
                    _ => Err(wrong()),
                };
            }
            _ => return Err(wrong()),
        };
        if !is_last {
            self.text = Some(said);
            return Ok(None);
        }
        String::from_utf8(said)
            .map(Said::Text)
            .map(Some)
            .map_err(|_| wrong())
    }
}

/// How writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// As it was told to.
    AsTold,
    ClientGone,
}

/// Writes what is to be said until that ends it, or the client is gone.
pub(super) async fn write_all<W: AsyncWrite + Unpin>(
    mut to: W,
    mut outgoing: mpsc::Receiver<Outgoing>,
    reset: &Reset,
) -> Ended {
    while let Some(message) = outgoing.recv().await {
        let (opcode, payload) = match &message {
            Outgoing::Text(text) => (TEXT, text.as_bytes()),
            Outgoing::Pong(payload) => (PONG, &payload[..]),
            Outgoing::Close(status) => (CLOSE, &status.to_be_bytes()[..]),
            Outgoing::Cut => return Ended::AsTold,
            Outgoing::Reset => {
                reset.ask();
                return Ended::AsTold;
            }
        };
        if write(&mut to, opcode, payload).await.is_err() {
            return Ended::ClientGone;
        }
        if opcode == CLOSE {
            // If it fails the client was quicker.
            let _ = to.shutdown().await;
            return Ended::AsTold;
        }
    }
    Ended::AsTold
}

async fn write<W: AsyncWrite + Unpin>(to: &mut W, opcode: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![0x80 | opcode];
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => frame.push(short),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    to.write_all(&frame).await?;
    to.flush().await
}
