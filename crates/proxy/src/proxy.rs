//! What all calls share.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use ledger::Opened;
use meter::{Day, Meter, Rules};
use net::{ClientBody, ConnectFigures, Connector, Peer};
use share::{Replica, Share, ShareSettings, SharingNow};
use tokio::sync::Semaphore;

use crate::bodies::answer_body::AnswerBody;
use crate::bodies::finish::MOST_FINISHING;
use crate::bodies::memory::Memory;
use crate::call;
use crate::call_id::NoRandomness;
use crate::clock::Clock;
use crate::figures::Figures;
use crate::keyless::Keyless;
use crate::keys::Keys;
use crate::look_up::Waits;
use crate::look_up::recent::Recent;
use crate::outage::Outage;
use crate::pasted::Pasted;
use crate::restore::{restore, unknown_to_ledger};
use crate::settings::Settings;
use crate::settling::awaited::Awaited;
use crate::settling::first_sight;
use crate::settling::learned::Learned;
use crate::settling::outbox::Outbox;
use crate::standings::{NotStated, OrganizationStanding, StatedTotal};

/// Look-ups that search the ledger at once: they share its one connection. Further ones wait their turn, and no thread
/// with them.
const MOST_LEDGER_LOOKUPS: usize = 1;

/// The proxy: hand it requests, it answers them. Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

/// Everything that outlives a call.
pub(crate) struct Shared {
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) connector: ArcSwap<Connector>,
    pub(crate) meter: Arc<Meter>,
    /// Totals that replicas share; most programs share none.
    pub(crate) share: OnceLock<Share>,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) keyless: Keyless,
    pub(crate) pasted: Pasted,
    pub(crate) outage: Outage,
    pub(crate) recent: Recent,
    pub(crate) outbox: Outbox,
    pub(crate) figures: Figures,
    pub(crate) awaited: Awaited,
    pub(crate) learned: Learned,
    pub(crate) waits: Waits,
    pub(crate) ledger_lookups: Semaphore,
    /// Streams that are read on without their client.
    pub(crate) finishing: Arc<Semaphore>,
    pub(crate) request_memory: Arc<Memory>,
    pub(crate) answer_memory: Arc<Memory>,
}

impl Proxy {
    /// A proxy that goes on where the ledger it is given was left; without one it begins to count now, and keeps
    /// nothing.
    ///
    /// # Errors
    /// [`NoRandomness`] when the system has none.
    pub fn new(
        settings: Settings,
        rules: Rules,
        connector: Connector,
        clock: Clock,
        ledger: Option<Opened>,
    ) -> Result<Proxy, NoRandomness> {
        let (meter, keys) = match &ledger {
            None => (Meter::new(clock.now()), Keys::new()?),
            Some(opened) => (
                Meter::new(opened.restored.began_at.div_euclid(1000)),
                Keys::with_secret(&opened.ledger.key_secret()),
            ),
        };
        clock.not_before(rules.offer().list_date());
        let declared = meter.learn_declared(&rules);
        let outbox = match ledger {
            None => Outbox::new(None),
            Some(Opened {
                ledger, restored, ..
            }) => {
                restore(&restored, &meter, &rules, &keys);
                let outbox = Outbox::new(Some(ledger));
                for (organization, name) in unknown_to_ledger(&restored, declared) {
                    outbox.alias(&organization, name);
                }
                outbox
            }
        };
        Ok(Proxy {
            shared: Arc::new(Shared {
                settings: ArcSwap::from_pointee(settings),
                rules: ArcSwap::from_pointee(rules),
                connector: ArcSwap::from_pointee(connector),
                meter: Arc::new(meter),
                share: OnceLock::new(),
                clock,
                keys,
                keyless: Keyless::default(),
                pasted: Pasted::default(),
                outage: Outage::default(),
                recent: Recent::new(),
                outbox,
                figures: Figures::default(),
                awaited: Awaited::default(),
                learned: Learned::default(),
                waits: Waits::default(),
                ledger_lookups: Semaphore::new(MOST_LEDGER_LOOKUPS),
                finishing: Arc::new(Semaphore::new(MOST_FINISHING)),
                request_memory: Memory::new(),
                answer_memory: Memory::new(),
            }),
        })
    }

