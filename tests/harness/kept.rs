//! A simulated `OpenAI` and a data directory that outlive every proxy between a client and them.
//!
//! It must not know how a proxy ends, or what a ledger looks like inside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use simulator::{
    AfterCrossing, BillLine, Clock, OrganizationSettings, PayerShown, Settings, Simulator,
};
use tempfile::TempDir;

use crate::agreement::{self, Agreement};
use crate::note::Note;
use crate::proxy::ProxySetup;
use crate::sqlite::{self, Ledger};

/// The usage tier of all organizations; it gives 1,000,000 tokens a day to the large group.
const USAGE_TIER: u8 = 3;
/// The keys of organizations that are enrolled, and of one that is not.
pub const KEYS: [&str; 3] = ["sk-sim-acme", "sk-sim-initech", "sk-sim-globex"];
/// The longest wait for what was committed to be in the tables.
const MOST_MOVING: Duration = Duration::from_secs(10);
/// How often the tables are looked at meanwhile.
const POLL: Duration = Duration::from_millis(20);

/// What the simulator of a [`Kept`] is told, for tests that tell it more.
pub fn settings(clock: Clock, after_crossing: AfterCrossing) -> Settings {
    let mut settings = Settings {
        after_crossing,
        show_payer: PayerShown::NineOfTen,
        clock,
        ..Settings::default()
    };
    let initech = OrganizationSettings::named("initech", true);
    settings.organizations.push(initech);
    for organization in &mut settings.organizations {
        organization.usage_tier = USAGE_TIER;
    }
    settings
}

/// How notes, ledger and bill are held against each other.
pub type Measure = fn(&[Note], &Ledger, &[BillLine]) -> Agreement;

/// What stays while proxies come and go.
#[derive(Debug)]
pub struct Kept {
    /// The simulated `OpenAI`.
    pub simulator: Simulator,
    after_crossing: AfterCrossing,
    folder: PathBuf,
    _own: Option<TempDir>,
}

impl Kept {
    /// A simulator by this clock, and a data directory that is not there yet.
    pub async fn new(clock: Clock, after_crossing: AfterCrossing) -> Kept {
        Kept::of(settings(clock, after_crossing)).await
    }

    /// A simulator told this, and a data directory that is not there yet.
    pub async fn of(settings: Settings) -> Kept {
        let own = TempDir::new().expect("a temporary folder");
        let folder = own.path().join("data");
        let kept = Kept::in_folder(&folder, settings).await;
        Kept {
            _own: Some(own),
            ..kept
        }
    }

    /// The same with the data directory in this place.
    pub async fn in_folder(folder: &Path, settings: Settings) -> Kept {
        Kept {
            after_crossing: settings.after_crossing,
            simulator: Simulator::start(settings).await.expect("a simulator"),
            // What strace is told must be the path as the system sees it.
            folder: canonical(folder),
            _own: None,
        }
    }

    /// The data directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A proxy of this simulator on this data directory, told what the simulator was told.
    pub fn setup(&self) -> ProxySetup {
        let setup = ProxySetup::to(&format!("http://{}", self.simulator.address()))
            .variable("TOLLFREE_DATA_DIR", &self.folder.display().to_string())
            .variable("TOLLFREE_USAGE_TIER", &USAGE_TIER.to_string())
            .variable("TOLLFREE_ENROLLED", "true")
            .variable("TOLLFREE_SHARED_PROJECTS", "all")
            .variable("TOLLFREE_COVERAGE", "all")
            .config("[[organizations]]\nname = \"globex\"\nenrolled = false");
        match self.after_crossing {
            AfterCrossing::Billed => setup,
            AfterCrossing::FreeIfItFits => {
                setup.config("[offer]\nafter_crossing = \"free-if-it-fits\"")
            }
        }
    }

    /// The ledger as it is, held against the notes and the bill as soon as they agree; the last disagreement
    /// if they do not come to agree.
    pub async fn account(&self, notes: &[Note]) -> (Ledger, Agreement) {
        self.account_by(agreement::compare, notes).await
    }

    /// The same by another measure.
    pub async fn account_by(&self, measure: Measure, notes: &[Note]) -> (Ledger, Agreement) {
        let deadline = Instant::now() + MOST_MOVING;
        loop {
            let ledger = sqlite::read(&self.folder);
            if let Ok(ledger) = &ledger {
                let agreement = measure(notes, ledger, &self.simulator.bill());
                if agreement.findings.is_empty() || Instant::now() > deadline {
                    return (ledger.clone(), agreement);
                }
            }
            assert!(Instant::now() < deadline, "{:?}", ledger.err());
            tokio::time::sleep(POLL).await;
        }
    }
}

fn canonical(folder: &Path) -> PathBuf {
    let above = folder.parent().expect("a folder above");
    let name = folder.file_name().expect("a name");
    above.canonicalize().expect("a folder").join(name)
}
