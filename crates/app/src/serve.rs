//! `tollfree serve`: the proxy, from the bound port to the last open call and the last entry of the ledger.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use admin::{Api, Control};
use ledger::{Ledger, Opened};
use net::{Drain, DrainHandle, ListenError, ListenSettings, Listener};
use proxy::{Clock, NoRandomness, Proxy};
use thiserror::Error;

use crate::admin_listener::{AdminListener, Serving, Told};
use crate::banner::{self, Started};
use crate::busy_port::BusyPort;
use crate::cli::exit;
use crate::cli::terminal::Terminal;
use crate::config::{Loaded, Sources};
use crate::descriptors::Room;
use crate::open_ledger::{self, Found, InUse};
use crate::reload::InForce;
use crate::shutdown::Stop;
use crate::systemd::Systemd;
use crate::{cli, reload, shutdown, telemetry, wiring};

/// How long the ledger may take to close: with the 25 s of `drain.grace` inside the 30 s that Kubernetes gives a pod.
const CLOSE: Duration = Duration::from_secs(4);
/// The same after a second signal.
const QUICK_CLOSE: Duration = Duration::from_secs(1);

/// How long an answer of the page's port may take to end: a page that listens is told within half a second.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a start waits for the totals that replicas share, and a stop until they have heard the last of this one.
const SHARE: Duration = Duration::from_secs(1);

/// Runs until a signal ends it; `sources` are what a reload reads again.
pub(crate) async fn serve(loaded: Loaded, sources: Sources, terminal: Terminal) -> ExitCode {
    let began = Instant::now();
    telemetry::begin(&loaded.config.log, terminal.colour);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let systemd = Systemd::of(&sources.environment);
    let home = sources.environment.get("HOME").map(PathBuf::from);
    let has_variables = sources.environment.sets_something();
    let running = match start(&loaded, sources).await {
        Ok(running) => running,
        Err(why) => return cli::refuse(&format!("error: {why}\n"), why.code()),
    };
    let started = Started {
        loaded: &loaded,
        home: home.as_deref(),
        address: running.listener.local_address(),
        page: running.page,
        has_variables,
        found: running.found.as_ref(),
        now_ms: Clock::system().now_milliseconds(),
        took: began.elapsed(),
    };
    banner::announce(&started, &terminal);
    systemd.ready();
    running.until_stopped(&systemd).await
}

