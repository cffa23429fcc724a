//! A load: so many connections, each sending the same request again as soon as its answer is whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// What a run took.
pub struct Run {
    /// Calls answered with status 200.
    pub calls: u64,
    /// Wall time of the whole run.
    pub wall: Duration,
    /// Latency of each call, sorted.
    pub latencies: Vec<Duration>,
}

/// Sends `calls` requests over `connections` connections and reads every answer to its end.
///
/// # Errors
/// When a connection breaks or an answer is not a 200 with a content-length.
pub async fn run(target: SocketAddr, connections: usize, calls: i64) -> Result<Run, Failure> {
    let left = Arc::new(AtomicI64::new(calls));
    let began = Instant::now();
    let workers: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(connection(target, Arc::clone(&left))))
        .collect();
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await??);
    }
    latencies.sort_unstable();
    Ok(Run {
        calls: latencies.len() as u64,
        wall: began.elapsed(),
        latencies,
    })
}

fn request(target: SocketAddr) -> Vec<u8> {
    let body = r#"{"model":"gpt-5-mini","messages":[{"role":"system","content":"You are a helpful assistant that answers in one short sentence and never makes anything up."},{"role":"user","content":"Which river flows through the city of Vienna, and into which sea does it flow in the end?"}],"max_completion_tokens":400}"#;
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {target}\r\naccept: application/json\r\n\
         authorization: Bearer sk-bench\r\ncontent-type: application/json\r\nuser-agent: OpenAI/Python 2.14.0\r\n\
         x-stainless-lang: python\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn connection(target: SocketAddr, left: Arc<AtomicI64>) -> Result<Vec<Duration>, Failure> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let request = request(target);
    let mut buffer = Vec::with_capacity(256 * 1024);
    let mut latencies = Vec::new();
    while left.fetch_sub(1, Ordering::Relaxed) > 0 {
        let began = Instant::now();
        stream.write_all(&request).await?;
        buffer.clear();
        loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err("the connection was closed before the answer's end".into());
            }
            if is_whole(&buffer)? {
                break;
            }
        }
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

fn is_whole(buffer: &[u8]) -> Result<bool, Failure> {
    let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
    if !text.starts_with("HTTP/1.1 200") {
        return Err(format!("not a 200: {}", text.lines().next().unwrap_or_default()).into());
    }
    let length = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("content-length").then_some(value))
        .ok_or("an answer without content-length")?;
    Ok(buffer.len() >= head + 4 + length.trim().parse::<usize>()?)
}
