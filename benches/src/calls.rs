//! Tables of JSON calls: from many connections, from one, with TLS, with one worker and two. It must not know how a side
//! is started.

use crate::contest::Contest;
use crate::results::{Gate, Table};
use crate::sides::{Process, Setting, Side};
use crate::spread::microseconds_at;
use crate::{Failure, cpu, load};

/// Connections that call at once.
pub const CONNECTIONS: usize = 64;
/// Bytes of a small answer.
pub const SMALL: usize = 1_200;
/// Cores from which on two workers, the load and the upstream do not share any.
const CORES_FOR_TWO: usize = 4;

struct Calls {
    cpu: f64,
    rate: f64,
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
        rate: run.calls as f64 / run.wall.as_secs_f64(),
        p50: microseconds_at(&run.latencies, 0.5),
        p99: microseconds_at(&run.latencies, 0.99),
        resident: megabytes(process)?,
    })
}

pub(crate) fn megabytes(process: &Process) -> Result<f64, Failure> {
    Ok(cpu::resident_bytes(process.id)? as f64 / 1e6)
}

/// Who is compared in a setting, beside the first: a pass-through speaks no TLS, and neither does the load.
fn sides(setting: Setting, first: Side) -> Vec<Side> {
    let all = [
        first,
        Side::LoggingNginx,
        Side::PassThrough,
        Side::Tollfree,
        Side::LedgerTollfree,
    ];
    let speaks = |side: &Side| !setting.tls || !matches!(side, Side::Direct | Side::PassThrough);
    all.into_iter().filter(speaks).collect()
}

fn title(setting: Setting) -> String {
    let way = if setting.tls { ", TLS to upstream" } else { "" };
    format!("JSON answers of {} bytes{way}", setting.bytes)
}

fn of_pass_through(contest: &Contest<Calls>, side: Side) -> String {
    if contest.of(Side::PassThrough, |calls| calls.cpu).is_empty() {
        return "-".into();
    }
    let ratio = contest.ratio(side, Side::PassThrough, |calls| calls.cpu);
    ratio.as_ratio()
}

/// With whom each is compared first: who does as much as nginx can.
fn peer_of(side: Side) -> Side {
    match side {
        Side::LedgerTollfree => Side::LoggingNginx,
        _ => Side::Nginx,
    }
}

/// JSON calls from many connections.
///
/// # Errors
/// When one does not start or answers wrongly.
pub async fn busy(
    setting: Setting,
    rounds: usize,
    calls: i64,
    gates: &mut Vec<Gate>,
) -> Result<Table, Failure> {
    let sides = sides(setting, Side::Nginx);
    let mut contest = Contest::start(&sides, setting)?;
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
        format!("{}, {CONNECTIONS} connections", title(setting)),
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
            of_pass_through(&contest, side),
            format!("{:.0}", contest.median(side, |calls| calls.p50)),
            format!("{:.0}", contest.median(side, |calls| calls.p99)),
            format!(
                "{idle:.1}, {:.1}",
                contest.median(side, |calls| calls.resident)
            ),
        ]);
    }
    if setting.bytes == SMALL && !setting.tls {
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
///
/// # Errors
/// When one does not start or answers wrongly.
pub async fn alone(
    setting: Setting,
    rounds: usize,
    calls: i64,
    gates: &mut Vec<Gate>,
) -> Result<Table, Failure> {
    let sides = sides(setting, Side::Direct);
    let mut contest = Contest::start(&sides, setting)?;
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
        format!("{}, one connection", title(setting)),
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
    if setting.tls {
        return Ok(table);
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

/// The same calls with one worker and with two.
///
/// # Errors
/// When one does not start or answers wrongly.
pub async fn wide(rounds: usize, calls: i64, gates: &mut Vec<Gate>) -> Result<Table, Failure> {
    let pairs = [
        (Side::PassThrough, Side::WidePassThrough),
        (Side::LedgerTollfree, Side::WideTollfree),
    ];
    let sides = pairs.map(|(one, two)| [one, two]).concat();
    let mut contest = Contest::start(&sides, Setting::of(SMALL))?;
    for (_, process, _) in &contest.sides {
        load::run(process.address, CONNECTIONS, calls / 4).await?;
    }
    contest
        .run(rounds, async |process| {
            measure(process, CONNECTIONS, calls).await
        })
        .await?;
    let cores = std::thread::available_parallelism()?.get();
    let mut table = Table::new(
        format!(
            "One worker and two, {CONNECTIONS} connections; {cores} cores, on which the load and the upstream run as well"
        ),
        &[
            "",
            "calls a second",
            "of its own with one worker",
            "CPU ms per 1,000 calls",
            "of its own with one worker",
        ],
    );
    for (one, two) in pairs {
        for side in [one, two] {
            table.row([
                side.name().into(),
                format!("{:.0}", contest.median(side, |calls| calls.rate)),
                contest.ratio(side, one, |calls| calls.rate).as_ratio(),
                format!("{:.1}", contest.median(side, |calls| calls.cpu)),
                contest.ratio(side, one, |calls| calls.cpu).as_ratio(),
            ]);
        }
    }
    // With fewer there is no second core to be had, and the figure is the machine's.
    if cores >= CORES_FOR_TWO {
        let (one, two) = pairs[1];
        gates.push(Gate {
            what: "calls a second with one worker, of those with two (gate: 1 / 1.7)",
            figure: contest.ratio(one, two, |calls| calls.rate).upper_quartile(),
            most: 1.0 / 1.7,
            aim: 0.5,
        });
    }
    Ok(table)
}
