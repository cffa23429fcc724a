//! Where the commands that read get their answers: from the running proxy where there is one, and from the ledger. It
//! must not know how anything is shown.

mod kept_terms;
mod known;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use admin::{OrganizationStanding, Sharing};
use jiff::Timestamp;
use ledger::{CallFilter, DayRow, ReadError, Reader};
use meter::{Day, Offer, Organizations, Verdict};
use thiserror::Error;

use super::control::{Control, Unanswered};
use super::{exit, refuse};
use crate::config::{DataDir, Loaded};
use crate::wiring;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    /// Nothing is kept.
    #[error(
        "no ledger is kept, so nothing can be shown here{}. help: set TOLLFREE_DATA_DIR to a folder",
        .page.map(|page| format!("; a proxy that runs has today on its page, http://{page}/")).unwrap_or_default()
    )]
    NoFolder {
        /// Where a proxy with this configuration has its page.
        page: Option<SocketAddr>,
    },
    /// The ledger is there and cannot be read.
    #[error("{0}{because}. help: {help}", because = because(.0), help = help(.0))]
    Ledger(#[from] ReadError),
    /// The running proxy did not answer.
    #[error("{0}")]
    Proxy(#[from] Unanswered),
    /// Another tollfree has the ledger and cannot be asked: it starts, stops, or runs degraded.
    #[error(
        "another tollfree has the ledger, and cannot be asked. help: try again in a moment, or stop it"
    )]
    InUse,
    /// The ledger cannot be written.
    #[error("the ledger cannot be written: {0}. help: tollfree check")]
    NotWritten(#[source] std::io::Error),
    /// What was asked for does not exist, or is not clear; the text says what to do.
    #[error("{0}")]
    Asked(String),
}

fn because(error: &ReadError) -> String {
    std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"))
}

fn help(error: &ReadError) -> &'static str {
    match error {
        ReadError::NoLedger => "start tollfree; its first call begins one",
        ReadError::Newer => "use the newer tollfree",
        ReadError::Unreadable { .. } => "tollfree check",
    }
}

impl NoAnswer {
    /// Says so, and gives the code to end with.
    pub(crate) fn refuse(&self) -> ExitCode {
        let code = match self {
            Self::Asked(_) | Self::Proxy(Unanswered::Refused(_)) => exit::USAGE,
            Self::InUse => exit::IN_USE,
            Self::NoFolder { .. } | Self::Ledger(_) | Self::Proxy(_) | Self::NotWritten(_) => {
                exit::FAILED
            }
        };
        refuse(&format!("error: {self}\n"), code)
    }
}

/// Who said how things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The running proxy.
    Running,
    /// The ledger, whose last call was settled then (Unix milliseconds).
    Stopped {
        /// `None`: there is no ledger, or it has no calls.
        as_of: Option<i64>,
    },
}

/// How every organization stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standings {
    /// Who said so.
    pub(crate) source: Source,
    /// The UTC day.
    pub(crate) day: Day,
    /// Unix seconds, as the running proxy has it.
    pub(crate) now: i64,
    /// What the running proxy adds to this machine's clock, in milliseconds; 0 while it agrees with OpenAI's.
    pub(crate) clock_correction: i64,
    /// What clients take for OpenAI's base URL.
    pub(crate) base_url: String,
    /// By name.
    pub(crate) organizations: Vec<OrganizationStanding>,
    /// Usage tiers are those of the proxy that wrote the ledger: none is declared here.
    pub(crate) has_kept_terms: bool,
    /// How they are shared with other replicas; nothing where they are not, or no proxy runs.
    pub(crate) sharing: Option<Sharing>,
    /// Why the running proxy's ledger is behind.
    pub(crate) ledger_notice: Option<String>,
    /// What does not work, as the running proxy says.
    pub(crate) notices: Vec<String>,
}

/// Calls that are awaited and counted; further ones are told as unknown.
const MOST_AWAITED: usize = 10_000;
/// Names of organizations that a message proposes.
const MOST_NAMES: usize = 10;

/// Answers questions.
#[derive(Debug)]
pub(crate) struct Desk {
    loaded: Loaded,
    folder: PathBuf,
}

