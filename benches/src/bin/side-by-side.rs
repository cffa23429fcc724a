//! CPU per JSON call of tollfree beside a bare hyper pass-through, interleaved round by round in one run, each as
//! a process of its own with one worker. Prints the table; writes nothing.
//!
//! `cargo run --release -p benches --bin side-by-side [-- ROUNDS CALLS]`

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use benches::{Failure, cpu, load, pass_through, upstream};
use tokio::net::TcpListener;

/// Connections that call at once.
const CONNECTIONS: usize = 64;
/// Sizes of the answers, in bytes.
const SIZES: [usize; 2] = [1_200, 100_000];

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
        [] => compare(7, 20_000).await,
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
    println!(
        "answer    pass-through   tollfree       tollfree / pass-through     p50 us, p99 us at c={CONNECTIONS}"
    );
    println!(
        "bytes     CPU ms/1k      CPU ms/1k      median (lowest..highest)    pass-through | tollfree"
    );
    for bytes in SIZES {
        let upstream = Process::of_ours(&["upstream", &bytes.to_string()])?;
        let bare = Process::of_ours(&["pass-through", &upstream.address.to_string()])?;
        let tollfree = Process::tollfree(upstream.address)?;
        let calls = if bytes > 10_000 { calls / 4 } else { calls };
        let mut rows = Vec::new();
        for process in [&bare, &tollfree] {
            load::run(process.address, CONNECTIONS, calls / 4).await?;
        }
        for round in 0..rounds {
            // Who goes first changes from round to round.
            let mut pair = [&bare, &tollfree];
            pair.rotate_left(round % 2);
            let first = measure(pair[0], calls).await?;
            let second = measure(pair[1], calls).await?;
            rows.push(if round % 2 == 0 {
                (first, second)
            } else {
                (second, first)
            });
        }
        print_row(bytes, &rows);
        println!(
            "          resident after load: pass-through {:.1} MB, tollfree {:.1} MB",
            megabytes(cpu::resident_bytes(bare.child.id())?),
            megabytes(cpu::resident_bytes(tollfree.child.id())?),
        );
    }
    Ok(())
}

struct Figures {
    milliseconds_per_thousand: f64,
    p50: f64,
    p99: f64,
}

async fn measure(process: &Process, calls: i64) -> Result<Figures, Failure> {
    let before = cpu::time_of(process.child.id())?;
    let run = load::run(process.address, CONNECTIONS, calls).await?;
    let spent = cpu::time_of(process.child.id())?.saturating_sub(before);
    let at = |share: f64| {
        let place = (run.latencies.len() as f64 * share) as usize;
        run.latencies
            .get(place)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    };
    Ok(Figures {
        milliseconds_per_thousand: spent.as_secs_f64() * 1e6 / run.calls as f64,
        p50: at(0.5),
        p99: at(0.99),
    })
}

fn print_row(bytes: usize, rows: &[(Figures, Figures)]) {
    let of = |pick: &dyn Fn(&(Figures, Figures)) -> f64| {
        let mut values: Vec<f64> = rows.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |values: &[f64]| values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    let bare = of(&|row| row.0.milliseconds_per_thousand);
    let ours = of(&|row| row.1.milliseconds_per_thousand);
    let ratio = of(&|row| row.1.milliseconds_per_thousand / row.0.milliseconds_per_thousand);
    println!(
        "{bytes:<9} {:<14.1} {:<14.1} {:.2} ({:.2}..{:.2})            {:.0}, {:.0} | {:.0}, {:.0}",
        median(&bare),
        median(&ours),
        median(&ratio),
        ratio.first().copied().unwrap_or(f64::NAN),
        ratio.last().copied().unwrap_or(f64::NAN),
        median(&of(&|row| row.0.p50)),
        median(&of(&|row| row.0.p99)),
        median(&of(&|row| row.1.p50)),
        median(&of(&|row| row.1.p99)),
    );
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A process of the comparison; ends with it.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn of_ours(arguments: &[&str]) -> Result<Process, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env("TOKIO_WORKER_THREADS", "1")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Process {
            child,
            address: line.trim().parse()?,
        })
    }

    /// The program as it is shipped, built beside this one.
    fn tollfree(upstream: SocketAddr) -> Result<Process, Failure> {
        let program = program()?;
        let mut child = Command::new(program)
            .env("TOKIO_WORKER_THREADS", "1")
            .env("TOLLFREE_LISTEN", "127.0.0.1:0")
            .env("TOLLFREE_UPSTREAM", format!("http://{upstream}"))
            .env("TOLLFREE_LOG_FORMAT", "json")
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stderr.take().ok_or("no standard error")?;
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines.next().ok_or("tollfree ended before it listened")??;
            if let Some((_, rest)) = line.split_once("\"address\":\"")
                && let Some((address, _)) = rest.split_once('"')
            {
                break address.parse()?;
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Process { child, address })
    }
}

fn program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name("tollfree");
    if program.exists() {
        return Ok(program);
    }
    Err("target/release/tollfree is missing. help: cargo build --release".into())
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
