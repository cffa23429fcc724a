//! tollfree beside nginx and a bare hyper pass-through, interleaved round by round in one run: CPU per call and per
//! chunk, latency, rhythm of streams, memory, TLS to the upstream, one worker and two. Each is a process of its own.
//! Prints the tables and writes them to `benches/RESULTS.md`; everything else it writes stays in `target/side-by-side`.
//!
//! `cargo run --release -p benches --bin side-by-side [-- ROUNDS CALLS]`

use std::path::Path;

use benches::calls::{self, CONNECTIONS, SMALL};
use benches::rhythm::{self, STREAMS};
use benches::sides::Setting;
use benches::{Failure, certificates, pass_through, results, upstream};
use tokio::net::TcpListener;

/// Bytes of a large answer.
const LARGE: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upstream", bytes, certificates @ ..] => {
            let tls = certificates.first().map(Path::new);
            let tls = tls.map(certificates::acceptor).transpose()?;
            let listener = listen().await?;
            upstream::serve(listener, upstream::answer(bytes.parse()?).leak(), tls).await
        }
        ["pass-through", upstream] => {
            let listener = listen().await?;
            pass_through::serve(listener, upstream.parse()?).await
        }
        [] => compare(9, 10_000).await,
        [rounds, calls] => compare(rounds.parse()?, calls.parse()?).await,
        _ => Err("usage: side-by-side [ROUNDS CALLS]".into()),
    }
}

/// Listens on a free port and says which.
async fn listen() -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

async fn compare(rounds: usize, calls: i64) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return Err("figures of a debug build say nothing. help: cargo run --release".into());
    }
    let small = Setting::of(SMALL);
    let tls = Setting { tls: true, ..small };
    let mut gates = Vec::new();
    let tables = [
        calls::busy(small, rounds, calls, &mut gates).await?,
        calls::busy(Setting::of(LARGE), rounds, calls / 4, &mut gates).await?,
        calls::busy(tls, rounds, calls, &mut gates).await?,
        calls::alone(small, rounds, calls / 10, &mut gates).await?,
        calls::alone(tls, rounds, calls / 10, &mut gates).await?,
        calls::wide(rounds, calls, &mut gates).await?,
        rhythm::in_streams(rounds, &mut gates).await?,
    ];
    for table in &tables {
        println!("{}", table.text());
    }
    let method = format!(
        "{rounds} rounds; in each, all of a table take their turn, the first one another each time. {CONNECTIONS} \
         connections take {calls} calls a round ({} with {LARGE} bytes, {} from one connection); {STREAMS} streams \
         of {} chunks at 10 ms. CPU is user and kernel time of the process from the scheduler's accounts. A ratio is \
         taken within each round: median, upper quartile (lowest..highest). With TLS to upstream all verify its \
         certificate and keep their connections. Load, upstream and those compared share \
         the machine's cores.",
        calls / 4,
        calls / 10,
        upstream::CHUNKS,
    );
    results::write(&results::page(), &method, &gates, &tables)
}