impl Desk {
    /// The desk of this configuration.
    ///
    /// # Errors
    /// [`NoAnswer::NoFolder`] where nothing is kept.
    pub(crate) fn of(loaded: Loaded) -> Result<Self, NoAnswer> {
        match &loaded.config.data_dir {
            DataDir::Folder(folder) => Ok(Self {
                folder: folder.clone(),
                loaded,
            }),
            DataDir::Off | DataDir::Unknown => Err(NoAnswer::NoFolder {
                page: loaded.config.admin.listen.map(crate::banner::reachable),
            }),
        }
    }

    /// The configuration.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The model list in use.
    pub(crate) fn offer(&self) -> &Offer {
        &self.loaded.offer
    }

    /// The data directory.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// The proxy that runs on the data directory.
    pub(crate) fn proxy(&self) -> Option<Control> {
        Control::reach(&self.folder)
    }

    /// How all stands now: the running proxy says so, else it is worked out from the ledger as a start would.
    pub(crate) fn standings(&self) -> Result<Standings, NoAnswer> {
        if let Some(proxy) = self.proxy() {
            let said: admin::Standings = proxy.get(admin::STANDING)?;
            return self.said(said);
        }
        self.settle_tail();
        let now = now();
        let reader = self.reader()?;
        let mut has_kept_terms = false;
        let (as_of, organizations) = match &reader {
            None => (None, Vec::new()),
            Some(reader) => {
                let restored = reader.restored(now * 1000)?;
                let today = Day::at(now).number();
                let days = reader.days(today.saturating_sub(kept_terms::DAYS), today, None)?;
                let mut config = self.loaded.config.clone();
                has_kept_terms = kept_terms::put(&mut config, &self.loaded.offer, &days);
                let rules = wiring::rules(&config, &self.loaded.offer);
                let standings = proxy::standings_of(&restored, &rules, now);
                let standings = standings.iter().map(OrganizationStanding::of).collect();
                (reader.last_settled_at()?, standings)
            }
        };
        Ok(Standings {
            source: Source::Stopped { as_of },
            day: Day::at(now),
            now,
            clock_correction: 0,
            base_url: self.base_url(None),
            organizations,
            has_kept_terms,
            sharing: None,
            ledger_notice: None,
            notices: Vec::new(),
        })
    }

    fn said(&self, said: admin::Standings) -> Result<Standings, NoAnswer> {
        let day = day_of_text(&said.day).ok_or(Unanswered::Foreign)?;
        Ok(Standings {
            source: Source::Running,
            day,
            // A moment later it may be another day by this clock than it was by the proxy's.
            now: (now() + said.clock_correction_milliseconds / 1000)
                .clamp(day.start(), day.end() - 1),
            clock_correction: said.clock_correction_milliseconds,
            base_url: self.base_url(Some(&said.proxy.address)),
            organizations: said.organizations,
            has_kept_terms: false,
            sharing: said.sharing,
            ledger_notice: said.ledger_notice,
            notices: said.notices,
        })
    }

    /// Moves what an unclean stop left in the tail into the tables, so that it is shown too.
    fn settle_tail(&self) {
        if let Err(error) = ledger::fold_tail(&self.folder, now() * 1000)
            && self.folder.exists()
        {
            let why = format!("warning: the newest calls may be missing: {error}\n");
            refuse(&why, 0);
        }
    }

