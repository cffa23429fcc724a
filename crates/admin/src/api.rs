//! What is answered to which question, whatever carries it. Must not know a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Method, StatusCode};
use ledger::{HealthState, Ledger};
use meter::{Day, Meter, Organizations};
use proxy::Proxy;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::about::About;
use crate::health;
use crate::standing::{GroupStanding, OrganizationStanding, ProxyNow, SCHEMA, Sharing, Standings};
use crate::total::{StateTotal, StatedTotal};

/// Where [`Standings`] are: `GET`.
pub const STANDING: &str = "/api/v1/standing";
/// Where [`StateTotal`] is answered with [`StatedTotal`]: `POST`.
pub const TOTALS: &str = "/api/v1/totals";

/// Answers questions about one proxy. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    proxy: Proxy,
    address: SocketAddr,
    page: Option<SocketAddr>,
    ledger: Option<Ledger>,
    about: Arc<ArcSwap<About>>,
}

/// Whose a total is, where none is named and none is known.
pub const NO_ORGANIZATION: &str = "no organization was seen yet. help: --organization NAME, as OpenAI's header \
    openai-organization names it; or make a first call";

/// Organizations that a message names.
const MOST_NAMES: usize = 10;

/// How long a question waits for calls of the last moment to be in the tables, where whoever asks reads on.
const CATCH_UP: Duration = Duration::from_millis(300);

/// An answer: a status, and JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, one JSON object.
    pub json: Vec<u8>,
}

/// The body of an answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub error: Why,
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// One line for people: what is wrong, and what to do.
    pub message: String,
}

impl Api {
    /// For the proxy that listens on this address, has its page on that one, and keeps this ledger. `about` is changed by
    /// whoever gave it.
    #[must_use]
    pub fn new(
        proxy: Proxy,
        address: SocketAddr,
        page: Option<SocketAddr>,
        ledger: Option<Ledger>,
        about: Arc<ArcSwap<About>>,
    ) -> Self {
        Self {
            proxy,
            address,
            page,
            ledger,
            about,
        }
    }

