//! HTTP/1.1 messages read from a socket, byte for byte, with the moment at which each piece came.
//!
//! Knows framing and nothing else: no methods, no paths, no repair of odd messages. Header values
//! are kept as one character per byte, so that any byte survives.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest wait for the next bytes of a message. Longer means the test hangs, not that it waits.
pub const MOST_SILENCE: Duration = Duration::from_secs(30);
/// The longest head that is read, in bytes.
const MOST_HEAD_BYTES: usize = 1024 * 1024;
/// Room for one read from the socket, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// Header lines in the order and the case in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of `name`, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// All values of `name`, in any case, in their order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |line: &&(String, String)| line.0.eq_ignore_ascii_case(name);
        self.0
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Whether a line of that name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The comma separated members of all values of `name`, trimmed.
    pub fn members(&self, name: &str) -> Vec<String> {
        let members = self
            .all(name)
            .into_iter()
            .flat_map(|value| value.split(','));
        members.map(|member| member.trim().to_owned()).collect()
    }
}

/// The head of a request or of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The request line or the status line, without its line break.
    pub start: String,
    /// The header lines.
    pub headers: Headers,
}

/// How a body says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body: the request has none, or the status or method forbids it.
    Without,
    /// `content-length`, in bytes.
    Length(u64),
    /// `transfer-encoding: chunked`.
    Chunked,
    /// The body ends with the connection.
    Close,
}

/// How the reading of a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As its framing promised.
    Complete,
    /// Earlier: what happened, in words.
    Broken(String),
}

/// A body and how it came.
#[derive(Clone, Debug)]
pub struct Body {
    /// The bytes without their framing.
    pub bytes: Vec<u8>,
    /// When each read brought how many of them.
    pub pieces: Vec<(Instant, usize)>,
    /// Whether it is whole.
    pub end: End,
}

