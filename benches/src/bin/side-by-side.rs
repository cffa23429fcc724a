//! tollfree beside nginx and a bare hyper pass-through, interleaved round by round in one run: CPU per call and per
//! chunk, latency, rhythm of streams, memory. Each is a process of its own with one worker. Prints the tables and
//! writes them to `benches/RESULTS.md`; everything else it writes stays in `target/side-by-side`.
//!
//! `cargo run --release -p benches --bin side-by-side [-- ROUNDS CALLS]`

use benches::contest::Contest;
use benches::results::{self, Gate, Table};
use benches::sides::{Process, Side};
use benches::spread::{Spread, microseconds_at};
use benches::{Failure, cpu, load, pass_through, streams, upstream};
use tokio::net::TcpListener;

/// Connections that call at once.
const CONNECTIONS: usize = 64;
/// Sizes of the answers, in bytes.
const SMALL: usize = 1_200;
const LARGE: usize = 100_000;
/// Streams read at once.
const STREAMS: u32 = 200;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upstream", bytes] => {
            let listener = listen().await?;
            upstream::serve(listener, upstream::answer(bytes.parse()?).leak()).await
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
    let mut gates = Vec::new();
    let tables = [
        busy(SMALL, rounds, calls, &mut gates).await?,
        busy(LARGE, rounds, calls / 4, &mut gates).await?,
        alone(rounds, calls / 10, &mut gates).await?,
        in_streams(rounds, &mut gates).await?,
    ];
    for table in &tables {
        println!("{}", table.text());
    }
    let method = format!(
        "{rounds} rounds; in each, all of a table take their turn, the first one another each time. {CONNECTIONS} \
         connections take {calls} calls a round ({} with {LARGE} bytes, {} from one connection); {STREAMS} streams \
         of {} chunks at 10 ms. CPU is user and kernel time of the process from the scheduler's accounts. A ratio is \
         taken within each round: median, upper quartile (lowest..highest). Load, upstream and those compared share \
         the machine's cores.",
        calls / 4,
        calls / 10,
        upstream::CHUNKS,
    );
    results::write(&results::page(), &method, &gates, &tables)
}

struct Calls {
    cpu: f64,
    p50: f64,
    p99: f64,
    resident: f64,
}

async fn measure(process: &Process, connections: usize, calls: i64) -> Result<Calls, Failure> {
    let before = cpu::time_of(process.id)?;
    let run = load::run(process.address, connections, calls).await?;
    let spent = cpu::time_of(process.id)?.saturating_sub(before);
    Ok(Calls {
        cpu: spent.as_secs_f64() * 1e6 / run.calls as f64,
        p50: microseconds_at(&run.latencies, 0.5),
        p99: microseconds_at(&run.latencies, 0.99),
        resident: megabytes(process)?,
    })
}

fn megabytes(process: &Process) -> Result<f64, Failure> {
    Ok(cpu::resident_bytes(process.id)? as f64 / 1e6)
}

/// With whom each is compared first: who does as much as nginx can.
fn peer_of(side: Side) -> Side {
    match side {
        Side::LedgerTollfree => Side::LoggingNginx,
        _ => Side::Nginx,
    }
}

/// JSON calls from many connections.
async fn busy(
    bytes: usize,
    rounds: usize,
    calls: i64,
    gates: &mut Vec<Gate>,
) -> Result<Table, Failure> {
    let sides = [
        Side::Nginx,
        Side::LoggingNginx,
        Side::PassThrough,
        Side::Tollfree,
        Side::LedgerTollfree,
    ];
    let mut contest = Contest::start(&sides, bytes, false)?;
    let mut idle = Vec::new();
    for (_, process, _) in &contest.sides {
        idle.push(megabytes(process)?);
        load::run(process.address, CONNECTIONS, calls / 4).await?;
    }
    contest
        .run(rounds, async |process| {
            measure(process, CONNECTIONS, calls).await
        })
        .await?;
    let mut table = Table::new(
        format!("JSON answers of {bytes} bytes, {CONNECTIONS} connections"),
        &[
            "",
            "CPU ms per 1,000 calls",
            "of nginx (tollfree with a ledger: of nginx with a log)",
            "of the pass-through",
            "p50 us",
            "p99 us",
            "resident MB, idle and after",
        ],
    );
    for (side, idle) in sides.into_iter().zip(idle) {
        table.row([
            side.name().into(),
            format!("{:.1}", contest.median(side, |calls| calls.cpu)),
            contest
                .ratio(side, peer_of(side), |calls| calls.cpu)
                .as_ratio(),
            contest
                .ratio(side, Side::PassThrough, |calls| calls.cpu)
                .as_ratio(),
            format!("{:.0}", contest.median(side, |calls| calls.p50)),
            format!("{:.0}", contest.median(side, |calls| calls.p99)),
            format!(
                "{idle:.1}, {:.1}",
                contest.median(side, |calls| calls.resident)
            ),
        ]);
    }
    if bytes == SMALL {
        gates.extend(busy_gates(&contest));
    }
    Ok(table)
}

fn busy_gates(contest: &Contest<Calls>) -> [Gate; 3] {
    let of = |side, to| contest.ratio(side, to, |calls| calls.cpu).upper_quartile();
    [
        Gate {
            what: "CPU per JSON call without ledger, of nginx",
            figure: of(Side::Tollfree, Side::Nginx),
            most: 1.15,
            aim: 1.0,
        },
        Gate {
            what: "CPU per JSON call with ledger, of nginx with an access log",
            figure: of(Side::LedgerTollfree, Side::LoggingNginx),
            most: 1.35,
            aim: 1.1,
        },
        Gate {
            what: "CPU per JSON call without ledger, of the pass-through",
            figure: of(Side::Tollfree, Side::PassThrough),
            most: 1.25,
            aim: 1.0,
        },
    ]
}