/// Why nothing was started.
#[derive(Debug, Error)]
enum NotStarted {
    #[error(transparent)]
    Parts(#[from] net::ConnectSettingsError),
    #[error(transparent)]
    BusyPort(#[from] BusyPort),
    #[error("{0}. help: take a port from 1024 on, such as 8800")]
    NoPermission(ListenError),
    #[error(transparent)]
    Listen(ListenError),
    #[error(transparent)]
    InUse(#[from] InUse),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Token(#[from] admin::NoRandomness),
    #[error("share.ca_file cannot be read: {0}")]
    ShareRoots(std::io::Error),
    #[error("no word of signals from the system: {0}")]
    Signals(std::io::Error),
}

impl NotStarted {
    /// The code to end with: a certificate that cannot be used is a mistake of the configuration, a port is the
    /// machine's.
    fn code(&self) -> u8 {
        match self {
            NotStarted::Parts(_)
            | NotStarted::ShareRoots(_)
            | NotStarted::Listen(
                ListenError::Certificate { .. }
                | ListenError::Key { .. }
                | ListenError::Identity { .. },
            ) => exit::CONFIG,
            NotStarted::InUse(_) => exit::IN_USE,
            _ => exit::UNAVAILABLE,
        }
    }
}

/// What runs.
struct Running {
    proxy: Proxy,
    listener: Listener,
    drain: Drain,
    stop: Stop,
    ledger: Option<Ledger>,
    found: Option<Found>,
    control: Option<Control>,
    admin: Option<Serving>,
    /// Where the page is.
    page: Option<SocketAddr>,
}

/// Everything up to the first call: what refuses a start comes first, what takes long comes last.
async fn start(loaded: &Loaded, sources: Sources) -> Result<Running, NotStarted> {
    let config = &loaded.config;
    let parts = wiring::parts(loaded)?;
    let (listener, admin) = bind(loaded).await?;
    let clock = Clock::system();
    let now_ms = clock.now_milliseconds();
    let (opened, found) = open(loaded, now_ms).await?.unzip();
    let ledger = opened.as_ref().map(|opened| opened.ledger.clone());
    let proxy = Proxy::new(parts.settings, parts.rules, parts.connector, clock, opened)?;
    if let Some(settings) = wiring::share(config).map_err(NotStarted::ShareRoots)? {
        proxy.share(settings, SHARE).await;
    }
    let (handle, drain) = DrainHandle::new();
    let times = &config.drain;
    let stop = shutdown::on_signal(handle, times.keep_accepting, times.grace)
        .map_err(NotStarted::Signals)?;
    let page = admin.as_ref().map(AdminListener::address);
    let told = Told::of(loaded);
    let api = Api::new(
        proxy.clone(),
        listener.local_address(),
        page,
        ledger.clone(),
        told.about(),
    );
    let admin = admin
        .map(|admin| {
            let connections = listener.figures();
            admin.serve(
                loaded,
                proxy.clone(),
                api.clone(),
                ledger.clone(),
                told.about(),
                connections,
            )
        })
        .transpose()?;
    let reloaded = move |loaded: &Loaded, notice: Option<&str>| told.reloaded(loaded, notice);
    let renewed = InForce {
        proxy: proxy.clone(),
        tls: listener.renewal(),
    };
    reload::watch(sources, loaded.clone(), renewed, reloaded).map_err(NotStarted::Signals)?;
    if let Some(ledger) = &ledger {
        ledger.takes_calls(now_ms);
    }
    let is_ours = found.as_ref().is_some_and(|found| found.is_ours);
    let folder = config.data_dir.folder().filter(|_| is_ours);
    let control = folder.and_then(|folder| listen_to_commands(folder, api));
    Ok(Running {
        proxy,
        listener,
        drain,
        stop,
        ledger,
        found,
        control,
        admin,
        page,
    })
}

/// Both ports, with as many connections as there is room for.
async fn bind(loaded: &Loaded) -> Result<(Listener, Option<AdminListener>), NotStarted> {
    let room = Room::take(loaded.config.listener.most_connections);
    let listen = ListenSettings {
        most_connections: room.connections,
        most_refusals: room.refusals,
        ..wiring::listen(&loaded.config)
    };
    let listener = match Listener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => return Err(cannot_listen(error, loaded).await),
    };
    let admin = match AdminListener::bind(loaded).await {
        Ok(admin) => admin,
        Err(error) => return Err(cannot_listen(error, loaded).await),
    };
    room.tell();
    Ok((listener, admin))
}

/// The socket by which commands ask; without it they read the ledger alone.
fn listen_to_commands(folder: &Path, api: Api) -> Option<Control> {
    let begun = Control::begin(folder, api);
    let warn = |error: &std::io::Error| {
        tracing::warn!(%error, folder = %folder.display(), "commands cannot ask this proxy, they see the ledger alone");
    };
    begun.inspect_err(warn).ok()
}

/// The ledger, where one is kept.
async fn open(loaded: &Loaded, now_ms: i64) -> Result<Option<(Opened, Found)>, InUse> {
    let Some(settings) = wiring::ledger(&loaded.config) else {
        return Ok(None);
    };
    let lock = open_ledger::lock(&settings.folder).await?;
    // One that cannot be used has a trouble already, and nothing of ours is in it.
    if lock.is_some()
        && let Some(warning) = open_ledger::open_to_others(&settings.folder)
    {
        tracing::warn!("{warning}");
    }
    Ok(open_ledger::open(settings, lock, now_ms).await)
}

async fn cannot_listen(error: ListenError, loaded: &Loaded) -> NotStarted {
    match error {
        ListenError::AddressInUse { address, .. } => {
            BusyPort::at(address, &loaded.config).await.into()
        }
        ListenError::NoPermission { .. } => NotStarted::NoPermission(error),
        other => NotStarted::Listen(other),
    }
}

impl Running {
    /// Serves until the drain is over, then closes the ledger.
    async fn until_stopped(self, systemd: &Systemd) -> ExitCode {
        let Self {
            proxy,
            listener,
            drain,
            stop,
            ledger,
            control,
            mut admin,
            ..
        } = self;
        let serving_proxy = proxy.clone();
        let closing = drain.clone();
        let serving = listener.serve(
            move |request, peer| {
                let answer = serving_proxy.handle(request, peer);
                async move { Ok::<_, Infallible>(answer.await) }
            },
            drain,
        );
        let stopping = async {
            stop.begun().await;
            systemd.stopping();
            if let Some(admin) = &admin {
                admin.stopping();
            }
            // Not before new connections are refused: who asks again at once would ask without a pause.
            closing.closing().await;
            proxy.end_waits();
        };
        tokio::join!(serving, stopping);
        drop(control);
        proxy.leave(SHARE).await;
        let at_most = if stop.is_urgent() { QUICK_CLOSE } else { CLOSE };
        let closed = async {
            match ledger {
                Some(ledger) => open_ledger::close(ledger, at_most).await,
                None => Ok(()),
            }
        };
        // Beside each other: together they may take no longer than a close alone.
        let ended = async {
            if let Some(admin) = &mut admin
                && !stop.is_urgent()
            {
                admin.ended(LAST_WORDS).await;
            }
        };
        if let (Err(error), ()) = tokio::join!(closed, ended) {
            tracing::error!(%error, "stopped, but not everything is in the ledger");
            return ExitCode::from(exit::FAILED);
        }
        tracing::info!("stopped");
        ExitCode::SUCCESS
    }
}
