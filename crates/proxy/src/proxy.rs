//! What all calls share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use meter::{Day, Meter, Rules};

use crate::body::AnswerBody;
use crate::call;
use crate::call_id::NoRandomness;
use crate::clock::Clock;
use crate::keys::Keys;
use crate::lookup::Waits;
use crate::memory::Memory;
use crate::recent::Recent;
use crate::request_body::RequestBody;
use crate::settings::Settings;

/// Sends calls upstream.
pub type Connector = net::Connector<RequestBody>;

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
    pub(crate) meter: Meter,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) recent: Recent,
    pub(crate) waits: Waits,
    pub(crate) request_memory: Arc<Memory>,
    pub(crate) answer_memory: Arc<Memory>,
}

impl Proxy {
    /// A proxy that begins to count now.
    ///
    /// # Errors
    /// [`NoRandomness`] when the system has none.
    pub fn new(
        settings: Settings,
        rules: Rules,
        connector: Connector,
        meter: Meter,
        clock: Clock,
    ) -> Result<Proxy, NoRandomness> {
        meter.learn_declared(&rules);
        Ok(Proxy {
            shared: Arc::new(Shared {
                settings: ArcSwap::from_pointee(settings),
                rules: ArcSwap::from_pointee(rules),
                connector: ArcSwap::from_pointee(connector),
                meter,
                clock,
                keys: Keys::new()?,
                recent: Recent::new(),
                waits: Waits::default(),
                request_memory: Memory::new(),
                answer_memory: Memory::new(),
            }),
        })
    }

    /// Puts new settings, rules and connections in place of the old ones, for the calls that follow. Totals
    /// stay.
    pub fn reload(&self, settings: Settings, rules: Rules, connector: Connector) {
        self.shared.meter.learn_declared(&rules);
        self.shared.settings.store(Arc::new(settings));
        self.shared.rules.store(Arc::new(rules));
        self.shared.connector.store(Arc::new(connector));
    }

    /// Drops the totals of the days before yesterday: no call will be settled on them any more. Yesterday is that of
    /// the slower clock, ours or OpenAI's, so that a wrong one drops nothing that counts.
    pub fn forget_old_days(&self) {
        let clock = &self.shared.clock;
        let ahead = clock.correction_milliseconds().max(0) / 1000;
        let today = Day::at(clock.now() - ahead);
        self.shared.meter.forget_before(Day::at(today.start() - 1));
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        call::handle(Arc::clone(&self.shared), request).await
    }
}