    /// Shares totals with other replicas from now on; call it before the first call, within a runtime. Waits for the
    /// store no longer than `at_most`: a start does not depend on it.
    pub async fn share(&self, settings: ShareSettings, at_most: Duration) {
        let shared = &self.shared;
        let replica = Replica {
            name: shared.keys.replica(),
            groups: (shared.rules.load().offer().groups())
                .map(|(_, group)| group.name.as_ref().into())
                .collect(),
        };
        let begun = || Share::begin(settings, replica, Arc::clone(&shared.meter));
        let share = shared.share.get_or_init(begun);
        if let Some(heard) = share.heard() {
            tokio::spawn(first_sight::told(Arc::downgrade(shared), heard));
        }
        share.reached(at_most).await;
    }

    /// How sharing goes; `None` where nothing is shared.
    #[must_use]
    pub fn sharing(&self) -> Option<SharingNow> {
        self.shared.share.get().map(Share::now)
    }

    /// Tells the other replicas all that is left to tell, and that this one leaves; takes at most `at_most`.
    pub async fn leave(&self, at_most: Duration) {
        if let Some(share) = self.shared.share.get() {
            share.leave(at_most).await;
        }
    }

    /// Look-ups wait no longer: those that do are answered with what is known now.
    pub fn end_waits(&self) {
        self.shared.waits.end();
    }

    /// Puts new settings, rules and connections in place of the old ones, for the calls that follow. Totals
    /// stay.
    pub fn reload(&self, settings: Settings, rules: Rules, connector: Connector) {
        self.shared.clock.not_before(rules.offer().list_date());
        for (organization, name) in self.shared.meter.learn_declared(&rules) {
            self.shared.outbox.alias(&organization, name);
        }
        self.shared.settings.store(Arc::new(settings));
        self.shared.rules.store(Arc::new(rules));
        connector.replaces(&self.shared.connector.load());
        self.shared.connector.store(Arc::new(connector));
    }

    /// Connections to upstream, in numbers.
    #[must_use]
    pub fn upstream_connections(&self) -> ConnectFigures {
        self.shared.connector.load().figures()
    }

    /// Drops the totals of the days before yesterday: no call will be settled on them any more. Counted by the slower of
    /// the two clocks, ours or OpenAI's, so that a clock that is ahead drops no day on which calls are still settled.
    pub fn forget_old_days(&self) {
        let clock = &self.shared.clock;
        let ahead = clock.correction_milliseconds().max(0) / 1000;
        let today = Day::at(clock.now() - ahead);
        self.shared.meter.forget_before(Day::at(today.start() - 1));
    }

    /// What happened, in numbers.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// The UTC day that calls are settled on now.
    #[must_use]
    pub fn today(&self) -> Day {
        Day::at(self.shared.clock.now())
    }

    /// What time it is for `OpenAI`, in Unix milliseconds.
    #[must_use]
    pub fn now_milliseconds(&self) -> i64 {
        self.shared.clock.now_milliseconds()
    }

    /// The correction of this machine's clock, in milliseconds; 0 while it agrees with OpenAI's.
    #[must_use]
    pub fn clock_correction_milliseconds(&self) -> i64 {
        self.shared.clock.correction_milliseconds()
    }

    /// How every organization that was seen or is declared stands today.
    #[must_use]
    pub fn standings(&self) -> Vec<OrganizationStanding> {
        self.shared.standings()
    }

    /// What people are told while `OpenAI` bills groups whose allowance is not spent.
    #[must_use]
    pub fn payer_says_billed(&self) -> Option<String> {
        self.shared.payer_says_billed()
    }

    /// What people are told while calls get no answer of upstream's.
    #[must_use]
    pub fn outage(&self) -> Option<String> {
        self.shared.outage.notice()
    }

    /// States today's total of an organization's group as read on OpenAI's dashboard, in tokens: it holds from now
    /// on, and what may have been taken uncounted is in it.
    ///
    /// # Errors
    /// [`NotStated`] says which name is not known.
    pub async fn state_total(
        &self,
        organization: &str,
        group: &str,
        tokens: u64,
    ) -> Result<StatedTotal, NotStated> {
        self.shared.state_total(organization, group, tokens).await
    }

    /// Answers one request. A WebSocket keeps its peer as long as it is open.
    pub fn handle(
        &self,
        request: Request<ClientBody>,
        peer: Peer,
    ) -> Pin<Box<impl Future<Output = Response<AnswerBody>> + use<>>> {
        // Boxed, since a connection keeps room for its call's future between two calls.
        Box::pin(call::handle(Arc::clone(&self.shared), request, peer))
    }
}
