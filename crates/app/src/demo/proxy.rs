//! The demo's own tollfree: a proxy as it is shipped, its page, and a ledger that is gone when the demo is. It must not
//! know what is called.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use admin::Api;
use ledger::{Ledger, Opened};
use meter::{Coverage, Offer, Terms, UsageTier};
use net::{ConnectSettingsError, DrainHandle, ListenError, ListenSettings, Listener};
use proxy::{Clock, NoRandomness, Proxy};
use tempfile::TempDir;
use thiserror::Error;

use crate::admin_listener::{AdminListener, Serving, Told};
use crate::config::{Config, DataDir, Loaded, UpstreamUrl};
use crate::{open_ledger, wiring};

/// How long the calls open at the end may take.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the ledger may take to close; nobody reads it again.
const CLOSE: Duration = Duration::from_secs(1);

/// Why there is none.
#[derive(Debug, Error)]
pub(super) enum NotStarted {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Connect(#[from] ConnectSettingsError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Token(#[from] admin::NoRandomness),
    #[error(transparent)]
    InUse(#[from] open_ledger::InUse),
}

/// It runs until it is stopped.
pub(super) struct Running {
    address: SocketAddr,
    page: Option<SocketAddr>,
    drain: DrainHandle,
    admin: Option<Serving>,
    ledger: Option<Ledger>,
    /// Nobody's: the ledger of this demo. None where no folder could be had; then there is no page either.
    _folder: Option<TempDir>,
}

impl Running {
    /// Starts it in front of that upstream, told what the simulated organization is.
    pub(super) async fn start(
        offer: &Arc<Offer>,
        clock: Arc<AtomicI64>,
        upstream: SocketAddr,
    ) -> Result<Running, NotStarted> {
        let folder = tempfile::Builder::new()
            .prefix("tollfree-demo-")
            .tempdir()
            .ok();
        let loaded = told(offer, folder.as_ref(), upstream);
        let parts = wiring::parts(&loaded)?;
        let clock = Clock::given(clock);
        let opened = open(&loaded, clock.now_milliseconds()).await?;
        let ledger = opened.as_ref().map(|opened| opened.ledger.clone());
        let proxy = Proxy::new(parts.settings, parts.rules, parts.connector, clock, opened)?;
        let listener = Listener::bind(ListenSettings::new(loaded.config.listen)).await?;
        let address = listener.local_address();
        let admin = AdminListener::bind(&loaded).await?;
        let page = admin.as_ref().map(AdminListener::address);
        let told = Told::of(&loaded).about();
        let api = Api::new(
            proxy.clone(),
            address,
            page,
            ledger.clone(),
            Arc::clone(&told),
        );
        let admin = admin
            .map(|admin| {
                let connections = listener.figures();
                admin.serve(
                    &loaded,
                    proxy.clone(),
                    api,
                    ledger.clone(),
                    told,
                    connections,
                )
            })
            .transpose()?;
        let (drain, drained) = DrainHandle::new();
        tokio::spawn(listener.serve(
            move |request, peer| {
                let answer = proxy.handle(request, peer);
                async move { Ok::<_, Infallible>(answer.await) }
            },
            drained,
        ));
        Ok(Running {
            address,
            page,
            drain,
            admin,
            ledger,
            _folder: folder,
        })
    }

    /// Where it takes calls.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its page is.
    pub(super) fn page(&self) -> Option<SocketAddr> {
        self.page
    }

    /// Ends it; the page says so, and the ledger goes.
    pub(super) async fn stop(self) {
        if let Some(admin) = &self.admin {
            admin.stopping();
        }
        self.drain.begin(Duration::ZERO, DRAIN);
        if let Some(ledger) = self.ledger {
            // What is not in the tables of a ledger that is deleted is no loss.
            let _ = open_ledger::close(ledger, CLOSE).await;
        }
    }
}

/// What a user would set.
fn told(offer: &Arc<Offer>, folder: Option<&TempDir>, upstream: SocketAddr) -> Loaded {
    let mut config = Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        data_dir: folder.map_or(DataDir::Off, |folder| {
            DataDir::Folder(folder.path().to_owned())
        }),
        terms: Terms {
            usage_tier: UsageTier::new(3),
            enrolled: Some(true),
            shared_projects: None,
            coverage: Some(Coverage::All),
        },
        ..Config::default()
    };
    config.upstream.url = UpstreamUrl {
        https: false,
        host: upstream.ip().to_string(),
        port: upstream.port(),
    };
    if folder.is_none() {
        config.admin.listen = None;
    }
    Loaded {
        config,
        offer: Arc::clone(offer),
        origin: None,
        files: Vec::new(),
        warnings: Vec::new(),
    }
}

async fn open(loaded: &Loaded, now_ms: i64) -> Result<Option<Opened>, open_ledger::InUse> {
    let Some(settings) = wiring::ledger(&loaded.config) else {
        return Ok(None);
    };
    let lock = open_ledger::lock(&settings.folder).await?;
    let opened = open_ledger::open(settings, lock, now_ms).await;
    Ok(opened.map(|(opened, _)| {
        opened.ledger.takes_calls(now_ms);
        opened
    }))
}
