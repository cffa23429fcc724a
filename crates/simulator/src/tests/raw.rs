//! A plain HTTP/1.1 client on a socket, one exchange a connection: it sees framing and breaks as they
//! are.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// Without the framing of chunks.
    pub(super) body: Vec<u8>,
    /// Whether the body came to the end that its framing promises.
    pub(super) whole: bool,
    /// How the connection ended, if not by closing.
    pub(super) error: Option<io::ErrorKind>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let own = self.headers.iter().filter(|(known, _)| known == name);
        own.map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        super::json(self.text())
    }

    /// The `data:` lines of a stream, without their first six bytes.
    pub(super) fn data(&self) -> Vec<&str> {
        let lines = self.text().lines();
        lines
            .filter_map(|line| line.strip_prefix("data: "))
            .collect()
    }

    /// The events of a stream that are JSON.
    pub(super) fn events(&self) -> Vec<Value> {
        let data = self.data().into_iter().filter(|data| *data != "[DONE]");
        data.map(super::json).collect()
    }
}

/// Sends a request and opens its answer without reading it.
pub(super) async fn open(
    address: SocketAddr,
    request_line: &str,
    headers: &str,
    body: impl AsRef<[u8]>,
) -> TcpStream {
    let body = body.as_ref();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{request_line} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: \
         {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream
}

/// One exchange with any headers (each ended by CRLF).
pub(super) async fn exchange(
    address: SocketAddr,
    request_line: &str,
    headers: &str,
    body: impl AsRef<[u8]>,
) -> Answer {
    let mut stream = open(address, request_line, headers, body).await;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let error = loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => break Some(error.kind()),
        }
    };
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head in {bytes:?}, {error:?}"));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let chunked = headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned()));
    let (body, whole) = if chunked {
        unchunk(rest)
    } else {
        (rest.to_vec(), true)
    };
    Answer {
        status,
        headers,
        body,
        whole,
        error,
    }
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let from = end + 2;
        if rest.len() < from + size + 2 {
            break;
        }
        body.extend_from_slice(&rest[from..from + size]);
        rest = &rest[from + size + 2..];
    }
    (body, false)
}

/// One `POST` with a key.
pub(super) async fn post(address: SocketAddr, path: &str, key: &str, body: &Value) -> Answer {
    post_with(address, path, key, "", body).await
}

/// One `POST` with a key and further headers (each ended by CRLF).
pub(super) async fn post_with(
    address: SocketAddr,
    path: &str,
    key: &str,
    more: &str,
    body: &Value,
) -> Answer {
    let headers = format!("authorization: Bearer {key}\r\n{more}");
    exchange(
        address,
        &format!("POST {path}"),
        &headers,
        &body.to_string(),
    )
    .await
}

/// One request without a body.
pub(super) async fn ask(address: SocketAddr, request_line: &str, key: &str) -> Answer {
    let headers = format!("authorization: Bearer {key}\r\n");
    exchange(address, request_line, &headers, "").await
}
