//! The program `openai-simulator`: reads its flags, starts the simulator, waits for Ctrl-C. Must not
//! know how anything is answered.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use simulator::{
    AfterCrossing, KeySettings, OrganizationSettings, PayerShown, STEERING_WORDS, Settings,
    SharedProjects, Simulator, StartError,
};

/// What `--help` opens with.
const ABOUT: &str = "\
A simulated OpenAI with its own, independent bill

Two organizations exist: the one that the flags describe (acme, key sk-sim-acme), and globex, which
is not enrolled (key sk-sim-globex). Point a client at it:
  OPENAI_BASE_URL=http://127.0.0.1:8900/v1 OPENAI_API_KEY=sk-sim-acme";

/// A simulated OpenAI with its own, independent bill
#[derive(Debug, Parser)]
#[command(name = "openai-simulator", version, long_about = ABOUT, after_long_help = STEERING_WORDS)]
struct Flags {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8900", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A file that receives one JSON line for each billable request
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The organization's name
    #[arg(long, default_value = "acme", value_name = "NAME")]
    organization: String,
    /// An API key of the organization; may be repeated [default: sk-sim-NAME]
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    #[expect(clippy::doc_markdown, reason = "the text is shown in a terminal")]
    /// The project of the keys [default: proj_NAME]
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// The organization's usage tier, 1 to 5
    #[arg(long, default_value_t = 1, value_name = "TIER", value_parser = clap::value_parser!(u8).range(1..=5))]
    usage_tier: u8,
    /// Whether the organization is enrolled in the offer
    #[arg(long, default_value_t = true, value_name = "BOOL", action = clap::ArgAction::Set)]
    enrolled: bool,
    /// The projects that share their traffic, separated by commas [default: all]
    #[arg(long, value_name = "PROJECTS", value_delimiter = ',')]
    shared_projects: Option<Vec<String>>,
    /// On which JSON answers of Responses `billing.payer` appears
    #[arg(long, value_enum, default_value = "nine-of-ten", value_name = "WHEN")]
    show_payer: ShowPayer,
    /// How calls after the crossing call of a day are billed
    #[arg(long, value_enum, default_value = "billed", value_name = "READING")]
    after_crossing: Reading,
    /// Milliseconds before the head of every answer
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// Milliseconds before every event of a stream but the first
    #[arg(long, default_value_t = 0, value_name = "MS")]
    chunk_interval_ms: u64,
    /// Makes ids and filler depend on the requests alone
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShowPayer {
    Always,
    NineOfTen,
    Never,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reading {
    Billed,
    FreeIfItFits,
}

impl Flags {
    fn settings(self) -> Settings {
        let mut organization = OrganizationSettings::named(&self.organization, self.enrolled);
        organization.usage_tier = self.usage_tier;
        if let Some(projects) = self.shared_projects {
            organization.shared_projects = SharedProjects::Only(projects);
        }
        let named = organization
            .keys
            .iter()
            .map(|key| key.key.clone())
            .collect();
        let keys: Vec<String> = if self.key.is_empty() { named } else { self.key };
        let project = self
            .project
            .unwrap_or(format!("proj_{}", self.organization));
        organization.keys = keys
            .into_iter()
            .map(|key| KeySettings {
                key,
                project: project.clone(),
            })
            .collect();
        Settings {
            listen: self.listen,
            organizations: vec![organization, OrganizationSettings::named("globex", false)],
            show_payer: match self.show_payer {
                ShowPayer::Always => PayerShown::Always,
                ShowPayer::NineOfTen => PayerShown::NineOfTen,
                ShowPayer::Never => PayerShown::Never,
            },
            after_crossing: match self.after_crossing {
                Reading::Billed => AfterCrossing::Billed,
                Reading::FreeIfItFits => AfterCrossing::FreeIfItFits,
            },
            latency: Duration::from_millis(self.latency_ms),
            chunk_interval: Duration::from_millis(self.chunk_interval_ms),
            log: self.log,
            seed: self.seed,
            ..Settings::default()
        }
    }
}

/// Why the program ended badly.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot print the address")]
    Print(#[source] io::Error),
    #[error("cannot wait for Ctrl-C")]
    Signal(#[source] io::Error),
}

async fn run(flags: Flags) -> Result<(), RunError> {
    let simulator = Simulator::start(flags.settings()).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "listening on http://{}/v1", simulator.address()).map_err(RunError::Print)?;
    out.flush().map_err(RunError::Print)?;
    drop(out);
    tokio::signal::ctrl_c().await.map_err(RunError::Signal)?;
    simulator.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(&error);
            let cause = source
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "error: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn settings(flags: &[&str]) -> Settings {
        let name = ["openai-simulator"];
        Flags::parse_from(name.iter().chain(flags)).settings()
    }

    #[test]
    fn the_flags_are_sound_and_the_help_explains_the_words() {
        Flags::command().debug_assert();
        let help = Flags::command().render_long_help().to_string();
        assert!(help.contains("[tokens in=120000 out=34]") && help.contains("sk-sim-globex"));
    }

    #[test]
    fn without_flags_there_are_acme_and_globex() {
        let settings = settings(&[]);
        let organizations = settings.organizations.iter();
        let facts: Vec<_> = organizations
            .map(|known| (known.keys[0].key.as_str(), known.enrolled, known.usage_tier))
            .collect();
        assert_eq!(
            facts,
            [("sk-sim-acme", true, 1), ("sk-sim-globex", false, 1)]
        );
        assert_eq!(settings.listen.port(), 8900);
    }

    #[test]
    fn flags_describe_the_first_organization() {
        let settings = settings(&[
            "--listen=127.0.0.1:0",
            "--organization=initech",
            "--key=sk-1",
            "--key=sk-2",
            "--project=proj_x",
            "--usage-tier=3",
            "--enrolled=false",
            "--shared-projects=proj_x,proj_y",
            "--show-payer=never",
            "--after-crossing=free-if-it-fits",
            "--seed=9",
        ]);
        let first = &settings.organizations[0];
        let keys = first
            .keys
            .iter()
            .map(|key| (key.key.as_str(), key.project.as_str()));
        let keys: Vec<_> = keys.collect();
        assert_eq!(keys, [("sk-1", "proj_x"), ("sk-2", "proj_x")]);
        assert_eq!((first.id.as_str(), first.enrolled), ("org-initech", false));
        assert!(first.shared_projects.includes("proj_y"));
        assert!(!first.shared_projects.includes("proj_z"));
        assert_eq!(settings.show_payer, PayerShown::Never);
        assert_eq!(settings.after_crossing, AfterCrossing::FreeIfItFits);
        assert_eq!(settings.seed, Some(9));
        assert!(Flags::try_parse_from(["openai-simulator", "--usage-tier=7"]).is_err());
    }
}
