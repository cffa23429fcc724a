//! What a simulated OpenAI is told before it starts: who its organizations are, what it shows, how
//! fast it answers and what time it is. Knows nothing of HTTP, of requests or of the bill.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Everything a [`Simulator`](crate::Simulator) is told before it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The organizations that exist. A key that belongs to none of them is answered 401.
    pub organizations: Vec<OrganizationSettings>,
    /// On which answers to `POST /v1/responses` `billing.payer` appears.
    pub show_payer: PayerShown,
    /// How calls after the crossing call of a day are billed.
    pub after_crossing: AfterCrossing,
    /// Waited before the head of every answer of a creating endpoint.
    pub latency: Duration,
    /// Waited before every event of a stream but the first.
    pub chunk_interval: Duration,
    /// The clock behind `date`, `created` and the day of the bill.
    pub clock: Clock,
    /// A file that receives the log, one JSON object a line; it is created, or appended to.
    pub log: Option<PathBuf>,
    /// With a seed, ids and filler depend only on the request and its place in the order of
    /// requests; without one they differ from run to run.
    pub seed: Option<u64>,
}

impl Default for Settings {
    /// Two organizations on a free loopback port: `acme` (enrolled, usage tier 1, key
    /// `sk-sim-acme`) and `globex` (not enrolled, key `sk-sim-globex`).
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            organizations: vec![
                OrganizationSettings::named("acme", true),
                OrganizationSettings::named("globex", false),
            ],
            show_payer: PayerShown::NineOfTen,
            after_crossing: AfterCrossing::Billed,
            latency: Duration::ZERO,
            chunk_interval: Duration::ZERO,
            clock: Clock::System,
            log: None,
            seed: None,
        }
    }
}

/// One organization of the simulated OpenAI.
#[derive(Debug, Clone)]
pub struct OrganizationSettings {
    /// The name slug that answers carry in `openai-organization`.
    pub name: String,
    /// The id (`org-...`) that a request may carry in `OpenAI-Organization`.
    pub id: String,
    /// The API keys of the organization.
    pub keys: Vec<KeySettings>,
    /// Whether the organization is enrolled in the offer.
    pub enrolled: bool,
    /// Which projects share their traffic.
    pub shared_projects: SharedProjects,
    /// The usage tier, 1 to 5; it decides the allowances.
    pub usage_tier: u8,
}

impl OrganizationSettings {
    /// An organization of usage tier 1 with all projects shared, id `org-{name}`, and one key
    /// `sk-sim-{name}` of project `proj_{name}`.
    #[must_use]
    pub fn named(name: &str, enrolled: bool) -> Self {
        Self {
            name: name.to_owned(),
            id: format!("org-{name}"),
            keys: vec![KeySettings {
                key: format!("sk-sim-{name}"),
                project: format!("proj_{name}"),
            }],
            enrolled,
            shared_projects: SharedProjects::All,
            usage_tier: 1,
        }
    }
}

/// One API key and the project it belongs to.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// The key, as it stands after `Bearer `.
    pub key: String,
    /// The project (`proj_...`).
    pub project: String,
}

/// Which projects of an organization share their traffic with OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedProjects {
    /// All of them.
    All,
    /// Only these (`proj_...`).
    Only(Vec<String>),
}

impl SharedProjects {
    /// Whether `project` shares its traffic.
    #[must_use]
    pub fn includes(&self, project: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(projects) => projects.iter().any(|shared| shared == project),
        }
    }
}

/// On which JSON answers to `POST /v1/responses` `billing.payer` appears. `GET` of a stored response
/// always has it; streams and Chat Completions never have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerShown {
    /// On every one.
    Always,
    /// On nine of ten, as in recordings of the real API.
    NineOfTen,
    /// On none.
    Never,
}

/// How calls after the crossing call of a day are billed: the two readings of OpenAI's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCrossing {
    /// The crossing call counts, so every later call of the day is billed (OpenAI's own table).
    Billed,
    /// The crossing call does not count: a later, smaller call may still be free.
    FreeIfItFits,
}

/// Where the simulated OpenAI reads the time.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// Unix milliseconds that somebody else sets.
    Shared(Arc<AtomicI64>),
}

impl Clock {
    /// Unix milliseconds now.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| i64::try_from(since.as_millis()).ok())
                .unwrap_or(0),
            Self::Shared(milliseconds) => milliseconds.load(Ordering::SeqCst),
        }
    }
}
