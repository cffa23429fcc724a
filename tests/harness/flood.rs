//! An upstream that sends and takes any amount without keeping it: downloads, uploads, endless lines, compression
//! bombs, a million tiny chunks. What is wanted stands in the header `x-flood`: a kind and a number.
//!
//! It must not know who asks, or what becomes of what it sends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::chat::{self, DONE, EVENTS, JSON, MODEL};
use crate::http1::{Framing, Headers, Source, request_framing};
use crate::raw::{Request, chunk};
use crate::upstream::{head, sized};

/// The header that says what is wanted.
const WANTED: &str = "x-flood";
/// Bytes sent or taken at a time.
const PIECE: usize = 64 * 1024;
/// Spaces that one block of the bomb decodes to.
const BLOCK: usize = 64 * 1024 * 1024;
/// The tokens of each chat answer.
pub const TOKENS: u64 = 46;

/// What may be asked for.
#[derive(Clone, Copy, Debug)]
pub enum Flood {
    /// So many bytes that nobody reads.
    Download(u64),
    /// A chat stream with one event of so many bytes before its usage.
    Line(u64),
    /// A chat answer that begins with so many bytes, by gzip's word, and takes a thousandth of them.
    Bomb(u64),
    /// A chat stream whose events come in chunks of one byte, so many before its usage.
    Tiny(u64),
}

impl Flood {
    /// The request, with this said in it.
    #[must_use]
    pub fn asked(self, request: Request) -> Request {
        let (kind, number) = match self {
            Flood::Download(number) => ("download", number),
            Flood::Line(number) => ("line", number),
            Flood::Bomb(number) => ("bomb", number),
            Flood::Tiny(number) => ("tiny", number),
        };
        request.header(WANTED, &format!("{kind} {number}"))
    }

    fn wanted(headers: &Headers) -> Option<Flood> {
        let (kind, number) = headers.get(WANTED)?.split_once(' ')?;
        let number = number.parse().ok()?;
        match kind {
            "download" => Some(Flood::Download(number)),
            "line" => Some(Flood::Line(number)),
            "bomb" => Some(Flood::Bomb(number)),
            "tiny" => Some(Flood::Tiny(number)),
            _ => None,
        }
    }
}

/// A running upstream; it stops when dropped.
#[derive(Debug)]
pub struct Flooding {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Flooding {
    /// Listens. Whoever asks for nothing special gets a chat answer.
    pub async fn start() -> Flooding {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let block = Arc::new(tokio::task::spawn_blocking(block).await.expect("a block"));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let block = Arc::clone(&block);
                connections.spawn(async move {
                    // Whoever has had enough leaves; tests look at what is left of the proxy.
                    let _ = serve(stream, &block).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Flooding {
            address,
            _serving: serving,
        }
    }

    /// Its base URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(stream: TcpStream, block: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (source, mut sink) = stream.into_split();
    let mut source = Source::new(source);
    while let Some(head) = source.head().await? {
        let upload = request_framing(&head.headers);
        take(&mut source, upload).await?;
        match Flood::wanted(&head.headers) {
            Some(Flood::Download(bytes)) => download(&mut sink, bytes).await?,
            Some(Flood::Line(bytes)) => line(&mut sink, bytes).await?,
            Some(Flood::Bomb(bytes)) => bomb(&mut sink, bytes, block).await?,
            Some(Flood::Tiny(chunks)) => tiny(&mut sink, chunks).await?,
            None => sink.write_all(&answer()).await?,
        }
    }
    Ok(())
}

/// Reads a request's body and drops it, where it is a long one.
async fn take(source: &mut Source<OwnedReadHalf>, framing: Framing) -> io::Result<()> {
    if let Framing::Length(length) = framing
        && length > PIECE as u64
    {
        return source.skip(length).await;
    }
    source.body(framing).await;
    Ok(())
}

fn answer() -> Vec<u8> {
    let usage = format!(",{}", chat::usage(12, TOKENS - 12));
    let body = chat::completion("chatcmpl-flood", MODEL, "Hi", &usage);
    sized(200, &[JSON, ("openai-organization", "acme")], &body)
}

async fn download(sink: &mut OwnedWriteHalf, bytes: u64) -> io::Result<()> {
    let length = bytes.to_string();
    let kind = ("content-type", "application/octet-stream");
    sink.write_all(&head(200, &[kind, ("content-length", &length)]))
        .await?;
    let mut source = tokio::io::repeat(b'x').take(bytes);
    tokio::io::copy_buf(
        &mut tokio::io::BufReader::with_capacity(PIECE, &mut source),
        sink,
    )
    .await?;
    Ok(())
}

async fn line(sink: &mut OwnedWriteHalf, bytes: u64) -> io::Result<()> {
    begin(sink, &[EVENTS]).await?;
    let event = chat::says("chatcmpl-flood", MODEL, "@");
    let at = event
        .iter()
        .position(|byte| *byte == b'@')
        .expect("a place");
    sink.write_all(&chunk(&event[..at])).await?;
    let piece = chunk(&vec![b'x'; PIECE]);
    for _ in 0..bytes / PIECE as u64 {
        sink.write_all(&piece).await?;
    }
    sink.write_all(&chunk(&event[at + 1..])).await?;
    end(sink).await
}

async fn tiny(sink: &mut OwnedWriteHalf, chunks: u64) -> io::Result<()> {
    begin(sink, &[EVENTS]).await?;
    let event = chat::says("chatcmpl-flood", MODEL, "Hi");
    let pieces: Vec<u8> = event.iter().flat_map(|byte| chunk(&[*byte])).collect();
    for _ in 0..chunks.div_ceil(event.len() as u64) {
        sink.write_all(&pieces).await?;
    }
    end(sink).await
}

async fn bomb(sink: &mut OwnedWriteHalf, bytes: u64, block: &[u8]) -> io::Result<()> {
    begin(sink, &[JSON, ("content-encoding", "gzip")]).await?;
    // A gzip header; the blocks stand alone, so any number of them is one stream.
    sink.write_all(&chunk(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]))
        .await?;
    for _ in 0..bytes.div_ceil(BLOCK as u64) {
        for piece in block.chunks(PIECE) {
            sink.write_all(&chunk(piece)).await?;
        }
    }
    sink.write_all(b"0\r\n\r\n").await
}

async fn begin(sink: &mut OwnedWriteHalf, lines: &[(&str, &str)]) -> io::Result<()> {
    let lines = [lines, &[chat::CHUNKED]].concat();
    sink.write_all(&head(200, &lines)).await
}

/// The usage, the stream's own end, and HTTP's.
async fn end(sink: &mut OwnedWriteHalf) -> io::Result<()> {
    let counts = chat::counts("chatcmpl-flood", MODEL, &chat::usage(12, TOKENS - 12));
    let last = chunk(&[&counts[..], DONE].concat());
    sink.write_all(&[&last[..], b"0\r\n\r\n"].concat()).await
}

/// One block of deflate that refers to nothing before it.
fn block() -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(BLOCK / 500);
    let spaces = vec![b' '; BLOCK];
    compress
        .compress_vec(&spaces, &mut out, FlushCompress::Full)
        .expect("room");
    assert_eq!(compress.total_in(), BLOCK as u64, "the block has room");
    out
}
