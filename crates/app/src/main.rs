//! The program `tollfree`: a table of contents. Each arm names the room that does the work.

mod banner;
mod cli;
mod config;
mod reload;
mod serve;
mod shutdown;
mod telemetry;
mod wiring;

use std::process::ExitCode;

use cli::Command;
use cli::terminal::{Stream, Terminal};
use config::{Environment, Sources};

fn main() -> ExitCode {
    let asked = match cli::parse() {
        Ok(asked) => asked,
        Err(code) => return code,
    };
    let environment = Environment::of_process();
    let errors = Terminal::of(Stream::Error, asked.colour, &environment);
    let flags = match &asked.command {
        Command::Serve(flags) => flags.clone(),
        Command::Offer(options) => options.flags(),
        Command::Demo => config::Flags::default(),
    };
    let sources = Sources::of_process(flags);
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(mistakes) => return cli::refuse(&mistakes.render(errors.colour), cli::exit::CONFIG),
    };
    match asked.command {
        Command::Serve(_) => run(serve::serve(loaded, sources, errors)),
        Command::Demo => ExitCode::SUCCESS,
        Command::Offer(options) => cli::offer::run(&loaded, &options, asked.colour, &environment),
    }
}

/// Runs what waits for sockets, on as many threads as there are cores (`TOKIO_WORKER_THREADS` says otherwise).
fn run(task: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(task),
        Err(error) => cli::refuse(&format!("error: no threads from the system: {error}\n"), cli::exit::UNAVAILABLE),
    }
}
