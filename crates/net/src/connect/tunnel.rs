//! A tunnel through an HTTP proxy: `CONNECT` (RFC 9110, 9.3.6). It must not know what goes through it.

use std::io;

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of the head of a proxy's answer.
const MOST_HEAD_BYTES: usize = 8 * 1024;

/// The proxy opened no tunnel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    /// It wants to know who we are, or does not like who we are.
    #[error("407, it asks for a user and a password")]
    WhoAreYou,
    /// It answered with a status other than 2xx.
    #[error("status {0}")]
    Status(u16),
    /// Its answer is not the head of an HTTP/1 response and nothing more, within 8 KiB.
    #[error("its answer is not HTTP")]
    NotHttp,
    /// It closed the connection without an answer.
    #[error("it closed the connection")]
    Closed,
    /// The connection to it broke.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Asks the proxy at the other end of `stream` to connect it to `target` (`host:port`).
pub(crate) async fn open<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    target: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), TunnelError> {
    let mut head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n").into_bytes();
    if let Some(value) = authorization {
        head.extend_from_slice(b"proxy-authorization: ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await?;

    let mut answer = Vec::with_capacity(512);
    // Nobody beyond the proxy speaks before we do, so bytes after the head cannot be part of the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MOST_HEAD_BYTES {
            return Err(TunnelError::NotHttp);
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(TunnelError::Closed);
        }
        // A refusal may bring a body; its status is all we want.
        if answer.contains(&b'\n') && !matches!(status(&answer)?, 200..300) {
            break;
        }
    }
    match status(&answer)? {
        200..300 => Ok(()),
        407 => Err(TunnelError::WhoAreYou),
        status => Err(TunnelError::Status(status)),
    }
}

/// The status of a response head.
fn status(head: &[u8]) -> Result<u16, TunnelError> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let version = words.next().unwrap_or_default();
    let code = words
        .next()
        .and_then(|code| std::str::from_utf8(code.trim_ascii_end()).ok());
    match code.and_then(|code| code.parse().ok()) {
        Some(status) if version.starts_with(b"HTTP/1.") => Ok(status),
        _ => Err(TunnelError::NotHttp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(answer: &'static [u8]) -> (Result<(), TunnelError>, Vec<u8>) {
        let (mut ours, mut proxy) = tokio::io::duplex(1024);
        let said = tokio::spawn(async move {
            let mut said = Vec::new();
            while !said.ends_with(b"\r\n\r\n") {
                assert_ne!(proxy.read_buf(&mut said).await.unwrap(), 0);
            }
            proxy.write_all(answer).await.unwrap();
            said
        });
        let name = HeaderValue::from_static("Basic dTpw");
        let opened = open(&mut ours, "api.example:443", Some(&name)).await;
        (opened, said.await.unwrap())
    }

    #[tokio::test]
    async fn a_proxy_that_agrees() {
        let (opened, said) =
            answered(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n").await;
        opened.unwrap();
        assert_eq!(
            String::from_utf8(said).unwrap(),
            "CONNECT api.example:443 HTTP/1.1\r\nhost: api.example:443\r\nproxy-authorization: Basic dTpw\r\n\r\n"
        );
        assert!(answered(b"HTTP/1.0 200\r\n\r\n").await.0.is_ok());
    }

    #[tokio::test]
    async fn a_proxy_that_does_not() {
        let error = async |answer| answered(answer).await.0.unwrap_err();
        assert!(matches!(
            error(b"HTTP/1.1 407 Who?\r\n\r\n").await,
            TunnelError::WhoAreYou
        ));
        assert!(matches!(
            error(b"HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\nsorry").await,
            TunnelError::Status(503)
        ));
        assert!(matches!(
            error(b"220 mail.example ESMTP\r\n").await,
            TunnelError::NotHttp
        ));
        assert!(matches!(error(b"HTTP/1.1 20").await, TunnelError::Closed));
    }
}
