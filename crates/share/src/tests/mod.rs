//! Replicas on a real server: it is started on a free port in an empty folder, and killed at the end. Each replica is
//! a meter and its lane; what a ledger would hold is what its calls were handed.

mod faults;
mod relay;
mod replicas;
mod scale;
mod script;
mod sights;

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meter::{
    AfterCrossing, Day, Evidence, FinishedCall, GroupId, Meter, Model, ModelGroup, Offer,
    OfferParts, Organization, Rules, Settlement, Terms, Usage,
};
use tempfile::TempDir;

use crate::{Share, ShareSettings, Times};

/// 2026-11-21 08:00 UTC.
const NOW: i64 = 1_795_219_200 + 8 * 3_600;
const ALLOWANCE: u64 = 100_000;
/// A tenth of what the program takes: what is proved does not depend on it.
const TIMES: Times = Times {
    beat: Duration::from_millis(100),
    rejoin: Duration::from_millis(300),
    missing: Duration::from_millis(800),
};
/// What the store heals in, and what it is waited for at most.
const HEALED: Duration = Duration::from_secs(20);

/// A server of our own.
struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Server {
    #[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
    /// Starts one; none where there is no such program, which is said loudly.
    fn start() -> Option<Server> {
        let folder = TempDir::new().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let Some(child) = spawn(port, &folder) else {
            eprintln!(
                "SKIPPED: no redis-server on this machine, nothing was proved of shared totals"
            );
            return None;
        };
        let server = Server {
            child,
            port,
            folder,
        };
        server.until_it_answers();
        Some(server)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn until_it_answers(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        until("the server answers", || client.get_connection().is_ok());
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts anew on the same port, with nothing in it.
    fn restart(&mut self) {
        self.child = spawn(self.port, &self.folder).unwrap();
        self.until_it_answers();
    }

    fn command(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection).unwrap()
    }

    /// Both totals of the small group as they stand in the store.
    fn totals(&self, organization: &str) -> (u64, u64) {
        let key = format!("test:{{{organization}}}:{}:small", Day::at(NOW));
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let found: (Option<u64>, Option<u64>) = redis::cmd("HMGET")
            .arg(&[&key, "taken", "fitted"])
            .query(&mut connection)
            .unwrap();
        (found.0.unwrap_or(0), found.1.unwrap_or(0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &TempDir) -> Option<Child> {
    let port = port.to_string();
    let arguments = ["--port", &port, "--save", "", "--appendonly", "no"];
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1"])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

/// Waits until this is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + HEALED;
    while !is_so() {
        assert!(Instant::now() < deadline, "it was never so that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The same while tasks go on.
async fn until_it_is(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + HEALED;
    while !is_so() {
        assert!(Instant::now() < deadline, "it was never so that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// `tiny` is of the group that replicas begin with, `later` of one that came with a newer offer.
fn rules(after_crossing: AfterCrossing) -> Rules {
    let group = |name: &str| ModelGroup {
        name: name.into(),
        allowances: [ALLOWANCE; 5],
    };
    let model = |id: &str, group: &str| Model {
        id: id.into(),
        group: group.into(),
        aliases: Vec::new(),
        context: Some(10_000),
    };
    let parts = OfferParts {
        list_date: Day::at(NOW),
        price_date: None,
        groups: vec![group("small"), group("newer")],
        models: vec![model("tiny", "small"), model("later", "newer")],
        prices: Vec::new(),
    };
    let offer = Arc::new(Offer::new(parts).unwrap());
    let terms = Terms {
        enrolled: Some(true),
        coverage: Some(meter::Coverage::All),
        ..Terms::default()
    };
    Rules::new(offer, after_crossing, terms, Vec::new())
}

/// One replica: what the program has of it.
#[derive(Clone)]
struct Replica {
    meter: Arc<Meter>,
    share: Share,
    rules: Arc<Rules>,
}

impl Replica {
    /// Begins one that has counted nothing.
    fn begin(server: &Server, name: &str, after_crossing: AfterCrossing) -> Replica {
        let meter = Meter::new(Day::at(NOW).start());
        Replica::with(server, name, after_crossing, meter)
    }

    /// Begins one with what its ledger held.
    fn with(server: &Server, name: &str, after_crossing: AfterCrossing, meter: Meter) -> Replica {
        Replica::at(&server.url(), name, after_crossing, meter)
    }

    /// The same, with another way to the store.
    fn at(url: &str, name: &str, after_crossing: AfterCrossing, meter: Meter) -> Replica {
        let meter = Arc::new(meter);
        let settings = ShareSettings {
            url: url.to_owned(),
            cluster: false,
            prefix: "test:".to_owned(),
            roots: None,
            times: TIMES,
        };
        let replica = crate::Replica {
            name: name.to_owned(),
            groups: vec!["small".into()],
        };
        Replica {
            share: Share::begin(settings, replica, Arc::clone(&meter)),
            rules: Arc::new(rules(after_crossing)),
            meter,
        }
    }

    fn organization(&self, name: &str) -> Organization {
        self.meter.organizations().named(name).unwrap()
    }

    fn group(&self) -> GroupId {
        self.rules.offer().group_named("small").unwrap()
    }

    /// Makes a call of this many tokens and settles it as the proxy does.
    async fn call(&self, organization: &str, tokens: u64) -> Settlement {
        self.call_of("tiny", organization, tokens).await
    }

    async fn call_of(&self, model: &str, organization: &str, tokens: u64) -> Settlement {
        let organization = self.organization(organization);
        let call = FinishedCall {
            organization: &organization,
            project: Some("proj_1"),
            model: Some(model),
            model_is_asked: false,
            service_tier: None,
            payer: None,
            hosted_tool: false,
            usage: Usage {
                input: tokens,
                ..Usage::default()
            },
            evidence: Evidence::Reported,
            began: NOW,
            at: NOW,
        };
        let claim = self.meter.claim(&self.rules, &call).unwrap();
        let grant = match self.share.ask(claim) {
            Some(asked) => asked.await,
            None => None,
        };
        self.meter.settle_with(&self.rules, &call, grant)
    }

    /// What its ledger holds of both readings.
    fn own(&self, organization: &str) -> (u64, u64) {
        let organization = self.organization(organization);
        let portion = self
            .meter
            .portion(&organization, self.group(), Day::at(NOW));
        (portion.taken, portion.fitted)
    }

    /// How all stand, as this replica knows it.
    fn standing(&self, organization: &str) -> meter::Standing {
        let organization = self.organization(organization);
        self.meter
            .standing(&self.rules, &organization, self.group(), Day::at(NOW))
    }
}

/// As many replicas, in step, with an organization that the store has known long enough.
async fn in_step(
    server: &Server,
    names: &[&str],
    after_crossing: AfterCrossing,
    organization: &str,
) -> Vec<Replica> {
    let replicas: Vec<Replica> = names
        .iter()
        .map(|name| Replica::begin(server, name, after_crossing))
        .collect();
    for replica in &replicas {
        replica.share.reached(HEALED).await;
        replica.call(organization, 0).await;
    }
    for replica in &replicas {
        until_sure(replica, organization).await;
    }
    replicas
}

/// Calls of no tokens until one is final: now every replica is known to be in the total.
async fn until_sure(replica: &Replica, organization: &str) {
    let deadline = Instant::now() + HEALED;
    loop {
        let settled = replica.call(organization, 0).await;
        if settled.assumes.is_empty() && replica.share.now().is_in_step {
            return;
        }
        assert!(Instant::now() < deadline, "never sure: {settled:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the store's totals are the sum of what the replicas hold, and each knows it.
async fn until_whole(server: &Server, replicas: &[Replica], organization: &str) -> Duration {
    let began = Instant::now();
    let sum = replicas
        .iter()
        .map(|replica| replica.own(organization))
        .fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    until_it_is("the totals are the sum of the ledgers", || {
        server.totals(organization) == sum
    })
    .await;
    until_it_is("each replica knows", || {
        replicas.iter().all(|replica| {
            let standing = replica.standing(organization);
            (standing.taken, standing.fitted) == sum
        })
    })
    .await;
    began.elapsed()
}
