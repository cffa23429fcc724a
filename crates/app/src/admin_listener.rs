//! The second listener as the program starts and stops it, and what it is told of the configuration. It must not know
//! what it answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use admin::{About, Answers, Api, NoRandomness, Web};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use ledger::{Durability, Ledger};
use meter::{AfterCrossing, Coverage, Day, SharedProjects, Terms, UsageTier};
use net::{DrainHandle, ListenError, ListenFigures, ListenSettings, Listener};
use proxy::Proxy;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cli::offer;
use crate::config::{Admin, Loaded, Secret, offer_is_old};

/// Connections to page, metrics and health at once.
pub(crate) const MOST_CONNECTIONS: usize = 256;
/// Clients over that limit that are told so at the same time.
pub(crate) const MOST_REFUSALS: usize = 64;

/// From the page's usual port to the one that is proposed where somebody has it.
const PROPOSED: u16 = 10;

/// A bound port on which nothing is answered yet.
pub(crate) struct AdminListener {
    listener: Listener,
}

/// It answers until this is dropped.
pub(crate) struct Serving {
    stopping: Arc<AtomicBool>,
    drain: DrainHandle,
    task: JoinHandle<()>,
}

impl AdminListener {
    /// Binds the port, if there is to be one.
    ///
    /// # Errors
    /// [`ListenError`] when it cannot be had.
    pub(crate) async fn bind(loaded: &Loaded) -> Result<Option<Self>, ListenError> {
        let Some(address) = loaded.config.admin.listen else {
            return Ok(None);
        };
        let listener = match bind(address).await {
            // A port that nobody asked for is no reason not to start: another one does as well.
            Err(ListenError::AddressInUse { .. }) if Some(address) == Admin::default().listen => {
                bind(SocketAddr::new(address.ip(), 0))
                    .await
                    .inspect(|other| moved(address, other.local_address()))
            }
            other => other,
        };
        Ok(Some(Self {
            listener: listener?,
        }))
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_address()
    }

    /// Begins to answer. `about` is what a reload changes, `connections` are those of the calls.
    ///
    /// # Errors
    /// [`NoRandomness`] when the system has none to compare a token with.
    pub(crate) fn serve(
        self,
        loaded: &Loaded,
        proxy: Proxy,
        api: Api,
        ledger: Option<Ledger>,
        about: Arc<ArcSwap<About>>,
        connections: Arc<ListenFigures>,
    ) -> Result<Serving, NoRandomness> {
        let stopping = Arc::new(AtomicBool::new(false));
        let ledger = ledger.zip(loaded.config.data_dir.folder());
        let answers = Answers::new(
            proxy,
            api,
            ledger,
            about,
            Arc::clone(&stopping),
            connections,
        );
        let settings = &loaded.config.admin;
        let hosts: Vec<String> = settings.hosts.iter().map(ToString::to_string).collect();
        let token = settings.token.as_ref().map(Secret::expose);
        let web = Web::new(answers, &hosts, token)?;
        let (drain, drained) = DrainHandle::new();
        let service = move |request, _peer| {
            let web = web.clone();
            async move { Ok::<_, Infallible>(web.handle(request).await) }
        };
        let task = tokio::spawn(self.listener.serve(service, drained));
        Ok(Serving {
            stopping,
            drain,
            task,
        })
    }
}

/// Whoever looks where the page usually is finds somebody else's.
fn moved(from: SocketAddr, to: SocketAddr) {
    let other = SocketAddr::new(from.ip(), from.port().saturating_add(PROPOSED));
    tracing::warn!(
        "cannot listen on {from}: in use. page, metrics and health are on {to} this time. help: stop what has \
         {from}, or start with TOLLFREE_ADMIN_LISTEN={other}"
    );
}

async fn bind(address: SocketAddr) -> Result<Listener, ListenError> {
    let settings = ListenSettings {
        most_connections: MOST_CONNECTIONS,
        most_refusals: MOST_REFUSALS,
        ..ListenSettings::new(address)
    };
    Listener::bind(settings).await
}

