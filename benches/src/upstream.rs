//! An upstream that costs as little as possible: one fixed answer, written for every request it reads, or a stream of
//! small chunks where the request asks for one.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Failure;
use crate::streams::{self, STAMP, STAMP_DIGITS};

/// Chunks of one stream.
pub const CHUNKS: u32 = 100;
/// Time between two of them.
const RHYTHM: Duration = Duration::from_millis(10);

/// A chat completion of about `bytes` bytes, with its head.
#[must_use]
pub fn answer(bytes: usize) -> Vec<u8> {
    let filling = "word ".repeat(bytes.saturating_sub(620) / 5);
    let body = format!(
        r#"{{"id":"chatcmpl-CyMO4JirrrzgmNEKFANyYm31OYEh9","object":"chat.completion","created":1768501772,"model":"gpt-5-mini-2025-08-07","choices":[{{"index":0,"message":{{"role":"assistant","content":"{filling}","refusal":null,"annotations":[]}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":147,"completion_tokens":85,"total_tokens":232,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":64,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":null}}"#
    );
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nopenai-organization: acme\r\nopenai-processing-ms: 311\r\n\
         openai-version: 2020-10-01\r\nx-ratelimit-limit-requests: 5000\r\nx-ratelimit-remaining-requests: 4999\r\n\
         x-request-id: req_770abb3e3421437d2e4cf1c118192dac\r\n\
         strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body.as_bytes());
    answer
}

/// Serves until the process ends, over TLS where there is an acceptor.
///
/// # Errors
/// When a connection cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    answer: &'static [u8],
    tls: Option<TlsAcceptor>,
) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tls = tls.clone();
        // A client that breaks off is the end of its connection and of nothing else.
        tokio::spawn(async move {
            match tls {
                None => connection(stream, answer).await.ok(),
                Some(tls) => connection(tls.accept(stream).await.ok()?, answer)
                    .await
                    .ok(),
            }
        });
    }
}

async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
) -> Result<(), Failure> {
    let mut buffer = Vec::with_capacity(8192);
    loop {
        let Some((head, length)) = request(&buffer) else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let body = buffer.get(head..head + length).unwrap_or_default();
        let is_stream = body.windows(13).any(|window| window == br#""stream":true"#);
        buffer.drain(..head + length);
        if is_stream {
            send_stream(&mut stream).await?;
        } else {
            stream.write_all(answer).await?;
        }
        // TLS may hold bytes back until it is told.
        stream.flush().await?;
    }
}

/// Sends a head and the first chunk at once, then a chunk at each beat, then the usage and the end.
async fn send_stream(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), Failure> {
    let head = "HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\ncontent-type: text/event-stream\r\n\
                openai-organization: acme\r\nx-request-id: req_770abb3e3421437d2e4cf1c118192dac\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let mut beat = tokio::time::interval(RHYTHM);
    for number in 0..CHUNKS {
        beat.tick().await;
        let stamp = format!("{:0STAMP_DIGITS$}", streams::now());
        let choice = format!(r#"{{"index":0,"delta":{{{STAMP}{stamp}"}},"finish_reason":null}}"#);
        let event = chunk(&event(&choice, "null"));
        let text = if number == 0 {
            format!("{head}{event}")
        } else {
            event
        };
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await?;
    }
    let usage = format!(
        r#"{{"prompt_tokens":9,"completion_tokens":{CHUNKS},"total_tokens":{}}}"#,
        9 + CHUNKS
    );
    let last = chunk(&event("", &usage)) + &chunk("data: [DONE]\n\n") + "0\r\n\r\n";
    stream.write_all(last.as_bytes()).await?;
    Ok(())
}

fn event(choice: &str, usage: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-CyMO4JirrrzgmNEKFANyYm31OYEh9\",\"object\":\"chat.completion.chunk\",\"created\":1768501772,\"model\":\"gpt-5-mini-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{choice}],\"usage\":{usage},\"obfuscation\":\"q8Zk\"}}\n\n"
    )
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Length of the head and of the body, once the head is whole.
fn request(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(bytes.get(..head)?).ok()?;
    let length = text
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(str::to_owned)
        })
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0);
    Some((head, length))
}
