//! Clients that flood in HTTP/2: resets, continuations, empty data, settings, pings, compressed headers. The connection
//! ends, or the flood is at the client's own cost; memory stays as it was, and others are served.
//!
//! Knows frames as RFC 9113 has them, byte by byte.

use std::time::{Duration, Instant};

use harness::gauge::{GoodClient, Weight};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::Request;
use harness::upstream::{Upstream, sized};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a head and a pause are cut to in this suite: together, as long as a flood that makes no call may last.
const HEAD: Duration = Duration::from_secs(2);
/// The longest that a flood may go on.
const MOST: Duration = Duration::from_secs(10);
/// Memory that a flood may take, in bytes.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET / http` for the authority `x`, and the same with POST.
const GET: &[u8] = b"\x82\x84\x86\x41\x01x";
const POST: &[u8] = b"\x83\x84\x86\x41\x01x";

/// What a client sends over and over; `number` counts the pieces.
type Flood = fn(u32) -> Vec<u8>;

fn resets(number: u32) -> Vec<u8> {
    let stream = number * 2 + 1;
    [
        frame(HEADERS, END_STREAM | END_HEADERS, stream, GET),
        frame(RESET, 0, stream, &[0, 0, 0, 8]),
    ]
    .concat()
}

fn continuations(number: u32) -> Vec<u8> {
    let mut line = b"\x00\x03x-a\x64".to_vec();
    line.extend([b'a'; 100]);
    match number {
        0 => frame(HEADERS, END_STREAM, 1, GET),
        _ => frame(CONTINUATION, 0, 1, &line.repeat(50)),
    }
}

fn empty_continuations(number: u32) -> Vec<u8> {
    match number {
        0 => frame(HEADERS, END_STREAM, 1, GET),
        _ => frame(CONTINUATION, 0, 1, b""),
    }
}

fn empty_data(number: u32) -> Vec<u8> {
    match number {
        0 => frame(HEADERS, END_HEADERS, 1, POST),
        _ => frame(DATA, 0, 1, b""),
    }
}

/// One byte for each header that the table holds.
fn compressed(number: u32) -> Vec<u8> {
    let mut block = GET.to_vec();
    if number == 0 {
        block.extend(b"\x40\x03x-a\x7f\xb1\x1e");
        block.extend([b'a'; 4000]);
    } else {
        block.extend([0xbe; 16_000]);
    }
    frame(HEADERS, END_STREAM | END_HEADERS, number * 2 + 1, &block)
}

fn streams(number: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, number * 2 + 1, POST)
}

fn settings(_: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])
}

fn pings(_: u32) -> Vec<u8> {
    frame(PING, 0, 0, b"12345678")
}

fn priorities(number: u32) -> Vec<u8> {
    frame(PRIORITY, 0, number * 2 + 1, &[0, 0, 0, 0, 16])
}

const FLOODS: [(&str, Flood); 9] = [
    ("resets", resets),
    ("continuations", continuations),
    ("empty continuations", empty_continuations),
    ("empty data", empty_data),
    ("compressed headers", compressed),
    ("streams", streams),
    ("settings", settings),
    ("pings", pings),
    ("priorities", priorities),
];

/// Floods until the connection ends, and says how long that took.
async fn flood(proxy: &Proxy, flood: Flood) -> Duration {
    let stream = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    let began = Instant::now();
    let (mut source, mut sink) = stream.into_split();
    let sending = async {
        sink.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat())
            .await?;
        for number in 0.. {
            sink.write_all(&flood(number)).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let reading = async {
        let mut room = vec![0; 64 * 1024];
        while let Ok(1..) = source.read(&mut room).await {}
    };
    tokio::select! {
        _ = sending => {}
        () = reading => {}
        () = tokio::time::sleep(MOST) => {}
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_end_and_cost_no_memory() {
    let upstream = Upstream::constant(sized(200, &[], b"{}")).await;
    let seconds = HEAD.as_secs();
    let config =
        format!("[listener]\nhead_timeout = \"{seconds} s\"\nidle_timeout = \"{seconds} s\"");
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()).config(&config));
    let request = Request::get("/v1/models");
    for (name, pieces) in FLOODS {
        let weight = Weight::of(proxy.id());
        let client = GoodClient::calling(proxy.address(), &request).await;
        let took = flood(&proxy, pieces).await;
        // A good client is served all the while: each of its calls is checked.
        client.waits().await;
        let grown = weight.grown();
        assert!(took < MOST, "{name} goes on");
        assert!(grown < MOST_BYTES, "{name}: {grown} bytes");
    }
}
