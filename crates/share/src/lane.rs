//! The one task that speaks with the store: calls that wait for their spans, together; every second what changed here
//! and what others took. Each total has one message under way, so that what is said of it is always whole. Must not
//! know how the store is reached.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meter::{Grant, Meter, Portion};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::account::{Account, Place, Said};
use crate::asked::Ask;
use crate::figures::Figures;
use crate::key::Keys;
use crate::message::Answer;
use crate::sights::Sights;
use crate::store::{Store, StoreError};
use crate::{Replica, ShareSettings};

/// The longest that a call waits for its span, in line or on the way.
const PATIENCE: Duration = Duration::from_millis(200);
/// A store that answers later than this is not asked by calls, only told.
const QUICK: Duration = Duration::from_millis(100);
/// The longest that an answer is waited for which no call waits for.
const LONG: Duration = Duration::from_secs(5);
/// Pauses between two attempts to connect: from the first to the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];
/// Calls whose spans are taken at once.
const MOST_TOGETHER: usize = 256;
/// Totals in which nothing happened here that are read in one beat; the others have their turn in the next.
const MOST_READ: usize = 512;

/// Speaks with the store until it is told to leave.
pub(crate) struct Lane {
    settings: ShareSettings,
    replica: Replica,
    meter: Arc<Meter>,
    figures: Arc<Figures>,
    asks: mpsc::Receiver<Ask>,
    statements: Arc<Mutex<Vec<Place>>>,
    sights: Arc<Sights>,
    leaving: Arc<Notify>,
    accounts: HashMap<Place, Account, ahash::RandomState>,
    /// Of the last message.
    version: u64,
    beats: u64,
    /// When every other replica has had the time to speak.
    whole_at: Instant,
}

/// What ends a conversation.
enum Ended {
    Lost(StoreError),
    Left,
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Ended::Lost(error)
    }
}

/// What the lane is given.
pub(crate) struct Ends {
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) statements: Arc<Mutex<Vec<Place>>>,
    pub(crate) sights: Arc<Sights>,
    pub(crate) leaving: Arc<Notify>,
    pub(crate) figures: Arc<Figures>,
}

impl Lane {
    /// `version` is greater than that of any message this replica ever sent, unless its clock went back; then the
    /// store says so.
    pub(crate) fn new(
        settings: ShareSettings,
        replica: Replica,
        meter: Arc<Meter>,
        ends: Ends,
        version: u64,
    ) -> Self {
        let Ends {
            asks,
            statements,
            sights,
            leaving,
            figures,
        } = ends;
        Self {
            settings,
            replica,
            meter,
            figures,
            asks,
            statements,
            sights,
            leaving,
            accounts: HashMap::default(),
            version,
            beats: 0,
            whole_at: Instant::now(),
        }
    }