impl Serving {
    /// Calls are no longer taken: whoever asks whether they can be is told.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Lets answers come to their end, so that a page that is open has the whole of its last one; at most so long.
    pub(crate) async fn ended(&mut self, at_most: Duration) {
        self.drain.begin(Duration::ZERO, at_most);
        // What is not over by then is cut.
        let _ = timeout(at_most, &mut self.task).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.drain.cut_now();
    }
}

/// Where a reload puts what it changed: page and commands are told from there.
#[derive(Clone)]
pub(crate) struct Told(Arc<ArcSwap<About>>);

impl Told {
    /// What holds at the start.
    pub(crate) fn of(loaded: &Loaded) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(about(loaded))))
    }

    /// What is told now, and after each reload.
    pub(crate) fn about(&self) -> Arc<ArcSwap<About>> {
        Arc::clone(&self.0)
    }

    /// Puts what a reload changed in place.
    pub(crate) fn reloaded(&self, loaded: &Loaded, notice: Option<&str>) {
        let mut about = about(loaded);
        about.notices.extend(notice.map(str::to_owned));
        self.0.store(Arc::new(about));
    }
}

fn about(loaded: &Loaded) -> About {
    let today = Day::at(Timestamp::now().as_second());
    let offer = &loaded.offer;
    About {
        list_date: offer.list_date().to_string(),
        offer: offer::as_value(offer, loaded.config.offer.file.as_deref(), today),
        config: config(loaded),
        notices: offer_is_old(offer, today).into_iter().collect(),
    }
}

/// What is set and may be seen; neither a token nor a proxy's password is among it.
fn config(loaded: &Loaded) -> Value {
    let config = &loaded.config;
    let organizations = config.organizations.iter().map(|one| {
        let mut object = terms(&one.terms);
        if let Value::Object(members) = &mut object {
            members.insert("name".to_owned(), json!(&*one.name));
            let aliases: Vec<&str> = one.aliases.iter().map(|alias| &**alias).collect();
            members.insert("aliases".to_owned(), json!(aliases));
        }
        object
    });
    json!({
        "schema": 1,
        "file": loaded.origin.as_ref().map(|file| file.display().to_string()),
        "listen": config.listen.to_string(),
        "upstream": config.upstream.url.to_string(),
        "data_dir": config.data_dir.folder().map(|folder| folder.display().to_string()),
        "defaults": terms(&config.terms),
        "organizations": organizations.collect::<Vec<_>>(),
        "streams": {
            "ask_for_usage": config.streams.ask_for_usage,
            "client_gone": config.streams.client_gone.as_str(),
            "comment": config.streams.comment,
        },
        "ledger": {
            "durability": match config.ledger.durability {
                Durability::Crash => "crash",
                Durability::PowerLoss => "power-loss",
            },
            "keep_days": config.ledger.keep_days,
        },
        "offer": {
            "file": config.offer.file.as_ref().map(|file| file.display().to_string()),
            "after_crossing": match config.offer.after_crossing {
                AfterCrossing::Billed => "billed",
                AfterCrossing::FreeIfItFits => "free-if-it-fits",
            },
        },
    })
}

fn terms(terms: &Terms) -> Value {
    let projects = terms.shared_projects.as_ref().map(|shared| match shared {
        SharedProjects::All => json!("all"),
        SharedProjects::Only(projects) => {
            json!(
                projects
                    .iter()
                    .map(|project| &**project)
                    .collect::<Vec<_>>()
            )
        }
    });
    json!({
        "usage_tier": terms.usage_tier.map(UsageTier::get),
        "enrolled": terms.enrolled,
        "shared_projects": projects,
        "coverage": terms.coverage.map(|coverage| match coverage {
            Coverage::All => "all",
            Coverage::Part => "part",
        }),
    })
}
