//! A load of event streams: how late each chunk comes, told by the time that the upstream wrote into it. It must not
//! know who stands between.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// What stands before the time in a chunk's data.
pub const STAMP: &str = r#""content":""#;
/// Digits of the time: nanoseconds since 1970, as many as there will be for long.
pub const STAMP_DIGITS: usize = 20;
/// Streams are opened over this time, not all at once.
const OPENED_OVER: Duration = Duration::from_millis(500);

/// What all streams met together.
#[derive(Default)]
pub struct Run {
    /// From each request to its first chunk, sorted.
    pub first_chunks: Vec<Duration>,
    /// From the upstream's write of each chunk to its arrival, sorted.
    pub delays: Vec<Duration>,
}

/// The time that a chunk written now carries.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// Reads so many streams at once, each to its end.
///
/// # Errors
/// When a stream breaks or carries no chunk.
pub async fn run(target: SocketAddr, streams: u32) -> Result<Run, Failure> {
    let readers: Vec<_> = (0..streams)
        .map(|number| {
            tokio::spawn(async move {
                tokio::time::sleep(OPENED_OVER * number / streams.max(1)).await;
                stream(target).await
            })
        })
        .collect();
    let mut run = Run::default();
    for reader in readers {
        let (first, delays) = reader.await??;
        run.first_chunks.push(first);
        run.delays.extend(delays);
    }
    run.first_chunks.sort_unstable();
    run.delays.sort_unstable();
    Ok(run)
}

async fn stream(target: SocketAddr) -> Result<(Duration, Vec<Duration>), Failure> {
    let body = r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"Count."}],"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":400}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {target}\r\nauthorization: Bearer sk-bench\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let mut first = None;
    let mut delays = Vec::new();
    let mut buffer = Vec::with_capacity(16 * 1024);
    while !buffer.ends_with(b"0\r\n\r\n") {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err("a stream broke before its end".into());
        }
        let (arrived, now) = (began.elapsed(), now());
        let mut read = 0;
        while let Some((stamp, past)) = stamp(&buffer[read..]) {
            first.get_or_insert(arrived);
            delays.push(Duration::from_nanos(now.saturating_sub(stamp)));
            read += past;
        }
        buffer.drain(..read);
    }
    Ok((first.ok_or("a stream without a chunk")?, delays))
}

/// The first time in these bytes, and the place past it.
fn stamp(bytes: &[u8]) -> Option<(u64, usize)> {
    let at = bytes
        .windows(STAMP.len())
        .position(|window| window == STAMP.as_bytes())?
        + STAMP.len();
    let digits = bytes.get(at..at + STAMP_DIGITS)?;
    let time = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((time, at + STAMP_DIGITS))
}