    pub(crate) async fn run(mut self) {
        let [first, longest] = PAUSES;
        let mut pause = first;
        let mut is_said = false;
        loop {
            let ended = match Store::connect(&self.settings, &self.replica.name).await {
                Ok(store) => self.converse(&store, &mut pause, &mut is_said).await,
                Err(error) => Ended::Lost(error),
            };
            let error = match ended {
                Ended::Lost(error) => error,
                Ended::Left => return,
            };
            self.lose(&error, &mut is_said);
            if self.pause(pause).await {
                return;
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn lose(&mut self, error: &StoreError, is_said: &mut bool) {
        self.figures.is_quick.store(false, Ordering::Release);
        self.figures.is_in_step.store(false, Ordering::Release);
        self.meter.set_in_step(false);
        self.whole_at = Instant::now() + self.settings.times.rejoin;
        if self.figures.is_reached.swap(false, Ordering::AcqRel) {
            Figures::add(&self.figures.losses, 1);
        }
        if !std::mem::replace(is_said, true) {
            tracing::warn!(
                store = self.settings.shown(),
                "the totals that replicas share cannot be asked: {}. calls go on, free verdicts assume \
                 shared-totals. help: see that the store runs and can be reached",
                chain(error)
            );
        }
    }

    /// Says whether it is time to leave. Whoever asks meanwhile is settled by what is known here.
    async fn pause(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = self.leaving.notified() => return true,
                ask = self.asks.recv() => match ask {
                    Some(_settled_here) => Figures::add(&self.figures.alone, 1),
                    None => return true,
                },
                () = tokio::time::sleep_until(until) => return false,
            }
        }
    }

    async fn converse(&mut self, store: &Store, pause: &mut Duration, is_said: &mut bool) -> Ended {
        let mut beat = interval(self.settings.times.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asks = Vec::with_capacity(MOST_TOGETHER);
        let leaving = Arc::clone(&self.leaving);
        loop {
            let done = tokio::select! {
                biased;
                () = leaving.notified() => {
                    // What others are not told now they would learn only after the next start.
                    let _ = self.beat(store, true).await;
                    return Ended::Left;
                }
                _ = beat.tick() => {
                    let done = self.beat(store, false).await;
                    if done.is_ok() && std::mem::replace(is_said, false) {
                        tracing::info!(store = self.settings.shown(), "totals are shared again");
                    }
                    *pause = PAUSES[0];
                    done
                }
                count = self.asks.recv_many(&mut asks, MOST_TOGETHER) => {
                    if count == 0 {
                        return Ended::Left;
                    }
                    self.grant(store, &mut asks).await
                }
            };
            if let Err(error) = done {
                return Ended::Lost(error);
            }
        }
    }

    /// Takes the spans of these calls.
    async fn grant(&mut self, store: &Store, asks: &mut Vec<Ask>) -> Result<(), StoreError> {
        let now = Instant::now();
        let since = asks.iter().map(|ask| ask.since).min().unwrap_or(now);
        let mut by_place: HashMap<Place, Vec<Ask>, ahash::RandomState> = HashMap::default();
        for ask in asks.drain(..) {
            let claim = &ask.claim;
            let place = Place::of(&claim.organization, claim.group, claim.day);
            by_place.entry(place).or_default().push(ask);
        }
        let mut said = Vec::with_capacity(by_place.len());
        for (place, asks) in by_place {
            if let Some(first) = asks.first() {
                let organization = first.claim.organization.clone();
                self.open(&place, organization);
            }
            said.extend(self.compose(place, asks));
        }
        self.say(store, said, since + PATIENCE).await
    }

    /// Says what changed and reads what others took.
    async fn beat(&mut self, store: &Store, leaves: bool) -> Result<(), StoreError> {
        let began = Instant::now();
        // While calls may be in line behind this, all of it takes no longer than they wait.
        let is_asked = self.figures.is_quick.load(Ordering::Acquire);
        let until = || {
            if is_asked {
                began + PATIENCE
            } else {
                Instant::now() + LONG
            }
        };
        let present = timeout_at(until(), store.present(leaves)).await;
        let (replicas, missing) = present.map_err(|_late| StoreError::Late)??;
        let is_quick = began.elapsed() <= QUICK;
        self.beats += 1;
        self.open_all();
        self.hear_statements();
        for places in self.due().chunks(MOST_TOGETHER) {
            let said: Vec<Said> = places
                .iter()
                .filter_map(|place| self.compose(place.clone(), Vec::new()))
                .collect();
            self.say(store, said, until()).await?;
        }
        let sights = timeout_at(until(), self.pass_sights(store)).await;
        sights.map_err(|_late| StoreError::Late)??;
        let is_whole = missing == 0 && Instant::now() >= self.whole_at;
        let figures = &self.figures;
        figures.replicas.store(replicas, Ordering::Relaxed);
        figures.missing.store(missing, Ordering::Relaxed);
        figures.is_reached.store(true, Ordering::Release);
        figures.is_quick.store(is_quick, Ordering::Release);
        figures
            .is_in_step
            .store(is_quick && is_whole, Ordering::Release);
        self.meter.set_in_step(is_quick && is_whole);
        Ok(())
    }

    /// Says what is waited for and what was seen, and receives what others saw. May be cut short.
    async fn pass_sights(&self, store: &Store) -> Result<(), StoreError> {
        let unsaid = self.sights.take();
        store.awaits(&unsaid.awaited).await?;
        store.pass_on(&unsaid.seen).await?;
        unsaid.forget();
        let mut texts = store.sights().await?;
        // One for which there is no room here stays in the store until there is.
        let received = texts
            .iter()
            .take_while(|text| self.sights.receive(text))
            .count();
        texts.truncate(received);
        store.forget_sights(&texts).await
    }

    async fn say(
        &mut self,
        store: &Store,
        said: Vec<Said>,
        until: Instant,
    ) -> Result<(), StoreError> {
        let since = self.meter.counting_since();
        let messages: Vec<_> = said
            .iter()
            .map(|said| said.message(&self.replica.name, since))
            .collect();
        let waiting: usize = said.iter().map(|said| said.asks.len()).sum();
        let answers = match timeout_at(until, store.say(&messages)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => {
                Figures::add(&self.figures.alone, waiting as u64);
                return Err(error);
            }
            Err(_late) => {
                Figures::add(&self.figures.alone, waiting as u64);
                return Err(StoreError::Late);
            }
        };
        drop(messages);
        for (said, answer) in said.into_iter().zip(answers) {
            self.hear(said, answer);
        }
        Ok(())
    }

    fn hear(&mut self, said: Said, answer: Answer) {
        let Some(account) = self.accounts.get_mut(&said.place) else {
            Figures::add(&self.figures.alone, said.asks.len() as u64);
            return;
        };
        account.heard_in = self.beats;
        let told = match answer {
            Answer::Now(told) => told,
            Answer::Outdated(version) => {
                // Another message of ours was newer: the next one says all of it again.
                self.version = self.version.max(version);
                account.acknowledged = None;
                Figures::add(&self.figures.alone, said.asks.len() as u64);
                return;
            }
        };
        let Place { group, day, .. } = said.place;
        let organization = &account.organization;
        let is_stated_elsewhere = account.stated.is_some_and(|before| told.stated > before);
        if let (true, false, Some(before)) =
            (is_stated_elsewhere, said.is_stated, &account.acknowledged)
        {
            self.meter.forgive(organization, group, day, &before.slack);
        }
        if *organization.name() == *said.place.organization {
            self.meter.hear(organization, group, day, &told.others);
            self.meter.counted_since(told.since);
        }
        let is_sure = self.figures.missing.load(Ordering::Relaxed) == 0
            && Instant::now() >= self.whole_at
            && Duration::from_millis(told.age) >= self.settings.times.rejoin;
        let mut acknowledged = said.own;
        for (ask, (span, fit)) in said.asks.into_iter().zip(told.spans) {
            let tokens = ask.claim.tokens;
            acknowledged.taken = acknowledged.taken.saturating_add(tokens);
            if fit.fits {
                acknowledged.fitted = acknowledged.fitted.saturating_add(tokens);
            }
            let grant = Grant { span, fit, is_sure };
            let claim = ask.claim;
            // Before anybody can see that it was granted.
            self.meter.take_granted(&claim, &grant);
            if ask.answer.send(grant).is_ok() {
                Figures::add(&self.figures.granted, 1);
            } else {
                // Whoever no longer waits takes its tokens here by itself: the next message says so.
                self.meter.give_back(&claim, &grant);
                Figures::add(&self.figures.alone, 1);
            }
        }
        account.acknowledged = Some(acknowledged);
        account.known = said.version;
        account.stated = Some(told.stated);
        account.is_stated &= !said.is_stated;
    }

    /// What is to be said of a total, for these calls.
    fn compose(&mut self, place: Place, asks: Vec<Ask>) -> Option<Said> {
        let Some(account) = self.accounts.get(&place) else {
            // They are of a group without a name here.
            Figures::add(&self.figures.alone, asks.len() as u64);
            return None;
        };
        self.version += 1;
        Some(Said {
            keys: Arc::clone(&account.keys),
            version: self.version,
            known: account.known,
            own: own(&self.meter, &place, account),
            is_stated: account.is_stated,
            tokens: asks.iter().map(|ask| ask.claim.tokens).collect(),
            asks,
            place,
        })
    }

    /// The totals that are to be spoken of in this beat: all that changed here, the others in turn.
    fn due(&self) -> Vec<Place> {
        let is_changed = |place: &Place, account: &Account| {
            account.is_stated || account.acknowledged != Some(own(&self.meter, place, account))
        };
        let (changed, mut others): (Vec<_>, Vec<_>) = self
            .accounts
            .iter()
            .partition(|(place, account)| is_changed(place, account));
        others.sort_by_key(|(_, account)| account.heard_in);
        others.truncate(MOST_READ);
        let due = changed.into_iter().chain(others);
        due.map(|(place, _)| place.clone()).collect()
    }

    /// Opens what the meter opened since, and closes what it forgot or gave another name, once the store knows.
    fn open_all(&mut self) {
        let opened: HashMap<Place, _, ahash::RandomState> = self
            .meter
            .opened()
            .into_iter()
            .map(|(organization, group, day)| (Place::of(&organization, group, day), organization))
            .collect();
        self.accounts.retain(|place, account| {
            let is_renamed = *account.organization.name() != *place.organization;
            let is_told = account.acknowledged == Some(Portion::default());
            opened.contains_key(place) || (is_renamed && !is_told)
        });
        for (place, organization) in opened {
            self.open(&place, organization);
        }
    }

    fn open(&mut self, place: &Place, organization: meter::Organization) {
        if self.accounts.contains_key(place) {
            return;
        }
        let groups = &self.replica.groups;
        // A group that came with a newer offer has no name here until the next start.
        let Some(group) = groups.get(place.group.index()) else {
            return;
        };
        let keys = Keys::of(&self.settings.prefix, &place.organization, group, place.day);
        let account = Account {
            organization,
            keys: Arc::new(keys),
            known: 0,
            acknowledged: None,
            stated: None,
            is_stated: false,
            heard_in: 0,
        };
        self.accounts.insert(place.clone(), account);
    }

    fn hear_statements(&mut self) {
        let mut statements = self
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for place in statements.drain(..) {
            if let Some(account) = self.accounts.get_mut(&place) {
                account.is_stated = true;
            }
        }
    }
}

/// What was counted here of a total; nothing any more where its organization turned out to be another one.
fn own(meter: &Meter, place: &Place, account: &Account) -> Portion {
    if *account.organization.name() == *place.organization {
        meter.portion(&account.organization, place.group, place.day)
    } else {
        Portion::default()
    }
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
