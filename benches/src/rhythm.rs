//! The table of event streams: CPU for each chunk, how late it comes, memory for each stream. It must not know how a side
//! is started.

use crate::calls::{SMALL, megabytes};
use crate::contest::Contest;
use crate::results::{Gate, Table};
use crate::sides::{Process, Setting, Side};
use crate::spread::{Spread, microseconds_at};
use crate::{Failure, cpu, streams};

/// Streams read at once.
pub const STREAMS: u32 = 200;

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
///
/// # Errors
/// When one does not start or breaks a stream.
pub async fn in_streams(rounds: usize, gates: &mut Vec<Gate>) -> Result<Table, Failure> {
    let sides = [
        Side::Direct,
        Side::Nginx,
        Side::PassThrough,
        Side::Tollfree,
        Side::LedgerTollfree,
    ];
    let mut contest = Contest::start(
        &sides,
        Setting {
            streams: true,
            ..Setting::of(SMALL)
        },
    )?;
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
            "KiB for each stream",
        ],
    );
    for side in sides {
        let pair = |pick: fn(&Streamed) -> [f64; 2]| {
            let at = |place: usize| contest.median(side, |run| pick(run)[place]);
            format!("{:.0}, {:.0}", at(0), at(1))
        };
        let (before, with) = weights(&contest, side);
        table.row([
            side.name().into(),
            format!("{:.1}", contest.median(side, |run| run.cpu)),
            contest.ratio(side, Side::Nginx, |run| run.cpu).as_ratio(),
            contest
                .ratio(side, Side::PassThrough, |run| run.cpu)
                .as_ratio(),
            pair(|run| run.first),
            pair(|run| run.delay),
            format!("{before:.1}, {with:.1}"),
            format!("{:.1}", kib_each(before, with)),
        ]);
    }
    gates.extend(stream_gates(&contest));
    Ok(table)
}

/// Megabytes before any stream, and with all of them.
fn weights(contest: &Contest<Streamed>, side: Side) -> (f64, f64) {
    let before = Spread::of(contest.of(side, |run| run.before)).at(0.0);
    (before, contest.median(side, |run| run.resident))
}

fn kib_each(before: f64, with: f64) -> f64 {
    (with - before) * 1e6 / 1024.0 / f64::from(STREAMS)
}

fn stream_gates(contest: &Contest<Streamed>) -> [Gate; 5] {
    let ours = Side::LedgerTollfree;
    let of = |to, pick: fn(&Streamed) -> f64| contest.ratio(ours, to, pick).upper_quartile();
    let (before, with) = weights(contest, ours);
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
        gate("resident MB with the streams", with, 20.0, 12.0),
        gate("KiB for each stream", kib_each(before, with), 32.0, 16.0),
    ]
}
