//! Load that would break a proxy without limits: crowds of idle, slow and silent clients, bodies without end,
//! bombs, names without number, more clients than there is room for. The gate runs a small version of each, the
//! long run (`DEEP=1`) the whole and writes its figures into `docs/reliability.md`.
//!
//! Knows what goes in, how much memory it takes and how long others wait; not how that is achieved.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::chat::{MODEL, PATH, ask};
use harness::figures::{Figures, is_deep};
use harness::flood::{Flood, Flooding, TOKENS};
use harness::gauge::{GoodClient, MIB, Waits, Weight, descriptors, mib};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const GIB: u64 = 1024 * MIB;
const ASKED_STREAM: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;
/// How long a good client is watched before there is any load.
const CALM: Duration = Duration::from_secs(2);

/// One load at a time: each is measured.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The small number in the gate, the large one in the long run.
fn so_many(small: u64, large: u64) -> u64 {
    if is_deep() { large } else { small }
}

fn chat() -> Request {
    Request::post(PATH, ask(MODEL, ""))
}

async fn started(config: &str) -> (Flooding, Proxy) {
    let upstream = Flooding::start().await;
    let setup = ProxySetup::to(&upstream.url()).variable("TOLLFREE_DATA_DIR", "off");
    let proxy = Proxy::start(setup.config(config));
    // What is made once is there before anything is measured.
    for _ in 0..100 {
        assert_eq!(proxy.exchange(&chat()).await.status(), 200);
    }
    (upstream, proxy)
}