    /// Answers one question.
    pub async fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        match (path, method) {
            (STANDING, &Method::GET) => {
                self.tables_catch_up().await;
                Answer::of(&self.standings())
            }
            (TOTALS, &Method::POST) => self.state_total(body).await,
            (STANDING | TOTALS, _) => {
                let why = format!("{method} is not answered here");
                Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, why)
            }
            _ => {
                let why = format!("nothing is here. help: {STANDING} and {TOTALS}");
                Answer::refusal(StatusCode::NOT_FOUND, why)
            }
        }
    }

    pub(crate) fn standings(&self) -> Standings {
        let organizations = self.proxy.standings();
        let day = organizations
            .first()
            .map_or_else(|| self.proxy.today(), |first| first.day);
        let sharing = self.proxy.sharing().as_ref().map(Sharing::of);
        Standings {
            clock_correction_milliseconds: self.proxy.clock_correction_milliseconds(),
            ledger_notice: self.ledger_notice(),
            notices: self.notices(),
            ..Standings::of(day, self.now(), &organizations, sharing)
        }
    }

    /// Who asks reads the tables next, and is to find there what was counted.
    async fn tables_catch_up(&self) {
        if let Some(ledger) = self.ledger.clone() {
            // Where it does not, the notice says so.
            let _ = spawn_blocking(move || ledger.catches_up(CATCH_UP)).await;
        }
    }

    fn ledger_notice(&self) -> Option<String> {
        match self.ledger.as_ref()?.health().state {
            HealthState::Ok => None,
            HealthState::Degraded(why) => Some(why),
        }
    }

    fn notices(&self) -> Vec<String> {
        let ledger = self.ledger.as_ref().map(Ledger::health);
        // That it stops is no trouble that somebody has to end.
        health::status(&self.proxy, ledger.as_ref(), &self.about.load(), false).notices
    }

    /// The allowance that an organization's group has now; `None`: there is no such group.
    pub(crate) fn allowance(&self, organization: &str, group: &str) -> Option<u64> {
        let standings = self.standings();
        let mut mine = standings.organizations.iter();
        let mine = mine.find(|one| one.organization == organization)?;
        let group = mine.groups.iter().find(|one| one.group == group)?;
        Some(group.allowance_tokens)
    }

    fn now(&self) -> ProxyNow {
        ProxyNow {
            pid: std::process::id(),
            address: self.address.to_string(),
            page: self.page.map(|page| page.to_string()),
        }
    }

    async fn state_total(&self, body: &[u8]) -> Answer {
        let asked: StateTotal = match serde_json::from_slice(body) {
            Ok(asked) => asked,
            Err(error) => {
                let why = format!(
                    "the body is wrong: {error}. help: {{\"group\":\"large\",\"tokens\":412000}}"
                );
                return Answer::refusal(StatusCode::BAD_REQUEST, why);
            }
        };
        if asked.tokens > Meter::MOST_STATED {
            let why = format!(
                "no day has {} tokens. help: \"tokens\" of {} at most",
                asked.tokens,
                Meter::MOST_STATED
            );
            return Answer::refusal(StatusCode::BAD_REQUEST, why);
        }
        let organization = match asked.organization {
            Some(named) => named,
            None => match self.only_organization() {
                Ok(only) => only,
                Err(why) => return Answer::refusal(StatusCode::BAD_REQUEST, why),
            },
        };
        let stated = self
            .proxy
            .state_total(&organization, &asked.group, asked.tokens);
        match stated.await {
            Err(error) => Answer::refusal(StatusCode::NOT_FOUND, error.to_string()),
            Ok(stated) => Answer::of(&StatedTotal {
                schema: SCHEMA,
                organization,
                group: asked.group,
                day: stated.day.to_string(),
                before_tokens: stated.before,
                tokens: stated.tokens,
                recorded: stated.recorded,
            }),
        }
    }

    /// The organization that is meant where none is named: the only one there is.
    fn only_organization(&self) -> Result<String, String> {
        let standings = self.proxy.standings().into_iter();
        let named = standings.map(|one| one.name);
        let mut named: Vec<String> = named.filter(|one| one != Organizations::UNKNOWN).collect();
        match named.len() {
            0 => Err(NO_ORGANIZATION.to_owned()),
            1 => Ok(named.remove(0)),
            _ => {
                named.truncate(MOST_NAMES);
                Err(format!(
                    "several organizations are known. help: --organization NAME, such as {}",
                    named.join(", ")
                ))
            }
        }
    }
}

impl Standings {
    /// What a proxy's standings say of this day, by a right clock.
    #[must_use]
    pub fn of(
        day: Day,
        proxy: ProxyNow,
        organizations: &[proxy::OrganizationStanding],
        sharing: Option<Sharing>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            proxy,
            day: day.to_string(),
            reset: format!("{}T00:00:00Z", Day::at(day.end())),
            clock_correction_milliseconds: 0,
            organizations: organizations.iter().map(OrganizationStanding::of).collect(),
            sharing,
            ledger_notice: None,
            notices: Vec::new(),
        }
    }
}

impl OrganizationStanding {
    /// What people are told of groups that OpenAI bills although their allowance is not spent.
    #[must_use]
    pub fn payer_says_billed<'a>(all: impl Iterator<Item = &'a Self>) -> Option<String> {
        proxy::payer_says_billed(all.flat_map(|one| {
            let billed = one.groups.iter().filter(|group| group.payer_says_billed);
            billed.map(|group| (one.organization.as_str(), group.group.as_str()))
        }))
    }

    /// As the proxy has it.
    #[must_use]
    pub fn of(standing: &proxy::OrganizationStanding) -> Self {
        let groups = standing.groups.iter();
        Self {
            organization: standing.name.clone(),
            usage_tier: standing.usage_tier,
            usage_tier_declared: standing.is_declared,
            groups: groups.map(GroupStanding::of).collect(),
        }
    }
}

impl Answer {
    pub(crate) fn of(said: &impl Serialize) -> Self {
        match serde_json::to_vec(said) {
            Ok(json) => Self {
                status: StatusCode::OK,
                json,
            },
            Err(error) => Self::refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    /// A refusal.
    #[must_use]
    pub fn refusal(status: StatusCode, message: String) -> Self {
        let why = Why { message };
        Self {
            status,
            // Two objects around one text cannot fail to be JSON.
            json: serde_json::to_vec(&Refusal { error: why }).unwrap_or_default(),
        }
    }
}
