//! The program `tollfree`: a table of contents. Each arm names the room that does the work.

mod admin_listener;
mod banner;
mod busy_port;
mod cli;
mod config;
mod demo;
mod descriptors;
mod open_ledger;
mod reload;
mod serve;
mod shutdown;
mod systemd;
mod telemetry;
mod wiring;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cli::Command;
use cli::terminal::{Stream, Terminal};
use config::{Environment, Sources};

/// A call makes many small allocations: mimalloc serves them with fewer instructions than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    let asked = match cli::parse() {
        Ok(asked) => asked,
        Err(code) => return code,
    };
    let environment = Environment::of_process();
    let errors = Terminal::of(Stream::Error, asked.colour, &environment);
    let refuse = |mistakes: config::Mistakes| {
        cli::refuse(&mistakes.of_command(errors.colour), cli::exit::CONFIG)
    };
    match asked.command {
        Command::Serve(flags) => {
            let sources = Sources::of_process(flags);
            match config::load(&sources) {
                Ok(loaded) => run(serve::serve(loaded, sources, errors)),
                Err(mistakes) => cli::refuse(&mistakes.render(errors.colour), cli::exit::CONFIG),
            }
        }
        Command::Offer(options) => match config::load(&Sources::of_process(options.flags())) {
            Ok(loaded) => cli::offer::run(&loaded, &options, asked.colour, &environment),
            Err(mistakes) => refuse(mistakes),
        },
        Command::Ask(question, flags) => {
            let sources = Sources::of_process(flags);
            let answer = |loaded| question.answer(loaded, asked.colour, &environment);
            match config::load(&sources) {
                Ok(loaded) => answer(loaded),
                Err(mistakes) => match question.despite(&mistakes, &sources) {
                    Some(loaded) => answer(loaded),
                    None => refuse(mistakes),
                },
            }
        }
        Command::Health(options, flags) => match config::load(&Sources::of_process(flags)) {
            Ok(loaded) => cli::health::run(&loaded, options),
            Err(mistakes) => refuse(mistakes),
        },
        Command::Check(options, flags) => {
            let loaded = config::load(&Sources::of_process(flags));
            let output = Terminal::of(Stream::Output, asked.colour, &environment);
            run(cli::check::run(loaded, options, &output))
        }
        Command::Demo(seconds) => match config::built_in_offer() {
            Ok(offer) => {
                let output = Terminal::of(Stream::Output, asked.colour, &environment);
                run(demo::demo(&Arc::new(offer), seconds, output, errors))
            }
            Err(mistakes) => refuse(mistakes),
        },
    }
}

/// The allocator asks the kernel for pages of 2 MiB, of which few fill up here: without them the program takes half the
/// memory (10 instead of 19 MB with nothing to do, 21 instead of 33 with 200 streams) and no more CPU.
fn keep_pages_small() {
    // An old kernel that does not know the wish serves the larger pages.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// How long the end waits for what still reads a file: a disk that hangs would hold it up for ever.
const LAST: Duration = Duration::from_secs(1);

/// Runs what waits for sockets, on as many threads as there are cores (`TOKIO_WORKER_THREADS` says otherwise).
fn run(task: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(task);
            runtime.shutdown_timeout(LAST);
            code
        }
        Err(error) => cli::refuse(
            &format!("error: no threads from the system: {error}\n"),
            cli::exit::UNAVAILABLE,
        ),
    }
}
