//! `tollfree demo`: a simulated OpenAI and a day of calls through a real proxy, over sockets, in one process. It
//! needs no key and no network, and ends with the simulated OpenAI's own bill.

mod client;
mod plan;
mod proxy;
mod show;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use meter::{Day, Offer};
use net::ConnectSettingsError;
use simulator::{OrganizationSettings, Simulator, StartError};

use crate::cli::figures;
use crate::cli::layout::wrapped;
use crate::cli::terminal::Terminal;
use crate::cli::{self, exit};
use client::{CallError, Client};
use proxy::Running;
use show::{Counted, Show};

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Simulator(#[from] StartError),
    #[error(transparent)]
    Proxy(#[from] proxy::NotStarted),
    #[error(transparent)]
    Client(#[from] ConnectSettingsError),
    #[error("{error}{}", cause(.error))]
    Call { error: CallError },
}

fn cause(error: &CallError) -> String {
    std::error::Error::source(error)
        .map(|source| format!(": {source}"))
        .unwrap_or_default()
}

/// Shows the day in so many seconds; exits 1 if a verdict differs from the bill, and at once on Ctrl-C.
pub(crate) async fn demo(
    offer: &Arc<Offer>,
    seconds: u16,
    output: Terminal,
    errors: Terminal,
) -> ExitCode {
    let today = Day::at(jiff::Timestamp::now().as_second());
    let takes = Duration::from_secs(seconds.into());
    let outcome = tokio::select! {
        outcome = day(offer, takes, today, output, errors) => outcome,
        Ok(()) = tokio::signal::ctrl_c() => {
            show::interrupted(&output);
            return ExitCode::from(exit::INTERRUPTED);
        }
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(exit::FAILED),
        Err(error) => cli::refuse(
            &format!("error: the demo could not be shown: {error}\n"),
            exit::FAILED,
        ),
    }
}

/// Plays the day and gives the number of verdicts that differ from the bill.
async fn day(
    offer: &Arc<Offer>,
    takes: Duration,
    today: Day,
    output: Terminal,
    errors: Terminal,
) -> Result<usize, DemoError> {
    let clock = Arc::new(AtomicI64::new(today.start() * 1000));
    let simulator = simulated_openai(Arc::clone(&clock)).await?;
    let proxy = Running::start(offer, Arc::clone(&clock), simulator.address()).await?;
    let head = format!(
        "A simulated OpenAI behind a real proxy: one day in {}. No key, no network; your own ledger is not touched.",
        duration(takes.as_secs())
    );
    say(&wrapped(&head, errors.width));
    if let Some(page) = proxy.page() {
        say(&format!(
            "page  http://{page}/   open it now, it moves along\n"
        ));
    }
    let client = Client::new(proxy.address().port())?;
    let mut show = Show::new(output);
    let mut verdicts = HashMap::new();
    show.begin();
    let began = Instant::now();
    for planned in plan::day() {
        // The day's share of the time that has passed, for each call.
        let share = f64::from(i32::try_from(planned.second).unwrap_or(0)) / 86_400.0;
        tokio::time::sleep_until((began + takes.mul_f64(share)).into()).await;
        clock.store((today.start() + planned.second) * 1000, Ordering::Relaxed);
        let learned = client
            .call(&planned)
            .await
            .map_err(|error| DemoError::Call { error })?;
        show.call(&planned, &learned);
        verdicts.insert(learned.request_id, learned.tags.verdict == "free");
    }
    show.end();
    let bill = simulator.bill();
    let agree = bill
        .iter()
        .filter(|line| verdicts.get(&line.request_id) == Some(&line.free))
        .count();
    say(&conclusion(show.counted(), agree, bill.len(), &errors));
    proxy.stop().await;
    simulator.stop().await;
    Ok(verdicts.len().max(bill.len()) - agree)
}

async fn simulated_openai(clock: Arc<AtomicI64>) -> Result<Simulator, StartError> {
    let mut acme = OrganizationSettings::named("acme", true);
    acme.usage_tier = 3;
    Simulator::start(simulator::Settings {
        organizations: vec![acme],
        show_payer: simulator::PayerShown::Never,
        clock: simulator::Clock::Shared(clock),
        ..simulator::Settings::default()
    })
    .await
}

fn duration(seconds: u64) -> String {
    match seconds {
        0 => "no time".to_owned(),
        1 => "1 second".to_owned(),
        _ => format!("{seconds} seconds"),
    }
}

/// The bill's word, and what to do next; a command stays in one line, to be pasted.
fn conclusion(counted: Counted, agree: usize, bill: usize, errors: &Terminal) -> String {
    let Counted {
        calls,
        free,
        billed,
    } = counted;
    let calls = figures::counted(calls, "call");
    let line = format!(
        "{calls}, {free} free, {billed} billed. The simulated OpenAI's own bill agrees on {agree} of {bill}."
    );
    if !errors.is_terminal {
        return line + "\n";
    }
    let (next, command) = (
        "next: tollfree, then",
        "export OPENAI_BASE_URL=http://127.0.0.1:8800/v1",
    );
    let between = if next.len() + 1 + command.len() <= errors.width {
        " "
    } else {
        "\n"
    };
    format!("{}{next}{between}{command}\n", wrapped(&line, errors.width))
}

/// What is said about the rows goes where it does not end up among them.
fn say(text: &str) {
    // Nobody is left to be told that even this failed.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::config::Environment;

    #[test]
    fn the_last_lines_fit_a_narrow_terminal_and_one_call_is_no_calls() {
        let counted = Counted {
            calls: 1,
            free: 1,
            billed: 0,
        };
        let terminal =
            |width| Terminal::from_facts(true, Some(width), Colour::Never, &Environment::default());
        let wide = conclusion(counted, 1, 1, &terminal(100));
        assert!(wide.starts_with("1 call, 1 free, 0 billed. "), "{wide}");
        assert!(wide.contains("then export OPENAI_BASE_URL="), "{wide}");
        let narrow = conclusion(counted, 1, 1, &terminal(50));
        assert!(narrow.lines().all(|line| line.len() <= 50), "{narrow}");
        assert!(narrow.contains("\nexport OPENAI_BASE_URL=http"), "{narrow}");
    }
}