/// JSON calls one after the other.
async fn alone(rounds: usize, calls: i64, gates: &mut Vec<Gate>) -> Result<Table, Failure> {
    let sides = [
        Side::Direct,
        Side::LoggingNginx,
        Side::PassThrough,
        Side::Tollfree,
        Side::LedgerTollfree,
    ];
    let mut contest = Contest::start(&sides, SMALL, false)?;
    contest
        .run(2, async |process| measure(process, 1, calls).await)
        .await?;
    for (.., figures) in &mut contest.sides {
        // That was the warm-up.
        figures.clear();
    }
    contest
        .run(rounds, async |process| measure(process, 1, calls).await)
        .await?;
    let mut table = Table::new(
        format!("JSON answers of {SMALL} bytes, one connection"),
        &["", "p50 us", "p50 of nginx with a log", "p99 us"],
    );
    for side in sides {
        table.row([
            side.name().into(),
            format!("{:.0}", contest.median(side, |calls| calls.p50)),
            contest
                .ratio(side, Side::LoggingNginx, |calls| calls.p50)
                .as_ratio(),
            format!("{:.0}", contest.median(side, |calls| calls.p99)),
        ]);
    }
    let theirs = contest.median(Side::LoggingNginx, |calls| calls.p50);
    gates.push(Gate {
        what: "p50 us of a JSON call from one connection, with ledger (gate 1.15 of nginx + 30, aim nginx + 10)",
        figure: contest.median(Side::LedgerTollfree, |calls| calls.p50),
        most: theirs * 1.15 + 30.0,
        aim: theirs + 10.0,
    });
    Ok(table)
}

struct Streamed {
    cpu: f64,
    first: [f64; 2],
    delay: [f64; 2],
    before: f64,
    resident: f64,
}

async fn measure_streams(process: &Process) -> Result<Streamed, Failure> {
    let before = megabytes(process)?;
    let spent_before = cpu::time_of(process.id)?;
    let reading = tokio::spawn(streams::run(process.address, STREAMS));
    // All are open by now, and none has ended.
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    let resident = megabytes(process)?;
    let run = reading.await??;
    let spent = cpu::time_of(process.id)?.saturating_sub(spent_before);
    let both = |sorted| [microseconds_at(sorted, 0.5), microseconds_at(sorted, 0.99)];
    Ok(Streamed {
        cpu: spent.as_secs_f64() * 1e6 / run.delays.len() as f64,
        first: both(&run.first_chunks),
        delay: both(&run.delays),
        before,
        resident,
    })
}

/// Event streams that run beside each other.
async fn in_streams(rounds: usize, gates: &mut Vec<Gate>) -> Result<Table, Failure> {
    let sides = [
        Side::Direct,
        Side::Nginx,
        Side::PassThrough,
        Side::Tollfree,
        Side::LedgerTollfree,
    ];
    let mut contest = Contest::start(&sides, SMALL, true)?;
    contest
        .run(rounds, async |process| measure_streams(process).await)
        .await?;
    let mut table = Table::new(
        format!("{STREAMS} event streams, nginx without buffering"),
        &[
            "",
            "CPU ms per 1,000 chunks",
            "of nginx",
            "of the pass-through",
            "first chunk p50, p99 us",
            "chunk delay p50, p99 us",
            "resident MB, before and with the streams",
        ],
    );
    for side in sides {
        let pair = |pick: fn(&Streamed) -> [f64; 2]| {
            let at = |place: usize| contest.median(side, |run| pick(run)[place]);
            format!("{:.0}, {:.0}", at(0), at(1))
        };
        let before = Spread::of(contest.of(side, |run| run.before)).at(0.0);
        table.row([
            side.name().into(),
            format!("{:.1}", contest.median(side, |run| run.cpu)),
            contest.ratio(side, Side::Nginx, |run| run.cpu).as_ratio(),
            contest
                .ratio(side, Side::PassThrough, |run| run.cpu)
                .as_ratio(),
            pair(|run| run.first),
            pair(|run| run.delay),
            format!(
                "{before:.1}, {:.1}",
                contest.median(side, |run| run.resident)
            ),
        ]);
    }
    gates.extend(stream_gates(&contest));
    Ok(table)
}

fn stream_gates(contest: &Contest<Streamed>) -> [Gate; 5] {
    let ours = Side::LedgerTollfree;
    let of = |to, pick: fn(&Streamed) -> f64| contest.ratio(ours, to, pick).upper_quartile();
    let resident = contest.median(ours, |run| run.resident);
    let before = Spread::of(contest.of(ours, |run| run.before)).at(0.0);
    let gate = |what, figure, most, aim| Gate {
        what,
        figure,
        most,
        aim,
    };
    [
        gate(
            "CPU per chunk, of the pass-through",
            of(Side::PassThrough, |run| run.cpu),
            1.15,
            1.0,
        ),
        gate(
            "chunk delay p50, of nginx",
            of(Side::Nginx, |run| run.delay[0]),
            1.2,
            1.0,
        ),
        gate(
            "first chunk p50, of nginx",
            of(Side::Nginx, |run| run.first[0]),
            1.2,
            1.0,
        ),
        gate("resident MB with the streams", resident, 20.0, 12.0),
        gate(
            "KiB for each stream",
            (resident - before) * 1e6 / 1024.0 / f64::from(STREAMS),
            32.0,
            16.0,
        ),
    ]
}
