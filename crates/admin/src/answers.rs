//! What the page and programs over the network may ask: read only, each answer JSON. What changes something is asked
//! over the control socket. Must not know a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use http::StatusCode;
use ledger::{Health, Ledger, ReadError};
use meter::{Day, Verdict};
use net::ListenFigures;
use percent_encoding::percent_decode_str;
use proxy::Proxy;
use serde_json::{Value, json};

use crate::about::About;
use crate::api::{Answer, Api};
use crate::board::Look;
use crate::file::Page;
use crate::health::{self, Status};
use crate::history::{History, Wanted};
use crate::query::{Query, names};
use crate::reading::{Failed, Length, Readings};
use crate::standing::SCHEMA;
use crate::{call, metrics};

/// Everything that can be asked. Cheap to clone.
#[derive(Clone)]
pub struct Answers {
    proxy: Proxy,
    api: Api,
    ledger: Option<(Ledger, History)>,
    about: Arc<ArcSwap<About>>,
    stopping: Arc<AtomicBool>,
    connections: Arc<ListenFigures>,
    readings: Readings,
}

/// What tells one moment from another: if it is the same, nothing changed that a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    counts: (u64, u64),
    day: Day,
    notices: Vec<String>,
    moved_at: Option<i64>,
}

impl Answers {
    /// `ledger` with the folder it is in. `about` and `stopping` are changed by whoever gave them, `connections` counted
    /// by the listener of the calls.
    #[must_use]
    pub fn new(
        proxy: Proxy,
        api: Api,
        ledger: Option<(Ledger, &std::path::Path)>,
        about: Arc<ArcSwap<About>>,
        stopping: Arc<AtomicBool>,
        connections: Arc<ListenFigures>,
    ) -> Self {
        Self {
            proxy,
            api,
            ledger: ledger.map(|(ledger, folder)| (ledger, History::new(folder))),
            about,
            stopping,
            connections,
            readings: Readings::new(),
        }
    }

    /// The proxy's own base URL is made of this.
    pub(crate) fn address(&self) -> String {
        self.api.standings().proxy.address
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn health_of_ledger(&self) -> Option<Health> {
        self.ledger.as_ref().map(|(ledger, _)| ledger.health())
    }

    fn status(&self) -> Status {
        health::status(
            &self.proxy,
            self.health_of_ledger().as_ref(),
            &self.about.load(),
            self.is_stopping(),
        )
    }

    /// `/healthz` and `/readyz`; `None` for any other path. Trouble beside the calls is `degraded` and no reason to
    /// take calls away, unless `?strict=1` asks for it. What does not work is told only to whoever `may_know`: it names
    /// organizations and addresses.
    pub(crate) fn health(&self, path: &str, query: &str, may_know: bool) -> Option<Answer> {
        let strict = query.split('&').any(|pair| pair == "strict=1");
        let mut status = match path {
            "/healthz" | "/readyz" => self.status(),
            _ => return None,
        };
        let bad = match status.word {
            "stopping" => path == "/readyz" || strict,
            "degraded" => strict,
            _ => false,
        };
        if !may_know {
            status.notices.clear();
        }
        let mut answer = Answer::of(&status);
        if bad {
            answer.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        Some(answer)
    }

    /// The figures as Prometheus reads them.
    pub(crate) fn metrics(&self) -> Result<String, std::fmt::Error> {
        let (ledger, about) = (self.health_of_ledger(), self.about.load());
        metrics::text(&self.proxy, ledger, &about, &self.connections)
    }

    /// Answers one question; `None`: there is nothing of that name.
    pub(crate) async fn answer(&self, path: &str, query: &str) -> Option<Answer> {
        let asked = Query(query);
        let name = path.strip_prefix("/api/v1/")?;
        if let Some(names) = names(name)
            && let Err(refused) = asked.only(names)
        {
            return Some(refused);
        }
        Some(match name {
            "standing" => self.standing().await,
            "state" => self.state().await,
            "offer" => Answer::of(&self.about.load().offer),
            "config" => Answer::of(&self.about.load().config),
            "days" => match asked.days() {
                Ok(days) => self.days(days, asked.text("organization")).await,
                Err(refused) => refused,
            },
            "calls" => match asked.wanted() {
                Ok(wanted) => {
                    let calls = move |history: &History| history.calls(&wanted);
                    self.json_of(Length::Long, calls).await
                }
                Err(refused) => refused,
            },
            "curve" => self.curve(&asked).await,
            _ => {
                let id = percent_decode_str(name.strip_prefix("calls/")?);
                self.call(id.decode_utf8_lossy().into_owned()).await
            }
        })
    }

    /// Does what takes no long time, but may be much, on a thread that may wait.
    pub(crate) async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failed> {
        self.readings.turn(Length::Short, work).await
    }

    async fn standing(&self) -> Answer {
        let api = self.api.clone();
        let turn = self.turn(move || Answer::of(&api.standings())).await;
        turn.unwrap_or_else(|_failed| failed())
    }

    async fn read<T: Send + 'static>(
        &self,
        length: Length,
        ask: impl FnOnce(&History) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Answer> {
        let Some((_, history)) = &self.ledger else {
            let why = "no ledger is kept. help: set data_dir to a folder";
            return Err(Answer::refusal(StatusCode::NOT_FOUND, why.to_owned()));
        };
        let history = history.clone();
        match self.readings.turn(length, move || ask(&history)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let why = format!("the ledger cannot be read: {error}");
                Err(Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, why))
            }
            Err(Failed) => Err(failed()),
        }
    }

