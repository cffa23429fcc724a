//! WebSockets of which a side takes nothing: they end. Those on which nothing is said, or whose sides are slow, go on.
//!
//! Knows what each side sends and takes.

use std::time::{Duration, Instant};

use harness::beside::{self, get};
use harness::proxy::{Proxy, ProxySetup};
use harness::websocket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is set small waits this long, and may take that much longer on a busy machine.
const SMALL: Duration = Duration::from_millis(400);
const LATEST: Duration = Duration::from_secs(8);

/// Opens a WebSocket from end to end, and gives the ends of client and upstream.
async fn websocket(upstream: &TcpListener, proxy: &Proxy) -> (TcpStream, TcpStream) {
    let head = websocket::asking("/v1/responses", "");
    let ((_, client), there) = tokio::join!(websocket::ask(proxy.address(), &head), async {
        let (mut there, _) = upstream.accept().await.expect("a connection");
        let answer = websocket::opening("");
        there.write_all(answer.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(there.read_u8().await.expect("a head"));
        }
        there
    });
    (client, there)
}

#[tokio::test]
async fn a_websocket_ends_whose_either_side_takes_nothing_and_none_on_which_nothing_is_said() {
    const STEP: usize = 1024 * 1024;
    let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", upstream.local_addr().expect("an address"));
    let setup = ProxySetup::to(&url).config("[listener]\nwrite_stall = \"400 ms\"");
    let proxy = Proxy::start(setup);
    for client_reads in [false, true] {
        let (client, there) = websocket(&upstream, &proxy).await;
        let (mut reads, mut says) = if client_reads {
            (there, client)
        } else {
            (client, there)
        };
        tokio::time::sleep(SMALL * 3).await;
        // Who is slow is waited for, longer than for who takes nothing.
        let mut room = vec![0; STEP];
        for _ in 0..12 {
            let (said, slow) = (vec![0; STEP], tokio::time::sleep(SMALL / 4));
            let (sent, read, ()) =
                tokio::join!(says.write_all(&said), reads.read_exact(&mut room), slow);
            sent.and(read).expect("it is open");
        }
        let step = vec![0; STEP];
        let flood = async { while says.write_all(&step).await.is_ok() {} };
        let began = Instant::now();
        let ended = tokio::time::timeout(LATEST, flood).await;
        assert!(ended.is_ok(), "it is never cut");
        assert!(began.elapsed() > SMALL / 2, "{:?}", began.elapsed());
        // What comes is what its socket had taken; a reset is an end too.
        while let Ok(1..) = reads.read(&mut room).await {}
    }
    // Clients are counted, not upstream.
    let counted = "tollfree_connections_closed_total{reason=\"stalled-write\"} 1";
    let metrics = get(beside::address(&proxy), "/metrics").await.text();
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
}