/// How long a good client waits without any load.
async fn calm(proxy: &Proxy) -> Waits {
    let client = GoodClient::calling(proxy.address(), &chat()).await;
    tokio::time::sleep(CALM).await;
    client.waits().await
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

async fn opened(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a listener")
}

/// Waits until the other side closes, and how long that took.
async fn closed(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut room = [0; 1024];
    // A reset is a close, too.
    while let Ok(1..) = stream.read(&mut room).await {}
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_crowd_costs_little() {
    let _alone = ALONE.lock().await;
    let (_upstream, proxy) = started("[listener]\nidle_timeout = \"10 min\"").await;
    let many = so_many(500, 9_500);
    let before = calm(&proxy).await;
    let weight = Weight::of(proxy.id());
    let mut crowd = Vec::new();
    for number in 0..many {
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        if number % 2 == 0 {
            // Each second one has made a call before it fell idle.
            let answer = connection.exchange(&chat()).await.expect("an answer");
            assert_eq!(answer.status(), 200);
        }
        crowd.push(connection);
    }
    let client = GoodClient::calling(proxy.address(), &chat()).await;
    tokio::time::sleep(CALM).await;
    let (waits, grown) = (client.waits().await, weight.grown());
    let mut figures = Figures::of("An idle crowd", "load: idle");
    figures.line("idle connections", many);
    figures.line(
        "memory they take together (most: 120 MiB for 10,000)",
        mib(grown),
    );
    figures.line(
        "p99 of a good client without and with them (most: twice)",
        format!("{}, {}", ms(before.percent(99)), ms(waits.percent(99))),
    );
    figures.keep();
    assert!(
        grown < 120 * MIB * many / 10_000 + 16 * MIB,
        "{}",
        mib(grown)
    );
}

/// One of the bodies that take memory where they are kept.
async fn large(address: SocketAddr, flood: Flood) -> u64 {
    let request = match flood {
        Flood::Download(_) => Request::get("/v1/files/file-1/content"),
        Flood::Bomb(_) => chat().header("accept-encoding", "gzip"),
        Flood::Line(_) | Flood::Tiny(_) => Request::post(PATH, ask(MODEL, ASKED_STREAM)),
    };
    let mut connection = Connection::open(address).await.expect("a listener");
    connection
        .send(&flood.asked(request).bytes())
        .await
        .expect("sent");
    let head = connection.head("POST").await.expect("an answer");
    assert_eq!(head.status, 200, "{flood:?}");
    let bytes = connection.drop_body(&head).await.expect("a whole body");
    let call = head
        .headers
        .get("x-tollfree-call")
        .expect("a call")
        .to_owned();
    let look_up = Request::get(&format!("/_tollfree/calls/{call}?wait=10"));
    let word = connection.exchange(&look_up).await.expect("a word").text();
    match flood {
        Flood::Line(_) | Flood::Tiny(_) => {
            assert!(word.contains(&format!("\"tokens\":{TOKENS}")), "{word}");
        }
        Flood::Bomb(_) => assert!(word.contains("\"verdict\":\"unknown\""), "{word}"),
        Flood::Download(_) => {}
    }
    bytes
}

async fn upload(address: SocketAddr, bytes: u64) -> u64 {
    let mut stream = opened(address).await;
    let head = format!("POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let piece = vec![b'x'; 256 * 1024];
    for _ in 0..bytes / piece.len() as u64 {
        stream.write_all(&piece).await.expect("sent");
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_what_passes() {
    let _alone = ALONE.lock().await;
    let (_upstream, proxy) = started("").await;
    let address = proxy.address();
    let mut figures = Figures::of("Bodies without end", "load: bodies");
    let (whole, line) = (so_many(64 * MIB, GIB), 64 * MIB);
    let before = calm(&proxy).await;
    figures.line(
        "p50 and worst wait of a good client without load",
        format!("{}, {}", ms(before.percent(50)), ms(before.worst())),
    );
    let mut most = 0;
    for (name, flood) in [
        ("upload", None),
        ("download", Some(Flood::Download(whole))),
        ("a line of 64 MiB in a stream", Some(Flood::Line(line))),
        (
            "a gzip bomb of 10 GB (in the gate 1 GB)",
            Some(Flood::Bomb(so_many(GIB, 10 * GIB))),
        ),
        (
            "a stream in chunks of one byte",
            Some(Flood::Tiny(so_many(50_000, 1_000_000))),
        ),
    ] {
        let weight = Weight::of(proxy.id());
        let client = GoodClient::calling(address, &chat()).await;
        let bytes = match flood {
            None => upload(address, whole).await,
            Some(flood) => large(address, flood).await,
        };
        let (waits, grown) = (client.waits().await, weight.grown());
        most = most.max(grown);
        figures.line(
            &format!("{name} ({} on the wire): memory (most: 64 MiB); worst wait of others (most: 50 ms)", mib(bytes)),
            format!("{}; {}", mib(grown), ms(waits.worst())),
        );
    }
    let (weight, mut slow) = (Weight::of(proxy.id()), Vec::new());
    let readers = so_many(100, 100);
    for _ in 0..readers {
        let mut connection = Connection::open(address).await.expect("a listener");
        let asked = Flood::Download(whole).asked(Request::get("/v1/files/file-1/content"));
        connection.send(&asked.bytes()).await.expect("sent");
        connection.head("GET").await.expect("an answer");
        slow.push(connection);
    }
    let client = GoodClient::calling(address, &chat()).await;
    tokio::time::sleep(CALM).await;
    let (waits, grown) = (client.waits().await, weight.grown());
    most = most.max(grown);
    figures.line(
        &format!("{readers} readers that read nothing more: memory; worst wait of others"),
        format!("{}; {}", mib(grown), ms(waits.worst())),
    );
    figures.keep();
    assert!(most < 64 * MIB, "{}", mib(most));
}

/// A connection that says this and no more, until it is cut: how long that took.
async fn slow(mut stream: TcpStream, begin: &'static str, drip: &'static str) -> Duration {
    let opened = Instant::now();
    if stream.write_all(begin.as_bytes()).await.is_ok() && !drip.is_empty() {
        let (mut source, mut sink) = stream.split();
        let dripping = async {
            while sink.write_all(drip.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let mut room = [0; 64];
        tokio::select! {
            () = dripping => {}
            _ = source.read(&mut room) => {}
        }
    } else {
        closed(&mut stream).await;
    }
    opened.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_and_hold_nobody_up() {
    let _alone = ALONE.lock().await;
    let seconds = so_many(2, 15);
    let config = format!("[listener]\nhead_timeout = \"{seconds} s\"");
    let (_upstream, proxy) = started(&config).await;
    let address = proxy.address();
    let (heads, silent, bodies) = (so_many(100, 1_000), so_many(50, 500), so_many(20, 100));
    let before = calm(&proxy).await;
    let weight = Weight::of(proxy.id());
    let client = GoodClient::calling(address, &chat()).await;
    let mut uploads = Vec::new();
    for number in 0..bodies {
        let mut stream = opened(address).await;
        let path = [PATH, "/v1/files"][usize::try_from(number % 2).expect("0 or 1")];
        let begin = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{{");
        stream.write_all(begin.as_bytes()).await.expect("sent");
        uploads.push(stream);
    }
    let mut cut = JoinSet::new();
    for number in 0..heads + silent {
        // One after the other: what the system's own queue of connections has no room for never reaches the proxy.
        let stream = opened(address).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        if number < heads {
            let begin = "GET /v1/models HTTP/1.1\r\nhost: x\r\n";
            cut.spawn(slow(stream, begin, "x-slow: 1\r\n"));
        } else {
            cut.spawn(slow(stream, "", ""));
        }
    }
    let mut times = cut.join_all().await;
    times.sort_unstable();
    let (waits, grown) = (client.waits().await, weight.grown());
    let (first, last) = (times[0], times[times.len() - 1]);
    let mut figures = Figures::of("Slow clients", "load: slow");
    figures.line(&format!("{heads} slow heads and {silent} that say nothing: first and last cut (limit {seconds} s)"), format!("{:.1} s, {:.1} s", first.as_secs_f64(), last.as_secs_f64()));
    figures.line("slow bodies meanwhile", bodies);
    figures.line(
        "p95 of a good client without and with them (most: twice)",
        format!("{}, {}", ms(before.percent(95)), ms(waits.percent(95))),
    );
    figures.line("memory", mib(grown));
    figures.keep();
    let limit = Duration::from_secs(seconds);
    let slack = Duration::from_secs(1);
    assert!(
        first >= limit.saturating_sub(slack) && last <= limit + slack * 2,
        "{first:?} {last:?}"
    );
    drop(uploads);
    eventually("every connection is let go", || {
        (descriptors(proxy.id()) < 40).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_without_number_are_bounded() {
    let _alone = ALONE.lock().await;
    let (_upstream, proxy) = started("").await;
    let many = so_many(5_000, 100_000);
    let weight = Weight::of(proxy.id());
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let address = proxy.address();
        callers.spawn(async move {
            let mut connection = Connection::open(address).await.expect("a listener");
            for number in (caller..many).step_by(8) {
                let model = format!("model-{number}-{}", "m".repeat(100));
                let key = format!("Bearer sk-{number}");
                let requests = [
                    Request::post(PATH, ask(&model, ""))
                        .header("authorization", &key)
                        .header("openai-organization", &model),
                    Request::get(&format!("/v1/path-{number}/{}", "p".repeat(100))),
                ];
                for request in requests {
                    let answer = connection.exchange(&request).await.expect("an answer");
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                }
            }
        });
    }
    callers.join_all().await;
    let grown = weight.grown();
    let mut figures = Figures::of("Names without number", "load: names");
    figures.line(
        "models, organizations asked for, keys and paths, each",
        many,
    );
    figures.line("memory (most: 32 MiB)", mib(grown));
    figures.keep();
    assert!(grown < 32 * MIB, "{}", mib(grown));
}

/// Who is told to come again in a second does, as OpenAI's SDKs do; who is not told tries again as soon as they would.
const TOLD: Duration = Duration::from_secs(1);
const UNTOLD: Duration = Duration::from_millis(500);

/// Clients that call as fast as they are answered, each time on a new connection, until this moment: calls answered
/// 200, told 503, and neither.
async fn crowd(address: SocketAddr, clients: u64, until: Instant) -> [u64; 3] {
    let mut calling = JoinSet::new();
    for _ in 0..clients {
        calling.spawn(async move {
            let mut told = [0; 3];
            while Instant::now() < until {
                let exchange = async {
                    let mut connection = Connection::open(address).await?;
                    connection
                        .exchange(&chat().header("connection", "close"))
                        .await
                };
                match exchange.await {
                    Ok(answer) if answer.status() == 200 => told[0] += 1,
                    Ok(answer) => {
                        assert_eq!(answer.status(), 503);
                        assert!(
                            answer.text().contains(r#""code":"overloaded""#),
                            "{}",
                            answer.text()
                        );
                        told[1] += 1;
                        let pause = answer.header("retry-after").expect("a time");
                        assert_eq!(pause, "1");
                        tokio::time::sleep(TOLD).await;
                    }
                    Err(_) => {
                        told[2] += 1;
                        tokio::time::sleep(UNTOLD).await;
                    }
                }
            }
            told
        });
    }
    let all = calling.join_all().await;
    [0, 1, 2].map(|which| all.iter().map(|told: &[u64; 3]| told[which]).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_clients_than_there_is_room_for_are_told_so_and_the_others_served() {
    let _alone = ALONE.lock().await;
    let places = 64;
    let (_upstream, proxy) = started(&format!("[listener]\nmost_connections = {places}")).await;
    let address = proxy.address();
    let time = Duration::from_secs(so_many(2, 60));
    let usual = Duration::from_secs(so_many(2, 10));
    // Fewer than there is room for: a place is free only once its client has gone.
    let within = crowd(address, places / 2, Instant::now() + usual).await;
    let over = crowd(address, places * 5, Instant::now() + time).await;
    let began = Instant::now();
    while proxy_is_full(address).await {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it does not recover"
        );
    }
    let recovered = began.elapsed();
    // Calls in a thousand seconds.
    let rate = |calls: u64, time: Duration| {
        let millis = u64::try_from(time.as_millis()).expect("a short time");
        calls * 1_000_000 / millis
    };
    let usually = rate(within[0], usual);
    let kept = rate(over[0], time) * 100 / usually.max(1);
    let mut figures = Figures::of("Overload", "load: overload");
    figures.line(
        "connections that are taken, clients at once",
        format!("{places}, {}", places * 5),
    );
    figures.line("calls a second within the limit", usually / 1_000);
    figures.line(
        "calls a second under overload, of that (least: 90 %)",
        format!("{kept} %"),
    );
    figures.line(
        "told 503 in OpenAI's shape, and closed without a word",
        format!("{}, {}", over[1], over[2]),
    );
    figures.line("until a new client is served (most: 2 s)", ms(recovered));
    figures.keep();
    assert!(over[1] > 0, "nobody was told: {over:?}");
    assert!(
        over[0] > 0 && recovered < Duration::from_secs(2),
        "{over:?} {recovered:?}"
    );
}

async fn proxy_is_full(address: SocketAddr) -> bool {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        connection.exchange(&chat()).await
    };
    exchange.await.is_ok_and(|answer| answer.status() != 200)
}
