//! A port that somebody else has: who that is, and which one to take instead. It must not know why it was wanted.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::banner::reachable;
use crate::config::Config;
use crate::open_ledger;

/// How long whoever has the port may take to show what it is.
const MOST_WAIT: Duration = Duration::from_millis(500);
/// Bytes of its answer that are looked at.
const MOST_READ: usize = 64 << 10;
/// A path that is answered by the proxy itself and never forwarded, and that names no call.
const QUESTION: &[u8] =
    b"GET /_tollfree/calls/- HTTP/1.1\r\nhost: tollfree\r\nconnection: close\r\n\r\n";
/// The same of the port of a page, which shows nothing there; a name that is none of its own it would not answer.
const PAGE_QUESTION: &[u8] =
    b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// What stands in its answer to that.
const PAGE_WORDS: [&str; 3] = ["\"status\":", "\"notices\":", "\"waiting_entries\":"];
/// From the port that was wanted to the one that is proposed.
const STEP: u16 = 10;

/// Somebody else listens there.
#[derive(Debug)]
pub(crate) struct BusyPort {
    address: SocketAddr,
    by: By,
    /// It was to be the page's, not that of the calls.
    is_of_page: bool,
}

#[derive(Debug)]
enum By {
    /// A tollfree, and its process id where its data directory is ours too.
    Tollfree(Option<u32>),
    Other,
}

impl BusyPort {
    /// Finds out who listens there. A tollfree with the same data directory says its process id in it.
    pub(crate) async fn at(address: SocketAddr, config: &Config) -> Self {
        let asked = timeout(MOST_WAIT, is_tollfree(address)).await;
        let by = if matches!(asked, Ok(Ok(true))) {
            By::Tollfree(match config.data_dir.folder() {
                Some(folder) => open_ledger::pid_of_holder(folder).await,
                None => None,
            })
        } else {
            By::Other
        };
        let is_of_page = address != config.listen && config.admin.listen == Some(address);
        Self {
            address,
            by,
            is_of_page,
        }
    }
}

impl BusyPort {
    /// Whether a tollfree is there, and it is not known which.
    pub(crate) fn may_be_ours(&self) -> bool {
        matches!(self.by, By::Tollfree(None))
    }
}

/// Another address in the place of a busy one.
pub(crate) fn proposed(busy: SocketAddr) -> SocketAddr {
    let port = busy.port();
    SocketAddr::new(
        busy.ip(),
        port.checked_add(STEP).unwrap_or_else(|| port - STEP),
    )
}

/// Whether an answer from there carries our name for a call, as each of ours does, or tells of our health.
async fn is_tollfree(address: SocketAddr) -> std::io::Result<bool> {
    let text = answer(address, QUESTION).await?;
    let name = format!("\n{}:", proxy::CALL_HEADER);
    if text.contains(&name) {
        return Ok(true);
    }
    let text = answer(address, PAGE_QUESTION).await?;
    Ok(PAGE_WORDS.iter().all(|word| text.contains(word)))
}

/// What is answered there, in small letters.
async fn answer(address: SocketAddr, question: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(reachable(address)).await?;
    stream.write_all(question).await?;
    let mut answer = Vec::new();
    stream
        .take(MOST_READ as u64)
        .read_to_end(&mut answer)
        .await?;
    Ok(String::from_utf8_lossy(&answer).to_ascii_lowercase())
}

impl fmt::Display for BusyPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        let other = proposed(address);
        let other = if self.is_of_page {
            format!("TOLLFREE_ADMIN_LISTEN={other}")
        } else {
            format!("--listen {other}")
        };
        write!(f, "cannot listen on {address}: in use by ")?;
        match self.by {
            By::Tollfree(Some(pid)) => write!(
                f,
                "tollfree (pid {pid}). help: tollfree status shows it, or start with {other}"
            ),
            By::Tollfree(None) => {
                write!(f, "another tollfree. help: stop it, or start with {other}")
            }
            By::Other => {
                write!(f, "another program. help: stop it, or start with {other}")
            }
        }
    }
}

impl std::error::Error for BusyPort {}