    async fn json_of(
        &self,
        length: Length,
        ask: impl FnOnce(&History) -> Result<Value, ReadError> + Send + 'static,
    ) -> Answer {
        // Much of it takes a while to be written down, too.
        let answer = move |history: &History| Ok(Answer::of(&ask(history)?));
        match self.read(length, answer).await {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn today(&self) -> Day {
        self.proxy.today()
    }

    async fn days(&self, days: i32, organization: Option<String>) -> Answer {
        let today = self.today();
        let from = Day::of_number(today.number().saturating_sub(days - 1));
        let days = move |history: &History| history.days(from, today, organization.as_deref());
        self.json_of(Length::Short, days).await
    }

    async fn call(&self, id: String) -> Answer {
        let found = self.read(Length::Short, move |history| history.call(&id));
        match found.await {
            Ok(Some(call)) => Answer::of(&call),
            Ok(None) => {
                let why = "no such call here. help: name it by x-tollfree-call, OpenAI's response id or x-request-id";
                Answer::refusal(StatusCode::NOT_FOUND, why.to_owned())
            }
            Err(refused) => refused,
        }
    }

    async fn curve(&self, asked: &Query<'_>) -> Answer {
        let (Some(organization), Some(group)) = (asked.text("organization"), asked.text("group"))
        else {
            let why =
                "a curve needs an organization and a group. help: ?organization=acme&group=large";
            return Answer::refusal(StatusCode::BAD_REQUEST, why.to_owned());
        };
        let day = match asked.day() {
            Ok(day) => day.unwrap_or_else(|| self.today()),
            Err(refused) => return refused,
        };
        let (api, today) = (self.api.clone(), self.today());
        let curve = move |history: &History| {
            let allowance = api.allowance(&organization, &group);
            let points = history.curve(day, &organization, &group)?;
            let down = history.not_running(day)?;
            let days = history.days(day, today, Some(&organization))?;
            let is_it = |one: &&Value| {
                one.get("group").is_some_and(|name| *name == group)
                    && one.get("day").is_some_and(|name| *name == day.to_string())
            };
            let days = days.get("days").and_then(Value::as_array);
            let mine = days.and_then(|days| days.iter().find(is_it));
            let then = mine.and_then(|one| one.get("allowance_tokens")?.as_u64());
            Ok(json!({
                "schema": SCHEMA,
                "day": day.to_string(),
                "organization": organization,
                "group": group,
                "allowance_tokens": then.or(allowance),
                "crossing": mine.and_then(|one| one.get("crossing")),
                "points": points.iter().map(|(at, total)| json!([at.div_euclid(1000), total])).collect::<Vec<_>>(),
                "down": down.iter().map(|(from, to)| json!([from.div_euclid(1000), to.div_euclid(1000)])).collect::<Vec<_>>(),
            }))
        };
        self.json_of(Length::Short, curve).await
    }

    async fn state(&self) -> Answer {
        let newest = self.newest().await;
        Answer::of(&self.state_value(newest))
    }

    fn state_value(&self, newest: i64) -> Value {
        let status = self.status();
        let differs: u64 = self
            .proxy
            .figures()
            .payer_differs()
            .map(|(_, count)| count)
            .sum();
        json!({
            "schema": SCHEMA,
            "now": self.now(),
            "version": env!("CARGO_PKG_VERSION"),
            "status": status.word,
            "notices": status.notices,
            "payer_differs": differs,
            "calls_ever": newest > 0 || self.has_counted(),
            "in_flight_calls": self.proxy.figures().open(),
        })
    }

    /// Whether calls were counted that the ledger may not have.
    fn has_counted(&self) -> bool {
        let none = Verdict::None.as_str();
        let mut calls = self.proxy.figures().calls();
        let standings = self.proxy.standings();
        let mut groups = standings.iter().flat_map(|one| &one.groups);
        calls.any(|(_, verdict, _, count)| verdict != none && count > 0)
            || groups.any(|group| group.standing.taken > 0)
    }

    /// The number of the newest settled call; 0: there is none, or it cannot be known.
    async fn newest(&self) -> i64 {
        let newest = self.read(Length::Short, History::newest).await;
        newest.unwrap_or_default()
    }

    /// The instant that it is now, as JSON says it.
    pub(crate) fn now(&self) -> String {
        call::instant(self.proxy.now_milliseconds())
    }

    /// What tells this moment from another.
    pub(crate) fn mark(&self) -> Mark {
        let figures = self.proxy.figures();
        let settled = figures.calls().map(|(.., count)| count).sum();
        Mark {
            counts: (settled, figures.open()),
            day: self.today(),
            notices: self.status().notices,
            moved_at: self
                .health_of_ledger()
                .and_then(|health| health.last_moved_at),
        }
    }

    /// Everything that a page shows and that changes, with the calls settled after that number; without one, with the
    /// newest call alone. Blocking.
    pub(crate) fn look(&self, since: Option<i64>) -> Look {
        let day = self.today();
        let looked = self.ledger.as_ref().and_then(|(_, history)| {
            let calls = match since {
                Some(number) => history.settled_after(number),
                None => history.newest_row(),
            };
            Some((history.rows_of(day).ok()?, calls.ok()?))
        });
        let (rows, calls) = looked.unzip();
        let calls = calls.unwrap_or_default();
        let newest = calls.first().map(|row| row.number).or(since);
        Look {
            day,
            standings: self.api.standings(),
            state: self.state_value(newest.unwrap_or_default()),
            rows,
            calls,
        }
    }

    /// Some of the calls that are asked for, as lines of a file.
    pub(crate) async fn page(&self, wanted: Wanted, at_most: usize) -> Result<Page, Answer> {
        let page = move |history: &History| history.csv_page(&wanted, at_most);
        self.read(Length::Long, page).await
    }
}

/// What is said where the fault is ours.
fn failed() -> Answer {
    let why = "reading the ledger failed".to_owned();
    Answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, why)
}
