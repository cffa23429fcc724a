//! A WebSocket client on a plain socket, as RFC 6455 has it: the handshake, frames written as they are asked for, and
//! every frame that comes back.
//!
//! It must not know the product or what is said; real clients are tested beside it.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http1::{Head, MOST_SILENCE, Source};

/// The key of RFC 6455, 1.3, and what it is to be answered with.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A whole message.
pub const TEXT: u8 = 0x81;
/// A goodbye.
pub const CLOSE: u8 = 0x88;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client with its connection.
#[derive(Debug)]
pub struct WebSocket {
    /// The connection, for tests that send what is no frame.
    pub stream: TcpStream,
}

/// The head of a request for a WebSocket; each of `lines` ends with CRLF.
pub fn asking(target: &str, lines: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nhost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{lines}\r\n"
    )
}

/// The head of an answer that opens a WebSocket asked for by [`asking`]; each of `lines` ends with CRLF.
pub fn opening(lines: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nupgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n"
    )
}

/// A client's request for a response, in this lane if it names one.
pub fn create(text: &str, lane: Option<&str>) -> Value {
    let mut create = json!({"type": "response.create", "model": "gpt-5-mini", "input": text});
    if let Some(lane) = lane {
        create["stream_id"] = json!(lane);
    }
    create
}

/// A frame of a client's; `first` is its first byte on the wire.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = plain_frame(first, payload);
    bytes[1] |= 0x80;
    bytes.truncate(bytes.len() - payload.len());
    bytes.extend(MASK);
    let keys = MASK.iter().cycle();
    bytes.extend(payload.iter().zip(keys).map(|(byte, key)| byte ^ key));
    bytes
}

/// A frame of a server's.
pub fn plain_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => bytes.push(length.to_be_bytes()[1]),
        Ok(length) => {
            bytes.push(126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// Sends a request's head and reads the answer's, byte by byte, so that nothing after it is taken.
pub async fn ask(address: SocketAddr, head: &str) -> (Head, TcpStream) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = timeout(MOST_SILENCE, stream.read_u8()).await;
        answer.push(byte.expect("an answer in time").expect("an answer"));
    }
    let head = Source::new(&answer[..]).head().await;
    (head.expect("a head").expect("a head"), stream)
}

impl WebSocket {
    /// Opens one with this key.
    pub async fn open(address: SocketAddr, target: &str, key: &str) -> WebSocket {
        let (head, stream) = ask(
            address,
            &asking(target, &format!("authorization: Bearer {key}\r\n")),
        )
        .await;
        assert!(head.start.contains(" 101 "), "{head:?}");
        assert_eq!(head.headers.get("sec-websocket-accept"), Some(ACCEPT));
        WebSocket { stream }
    }

    /// Sends one frame.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        let bytes = frame(first, payload);
        self.stream.write_all(&bytes).await.expect("a socket");
    }

    /// Sends a message.
    pub async fn say(&mut self, message: &Value) {
        self.send(TEXT, message.to_string().as_bytes()).await;
    }

    /// The next frame: its first byte and its payload; `None` at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = timeout(MOST_SILENCE, self.read()).await;
        read.expect("a frame in time").ok()
    }

    async fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await?;
        let length = match self.stream.read_u8().await? {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        self.stream.read_exact(&mut payload).await?;
        Ok((first, payload))
    }

    /// The next message.
    pub async fn hear(&mut self) -> Value {
        let (first, payload) = self.frame().await.expect("a message before the end");
        assert_eq!(first, TEXT, "{payload:?}");
        serde_json::from_slice(&payload).expect("JSON")
    }

    /// The next message of this type.
    pub async fn hear_until(&mut self, name: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == name {
                return message;
            }
        }
    }
}