/// One side of a connection, with the bytes that were read and not used yet.
#[derive(Debug)]
pub struct Source<R> {
    stream: R,
    held: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Source<R> {
    /// Reads messages from `stream`.
    pub fn new(stream: R) -> Self {
        let held = Vec::new();
        Source { stream, held }
    }

    /// Reads what comes next; 0 is the end of the connection.
    async fn more(&mut self) -> io::Result<usize> {
        let mut room = vec![0; READ_BYTES];
        let read = tokio::time::timeout(MOST_SILENCE, self.stream.read(&mut room)).await;
        let read = read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "silence"))??;
        self.held.extend_from_slice(&room[..read]);
        Ok(read)
    }

    /// Reads on until `needle` came, and uses nothing of it up.
    ///
    /// # Errors
    /// The connection ended before, or was silent for too long.
    pub async fn until(&mut self, needle: &[u8]) -> io::Result<()> {
        while find(&self.held, needle).is_none() {
            if self.more().await? == 0 {
                let came = text(&self.held);
                return Err(io::Error::other(format!("ended after {came:?}")));
            }
        }
        Ok(())
    }

    /// The next head, or nothing if the connection ended cleanly between two messages.
    ///
    /// # Errors
    /// The connection broke, was silent for too long, or brought what is not a head.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.held, b"\r\n\r\n") {
                let head: Vec<u8> = self.held.drain(..end + 4).collect();
                return parse(&head[..end]).map(Some);
            }
            if self.held.len() > MOST_HEAD_BYTES {
                return Err(io::Error::other("the head is too long"));
            }
            if self.more().await? == 0 {
                return if self.held.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::other("the connection ended inside a head"))
                };
            }
        }
    }

    /// The body of the message whose head came last.
    pub async fn body(&mut self, framing: Framing) -> Body {
        let mut body = Body {
            bytes: Vec::new(),
            pieces: Vec::new(),
            end: End::Complete,
        };
        let read = match framing {
            Framing::Without => Ok(()),
            Framing::Length(length) => self.exactly(length, &mut body).await,
            Framing::Chunked => self.chunks(&mut body).await,
            Framing::Close => self.rest(&mut body).await,
        };
        if let Err(error) = read {
            body.end = End::Broken(error.to_string());
        }
        body
    }

    /// Reads so many bytes and keeps none of them.
    ///
    /// # Errors
    /// The connection ended before, or was silent for too long.
    pub async fn skip(&mut self, length: u64) -> io::Result<()> {
        let mut left = length.saturating_sub(self.held.len() as u64);
        self.held.drain(
            ..self
                .held
                .len()
                .min(usize::try_from(length).unwrap_or(usize::MAX)),
        );
        let mut room = vec![0; READ_BYTES];
        while left > 0 {
            let most = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read =
                tokio::time::timeout(MOST_SILENCE, self.stream.read(&mut room[..most])).await;
            match read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "silence"))?? {
                0 => return Err(io::Error::other(format!("ended {left} bytes early"))),
                read => left -= read as u64,
            }
        }
        Ok(())
    }

    async fn exactly(&mut self, length: u64, body: &mut Body) -> io::Result<()> {
        let mut left = usize::try_from(length).map_err(io::Error::other)?;
        while left > 0 {
            if self.held.is_empty() && self.more().await? == 0 {
                return Err(io::Error::other(format!(
                    "ended {left} bytes before its length"
                )));
            }
            let some = left.min(self.held.len());
            body.bytes.extend(self.held.drain(..some));
            body.pieces.push((Instant::now(), some));
            left -= some;
        }
        Ok(())
    }

    async fn chunks(&mut self, body: &mut Body) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| io::Error::other(format!("not a chunk size: {line:?}")))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.exactly(size, body).await?;
            if !self.line().await?.is_empty() {
                return Err(io::Error::other("a chunk is longer than its size"));
            }
        }
    }

    /// Reads a chunked body, keeps none of it, and gives its length.
    ///
    /// # Errors
    /// The connection ended before, was silent for too long, or brought what is no chunk.
    pub async fn skip_chunks(&mut self) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let line = self.line().await?;
            let size = u64::from_str_radix(&line, 16)
                .map_err(|_| io::Error::other(format!("not a chunk size: {line:?}")))?;
            // The line break behind it, or the last one of all.
            self.skip(size).await?;
            self.line().await?;
            total += size;
            if size == 0 {
                return Ok(total);
            }
        }
    }

    async fn rest(&mut self, body: &mut Body) -> io::Result<()> {
        loop {
            if !self.held.is_empty() {
                body.pieces.push((Instant::now(), self.held.len()));
                body.bytes.append(&mut self.held);
            }
            if self.more().await? == 0 {
                return Ok(());
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.held, b"\r\n") {
                let line: Vec<u8> = self.held.drain(..end + 2).collect();
                return Ok(text(&line[..end]));
            }
            if self.more().await? == 0 {
                return Err(io::Error::other("ended inside the chunked framing"));
            }
        }
    }
}

/// The framing of a request's body.
pub fn request_framing(headers: &Headers) -> Framing {
    framing(headers).unwrap_or(Framing::Without)
}

/// The framing of an answer's body.
pub fn answer_framing(method: &str, status: u16, headers: &Headers) -> Framing {
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        return Framing::Without;
    }
    framing(headers).unwrap_or(Framing::Close)
}

fn framing(headers: &Headers) -> Option<Framing> {
    if headers.has("transfer-encoding") {
        return Some(Framing::Chunked);
    }
    let length = headers.get("content-length")?;
    Some(Framing::Length(length.parse().expect("a length")))
}

/// One character per byte.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of a text that [`text`] made.
pub fn untext(text: &str) -> Vec<u8> {
    let byte = |character| u8::try_from(character).expect("one byte per character");
    text.chars()
        .map(|character| byte(character as u32))
        .collect()
}

/// Where `needle` begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

fn parse(head: &[u8]) -> io::Result<Head> {
    let head = text(head);
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| io::Error::other(format!("not a header line: {line:?}")))?;
        let value = value.trim_matches([' ', '\t']).to_owned();
        headers.0.push((name.to_owned(), value));
    }
    Ok(Head { start, headers })
}
