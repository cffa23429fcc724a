//! A client on a plain socket: it sends exactly the bytes it is given and keeps everything that
//! comes back.
//!
//! It must not know the product or `OpenAI`; it adds nothing but a `host` and a `content-length`
//! where a [`Request`] has none.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::http1::{self, Body, Framing, Head, Headers, MOST_SILENCE, Source};

/// A request that can be changed before it becomes bytes.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, as it goes on the wire.
    pub method: String,
    /// The request target: path and query, byte for byte.
    pub target: String,
    /// The header lines, in order.
    pub headers: Headers,
    /// The body, without framing.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers or a body.
    pub fn new(method: &str, target: &str) -> Self {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    /// A GET request.
    pub fn get(target: &str) -> Self {
        Request::new("GET", target)
    }

    /// A POST request with a JSON body.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = Request::new("POST", target).header("content-type", "application/json");
        request.body = body.into();
        request
    }

    /// Adds one header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The bytes on the wire. The body is framed by `content-length`, or as one chunk if the headers
    /// say `transfer-encoding`.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers.0 {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.headers.has("host") {
            head += "host: localhost\r\n";
        }
        let chunked = self.headers.has("transfer-encoding");
        let bodiless = self.body.is_empty() && matches!(&*self.method, "GET" | "HEAD" | "DELETE");
        if !chunked && !bodiless && !self.headers.has("content-length") {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let mut bytes = http1::untext(&head);
        if chunked {
            bytes.extend(chunk(&self.body));
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(&self.body);
        }
        bytes
    }
}

/// `bytes` as one chunk of a chunked body; nothing if there are none.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend(bytes);
    chunk.extend(b"\r\n");
    chunk
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct AnswerHead {
    /// The status, 200 for example.
    pub status: u16,
    /// The header lines.
    pub headers: Headers,
    /// How the body is framed.
    pub framing: Framing,
    /// When the head was whole.
    pub at: Instant,
    /// The statuses of the 1xx answers before it.
    pub interim: Vec<u16>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its head.
    pub head: AnswerHead,
    /// Its body.
    pub body: Body,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }
}

/// A connection that stays open between exchanges.
#[derive(Debug)]
pub struct Connection {
    source: Source<OwnedReadHalf>,
    sink: OwnedWriteHalf,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (source, sink) = stream.into_split();
        let source = Source::new(source);
        Ok(Connection { source, sink })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes).await
    }

    /// Says that nothing more will be sent (a FIN); answers can still be read.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn finish_sending(&mut self) -> io::Result<()> {
        self.sink.shutdown().await
    }

    /// Waits until these bytes came, whatever part of an answer they are, and uses nothing up.
    pub async fn until(&mut self, needle: &str) {
        let came = self.source.until(needle.as_bytes()).await;
        came.unwrap_or_else(|error| panic!("{needle:?} did not come: {error}"));
    }

    /// Reads the head of the answer to a request with `method`, and counts the 1xx before it.
    ///
    /// # Errors
    /// The connection ended or brought something else.
    pub async fn head(&mut self, method: &str) -> io::Result<AnswerHead> {
        let mut interim = Vec::new();
        loop {
            let head = self.source.head().await?;
            let Head { start, headers } =
                head.ok_or_else(|| io::Error::other("the connection ended without an answer"))?;
            let status = start.split(' ').nth(1).unwrap_or_default().parse();
            let status = status.map_err(|_| io::Error::other(format!("a status in {start:?}")))?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            return Ok(AnswerHead {
                status,
                framing: http1::answer_framing(method, status, &headers),
                headers,
                at: Instant::now(),
                interim,
            });
        }
    }

    /// Reads the body that follows `head`.
    pub async fn body(&mut self, head: &AnswerHead) -> Body {
        self.source.body(head.framing).await
    }

    /// Reads a body that nobody could keep, by its length or its chunks, and gives how many bytes it had.
    ///
    /// # Errors
    /// It ended before its end.
    pub async fn drop_body(&mut self, head: &AnswerHead) -> io::Result<u64> {
        match head.framing {
            Framing::Length(length) => self.source.skip(length).await.map(|()| length),
            Framing::Chunked => self.source.skip_chunks().await,
            Framing::Without | Framing::Close => Ok(0),
        }
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The connection ended before the head of the answer was whole.
    pub async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        self.send(&request.bytes()).await?;
        let head = self.head(&request.method).await?;
        let body = self.body(&head).await;
        Ok(Answer { head, body })
    }
}

/// One exchange on a connection of its own.
pub async fn exchange(address: SocketAddr, request: &Request) -> Answer {
    let connection = Connection::open(address).await;
    let mut connection = connection.unwrap_or_else(|error| panic!("{address}: {error}"));
    let answer = connection.exchange(request).await;
    answer.unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.target))
}

/// Sends bytes that may be no HTTP at all and returns everything until the other side closes, or
/// what came within `patience`.
pub async fn bytes(address: SocketAddr, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    let mut read = Vec::new();
    let talk = async {
        // The other side may well close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut read).await;
    };
    let _ = tokio::time::timeout(patience.min(MOST_SILENCE), talk).await;
    read
}