    /// The ledger; `None` where there is none yet.
    pub(crate) fn reader(&self) -> Result<Option<Reader>, NoAnswer> {
        match Reader::open(&self.folder) {
            Ok(reader) => Ok(Some(reader)),
            Err(ReadError::NoLedger) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The ledger with all that was committed, whether a proxy runs or not.
    pub(crate) fn whole_reader(&self) -> Result<Option<Reader>, NoAnswer> {
        match self.proxy() {
            None => self.settle_tail(),
            // It answers once the calls of the last moment are in the tables; where it does not, older ones are.
            Some(proxy) => drop(proxy.get::<admin::Standings>(admin::STANDING)),
        }
        self.reader()
    }

    /// The sums of these days, oldest first; none without a ledger.
    pub(crate) fn days(
        &self,
        from: Day,
        to: Day,
        organization: Option<&str>,
    ) -> Result<Vec<DayRow>, NoAnswer> {
        match self.reader()? {
            None => Ok(Vec::new()),
            Some(reader) => Ok(reader.days(from.number(), to.number(), organization)?),
        }
    }

    /// How many calls of that day are awaited: their answers said that their usage comes later.
    pub(crate) fn awaited(&self, day: Day, organization: Option<&str>) -> Result<u64, NoAnswer> {
        let filter = CallFilter {
            days: Some((day.number(), day.number())),
            verdict: Some(Verdict::Pending.as_str().to_owned()),
            organization: organization.map(str::to_owned),
            at_most: MOST_AWAITED,
            ..CallFilter::default()
        };
        match self.reader()? {
            None => Ok(0),
            Some(reader) => Ok(reader.calls(&filter)?.len() as u64),
        }
    }

    /// How an organization stands that nothing is known of but what is declared.
    pub(crate) fn standing_of_new(&self, name: &str) -> OrganizationStanding {
        let mut rules = wiring::rules(&self.loaded.config, &self.loaded.offer);
        let declared = rules.declared().iter().any(|one| *one.name == *name);
        if !declared {
            let mut config = self.loaded.config.clone();
            config.organizations.push(meter::DeclaredOrganization {
                name: name.into(),
                aliases: Vec::new(),
                terms: config.terms.clone(),
            });
            rules = wiring::rules(&config, &self.loaded.offer);
        }
        let standings = proxy::standings_of(&ledger::Restored::default(), &rules, now());
        let found = standings.iter().find(|one| one.name == name);
        found.map_or_else(
            || OrganizationStanding {
                organization: name.to_owned(),
                usage_tier: 1,
                usage_tier_declared: false,
                groups: Vec::new(),
            },
            OrganizationStanding::of,
        )
    }

    /// The organization that is meant: the one that is named, else the only one that has called today, else the only
    /// one that is known.
    pub(crate) fn one_organization(
        &self,
        all: &Standings,
        named: Option<&str>,
    ) -> Result<OrganizationStanding, NoAnswer> {
        let known = &all.organizations;
        if let Some(name) = named {
            let found = known.iter().find(|one| one.organization == name);
            return Ok(found.cloned().unwrap_or_else(|| self.standing_of_new(name)));
        }
        let called = |one: &&OrganizationStanding| {
            let mut groups = one.groups.iter();
            groups.any(|group| group.taken_tokens > 0 || group.in_flight.is_any())
        };
        let called: Vec<_> = known.iter().filter(called).collect();
        let all: Vec<_> = known.iter().collect();
        match (called.as_slice(), all.as_slice()) {
            ([only], _) | ([], [only]) => Ok((*only).clone()),
            ([], []) => Ok(self.standing_of_new(Organizations::UNKNOWN)),
            (several @ [_, _, ..], _) | ([], several) => {
                let some = several.iter().take(MOST_NAMES);
                let some: Vec<&str> = some.map(|one| one.organization.as_str()).collect();
                Err(NoAnswer::Asked(format!(
                    "which organization? help: --organization NAME, such as {}",
                    some.join(", ")
                )))
            }
        }
    }

    /// The day that is today; the running proxy's clock is corrected, so its word counts.
    pub(crate) fn today(&self) -> Result<Day, NoAnswer> {
        match self.proxy() {
            None => Ok(Day::at(now())),
            Some(proxy) => {
                let said: admin::Standings = proxy.get(admin::STANDING)?;
                Ok(day_of_text(&said.day).ok_or(Unanswered::Foreign)?)
            }
        }
    }

    /// The line for the shell where nothing was called yet.
    pub(crate) fn export_line(&self) -> String {
        let standings = self.standings();
        match standings {
            Ok(Standings {
                source: Source::Running,
                base_url,
                ..
            }) => format!("export OPENAI_BASE_URL={base_url}"),
            _ => format!(
                "start tollfree, then: export OPENAI_BASE_URL={}",
                self.base_url(None)
            ),
        }
    }

    fn base_url(&self, address: Option<&str>) -> String {
        let config = &self.loaded.config;
        let scheme = if config.listener.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let listens = address.and_then(|address| address.parse().ok());
        let address = crate::banner::reachable(listens.unwrap_or(config.listen));
        format!("{scheme}://{address}/v1")
    }
}

/// Unix seconds by this machine's clock.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The day of a text such as `2026-11-21`.
pub(crate) fn day_of_text(text: &str) -> Option<Day> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let part = |number: i8| u8::try_from(number).ok();
    Day::of_date(
        u16::try_from(date.year()).ok()?,
        part(date.month())?,
        part(date.day())?,
    )
}
