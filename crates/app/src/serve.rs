//! `tollfree serve`: the proxy, from the bound port to the last open call.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meter::{Day, Meter};
use net::{DrainHandle, ListenError, Listener};
use proxy::{Clock, Proxy};

use crate::banner;
use crate::cli::exit;
use crate::cli::terminal::Terminal;
use crate::config::{Loaded, Sources};
use crate::{cli, reload, shutdown, telemetry, wiring};

/// Runs until a signal ends it; `sources` are what a reload reads again.
pub(crate) async fn serve(loaded: Loaded, sources: Sources, terminal: Terminal) -> ExitCode {
    let began = Instant::now();
    telemetry::begin(&loaded.config.log, terminal.colour);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let parts = match wiring::parts(&loaded) {
        Ok(parts) => parts,
        Err(error) => return refuse(&error, exit::CONFIG),
    };
    let listener = match Listener::bind(wiring::listen(&loaded.config)).await {
        Ok(listener) => listener,
        Err(error) => return cannot_listen(&error),
    };
    let meter = Meter::new(now());
    let proxy = match Proxy::new(
        parts.settings,
        parts.rules,
        parts.connector,
        meter,
        Clock::system(),
    ) {
        Ok(proxy) => proxy,
        Err(error) => return refuse(&error, exit::UNAVAILABLE),
    };
    let (handle, drain) = DrainHandle::new();
    let times = &loaded.config.drain;
    if let Err(error) = shutdown::on_signal(handle, times.keep_accepting, times.grace) {
        return no_signals(&error);
    }
    if let Err(error) = reload::watch(sources, loaded.clone(), proxy.clone()) {
        return no_signals(&error);
    }
    announce(
        &loaded,
        listener.local_address(),
        began.elapsed(),
        &terminal,
    );
    listener
        .serve(
            move |request, _peer| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(proxy.handle(request).await) }
            },
            drain,
        )
        .await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// People get the banner, a log gets one line with the same fields.
fn announce(loaded: &Loaded, address: SocketAddr, took: Duration, terminal: &Terminal) {
    let today = Day::at(now());
    if terminal.is_terminal {
        banner::print(loaded, address, today, took, terminal);
        return;
    }
    tracing::info!(
        %address,
        upstream = %loaded.config.upstream.url,
        config = loaded.origin.as_ref().map(|path| path.display().to_string()),
        offer = %loaded.offer.list_date(),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
}

fn no_signals(error: &std::io::Error) -> ExitCode {
    let why = format!("no word of signals from the system: {error}");
    refuse(&why, exit::UNAVAILABLE)
}

fn refuse(why: &dyn std::fmt::Display, code: u8) -> ExitCode {
    cli::refuse(&format!("error: {why}\n"), code)
}

/// A certificate that cannot be used is a mistake of the configuration; a port is the machine's.
fn cannot_listen(error: &ListenError) -> ExitCode {
    match error {
        ListenError::AddressInUse { address, .. } => {
            let port = address.port();
            let other = SocketAddr::new(address.ip(), port.checked_add(10).unwrap_or(port - 10));
            let why = format!(
                "cannot listen on {address}: in use by another program. help: stop it, or start with --listen {other}"
            );
            refuse(&why, exit::UNAVAILABLE)
        }
        ListenError::Certificate { .. }
        | ListenError::Key { .. }
        | ListenError::Identity { .. } => refuse(error, exit::CONFIG),
        ListenError::NoPermission { .. } => {
            let why = format!("{error}. help: take a port from 1024 on, such as 8800");
            refuse(&why, exit::UNAVAILABLE)
        }
        ListenError::Bind { .. } => refuse(error, exit::UNAVAILABLE),
    }
}
