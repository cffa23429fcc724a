//! Requests that were good until chance laid hands on them: what reaches upstream has one reading, and nobody
//! falls over. The gate tries a few thousand, the long run (`DEEP=1`) a million.
//!
//! Knows HTTP/1.1's framing, and what of it matters to whoever smuggles.

use std::time::Duration;

use harness::chance::Chance;
use harness::chat::{MODEL, PATH, ask};
use harness::figures::{Figures, is_deep};
use harness::http1::{find, text};
use harness::lines::{CHUNKED, CHUNKS, HOST, OK};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::Request;
use harness::upstream::{Received, Upstream};

/// Good requests to begin with.
fn seeds() -> Vec<Vec<u8>> {
    let chunked = format!("POST {PATH} HTTP/1.1\r\n{HOST}{CHUNKED}{CHUNKS}");
    vec![
        Request::post(PATH, ask(MODEL, "")).bytes(),
        Request::post("/v1/files", "abc")
            .header("connection", "x-a")
            .header("x-a", "1")
            .bytes(),
        Request::get("/v1/models?limit=1")
            .header("accept-encoding", "gzip")
            .bytes(),
        chunked.into_bytes(),
    ]
}

/// What mutations put in, because it matters to somebody.
const WORDS: [&[u8]; 14] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b"chunked",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"host: evil\r\n",
    b"HTTP/1.0",
    b"GET /smuggled HTTP/1.1\r\n",
    b"connection: content-length\r\n",
];

fn mutated(seed: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..chance.between(1, 4) {
        let last = bytes.len() as u64;
        let place =
            |chance: &mut Chance| usize::try_from(chance.between(0, last)).expect("a place");
        let (one, other) = (place(chance), place(chance));
        let (begin, end) = (one.min(other), one.max(other).min(one.min(other) + 20));
        match chance.between(0, 3) {
            0 => drop(bytes.drain(begin..end)),
            1 => drop(bytes.splice(begin..begin, chance.of_these(&WORDS).iter().copied())),
            2 => drop(bytes.splice(begin..end, chance.of_these(&WORDS).iter().copied())),
            _ => {
                let copy = bytes[begin..end].to_vec();
                drop(bytes.splice(begin..begin, copy));
            }
        }
    }
    bytes
}

/// Mutated requests: so many in the gate, and in the long run.
const MUTATED: [u64; 2] = [3_000, 1_000_000];
/// The connections that bring them at the same time.
const BRINGERS: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_requests_reach_upstream_in_one_reading_or_not_at_all() {
    let upstream = Upstream::constant(OK).await;
    let mut proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let many = MUTATED[usize::from(is_deep())];
    let address = proxy.address();
    let mut bringers = tokio::task::JoinSet::new();
    for number in 0..BRINGERS {
        bringers.spawn(async move {
            let mut chance = Chance::of(7 + number);
            let (seeds, mut odd) = (seeds(), Vec::new());
            for _ in 0..many / BRINGERS {
                let mut bytes = mutated(
                    &seeds[usize::try_from(chance.word() % 4).expect("one of four")],
                    &mut chance,
                );
                // Whatever it is, it is over after this.
                bytes.extend(b"\r\n\r\n");
                let came = brought(address, &bytes).await;
                if find(&came, b"HTTP/1.1 500").is_some()
                    || (!came.is_empty() && !came.starts_with(b"HTTP/1."))
                {
                    odd.push(format!("{:?} -> {:?}", text(&bytes), text(&came)));
                }
            }
            odd
        });
    }
    let mut odd: Vec<String> = Vec::new();
    while let Some(found) = bringers.join_next().await {
        odd.extend(found.expect("no panic"));
    }
    let received = upstream.received();
    let two: Vec<_> = received.iter().filter(|one| !is_clear(one)).collect();
    let panics = proxy.log().matches("panicked").count();
    let mut figures = Figures::of("Mutated requests", "load: mutated");
    figures.line(
        "requests, and those of them that were forwarded",
        format!("{many}, {}", received.len()),
    );
    figures.line(
        "answers that are no HTTP, or status 500 (most: 0)",
        odd.len(),
    );
    figures.line(
        "requests at upstream with two readings (most: 0)",
        two.len(),
    );
    figures.line("panics (most: 0)", panics);
    figures.keep();
    let first = |of: usize| of.min(5);
    let (answers, requests) = (&odd[..first(odd.len())], &two[..first(two.len())]);
    assert!(odd.is_empty(), "{} answers: {answers:#?}", odd.len());
    assert!(two.is_empty(), "{} requests: {requests:#?}", two.len());
    assert_eq!(panics, 0, "{}", proxy.log());
    let good = proxy.exchange(&Request::get("/v1/models")).await;
    assert_eq!(good.status(), 200);
    proxy.terminate();
    assert!(proxy.wait_for_exit().success());
}

/// Whether what reached upstream has one reading: one framing, one host, and a path.
fn is_clear(received: &Received) -> bool {
    let lengths = received.headers.all("content-length").len();
    let chunked = received.headers.all("transfer-encoding");
    lengths + chunked.len() <= 1
        && chunked.iter().all(|one| *one == "chunked")
        && received.headers.all("host").len() == 1
        && (received.target.starts_with('/') || received.method == "OPTIONS")
}

/// Everything that comes back to these bytes and a FIN.
async fn brought(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a listener");
    let mut came = Vec::new();
    let talk = async {
        // The other side may well have closed before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut room = [0; 2048];
        // One answer is enough; the FIN after it ends what else there is.
        if let Ok(read) = stream.read(&mut room).await {
            came.extend_from_slice(&room[..read]);
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(50), talk).await;
    came
}
