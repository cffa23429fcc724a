//! Loading: which file is read, and everything together or every mistake.
//!
//! It must not know any single key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meter::{Coverage, Offer, SharedProjects, UsageTier};

use super::data_dir::DataDir;
use super::document::Document;
use super::environment::Environment;
use super::mistake::{CONFIG_RANK, Mistake, Mistakes, OFFER_RANK};
use super::read::{Reader, text_of};
use super::settings::{Config, LogFormat};
use super::upstream_url::UpstreamUrl;
use super::{offer, parse};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "tollfree.toml";
/// The offer as it was known when this program was built.
pub(crate) const BUILT_IN_OFFER: &str = include_str!("../../../../config/offer.toml");
/// How mistakes name the built-in offer.
const BUILT_IN_NAME: &str = "config/offer.toml (built in)";

/// What was said on the command line, well formed already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// `--listen`.
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// `--upstream`.
    pub(crate) upstream: Option<UpstreamUrl>,
    /// `--data-dir`, its `~` as it was typed.
    pub(crate) data_dir: Option<DataDir>,
    /// `--usage-tier`.
    pub(crate) usage_tier: Option<UsageTier>,
    /// `--enrolled`.
    pub(crate) enrolled: Option<bool>,
    /// `--shared-projects`.
    pub(crate) shared_projects: Option<SharedProjects>,
    /// `--coverage`.
    pub(crate) coverage: Option<Coverage>,
    /// `--log-format`.
    pub(crate) log_format: Option<LogFormat>,
    /// `--log-filter`.
    pub(crate) log_filter: Option<String>,
}

impl Flags {
    /// These, and where they say nothing those.
    pub(crate) fn or(self, those: Self) -> Self {
        Self {
            config: self.config.or(those.config),
            listen: self.listen.or(those.listen),
            upstream: self.upstream.or(those.upstream),
            data_dir: self.data_dir.or(those.data_dir),
            usage_tier: self.usage_tier.or(those.usage_tier),
            enrolled: self.enrolled.or(those.enrolled),
            shared_projects: self.shared_projects.or(those.shared_projects),
            coverage: self.coverage.or(those.coverage),
            log_format: self.log_format.or(those.log_format),
            log_filter: self.log_filter.or(those.log_filter),
        }
    }
}

/// Where the configuration comes from. A flag wins over a variable, a variable over the file, the
/// file over the default.
#[derive(Clone)] // no Debug: a variable may be a secret
pub(crate) struct Sources {
    /// The command line.
    pub(crate) flags: Flags,
    /// The variables.
    pub(crate) environment: Environment,
    /// The file that is read, if it is there, where neither flag nor variable names one.
    pub(crate) default_file: PathBuf,
}

impl Sources {
    /// Those of this process.
    pub(crate) fn of_process(flags: Flags) -> Self {
        Self {
            flags,
            environment: Environment::of_process(),
            default_file: PathBuf::from(DEFAULT_FILE),
        }
    }
}

/// A configuration without mistakes.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) config: Config,
    /// The offer they run with.
    pub(crate) offer: Arc<Offer>,
    /// The file they were read from; none: variables, flags and defaults alone.
    pub(crate) origin: Option<PathBuf>,
    /// All files that it was read from and that a reload reads again, that one first.
    pub(crate) files: Vec<PathBuf>,
    /// What is odd but no mistake, one line each.
    pub(crate) warnings: Vec<String>,
}

/// Reads everything that is set.
///
/// # Errors
/// [`Mistakes`], all of them at once, each with its place, and the files that were looked at; nothing is to be started
/// then.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Mistakes> {
    match load_as_far_as_it_goes(sources) {
        (Some(loaded), None) => Ok(loaded),
        (_, mistakes) => Err(mistakes.unwrap_or_default()),
    }
}

/// The same for whoever asks a running proxy and needs hardly a key for that: what can be read, each mistake replaced by what
/// holds where nothing is said, and the built-in offer in the place of one that cannot be read; beside it the mistakes.
pub(crate) fn load_as_far_as_it_goes(sources: &Sources) -> (Option<Loaded>, Option<Mistakes>) {
    let mut mistakes = Vec::new();
    let origin = origin(sources);
    let text = origin.as_ref().and_then(|(path, place)| {
        text_of(path)
            .map_err(|why| mistakes.push(unreadable(path, place, &why)))
            .ok()
    });
    let origin = origin.map(|(path, _)| path);
    let name = origin
        .as_deref()
        .map(Path::display)
        .map(|path| path.to_string());
    let text = name.as_deref().zip(text.as_deref());
    let (config, named, mut mistakes) = config_of(text, sources, origin.as_deref(), mistakes);
    let files = origin.iter().cloned().chain(named).collect();
    let offer = match &config.offer.file {
        None => offer_of(BUILT_IN_NAME, BUILT_IN_OFFER, &mut mistakes),
        Some(path) => match text_of(path) {
            Ok(text) => offer_of(&path.display().to_string(), &text, &mut mistakes),
            Err(why) => {
                mistakes.push(unreadable(path, &path.display().to_string(), &why));
                None
            }
        },
    };
    let offer = offer.or_else(|| built_in_offer().ok());
    let mut mistakes = Mistakes::of(mistakes);
    if let Some(mistakes) = &mut mistakes {
        mistakes.files.clone_from(&files);
    }
    let loaded = offer.map(|offer| {
        let mut warnings = sources.environment.unknown();
        warnings.extend(config.data_dir.warning().map(str::to_owned));
        Loaded {
            config,
            offer: Arc::new(offer),
            origin,
            files,
            warnings,
        }
    });
    (loaded, mistakes)
}

/// The offer as it was known when this program was built.
///
/// # Errors
/// [`Mistakes`] of the file it was built with; a test keeps them away.
pub(crate) fn built_in_offer() -> Result<Offer, Mistakes> {
    let mut mistakes = Vec::new();
    offer_of(BUILT_IN_NAME, BUILT_IN_OFFER, &mut mistakes)
        .ok_or_else(|| Mistakes::of(mistakes).unwrap_or_default())
}

/// The settings of a text with its name, if there is one, and of what else is set; the files that they name and a reload
/// reads again; the mistakes after those before.
pub(crate) fn config_of(
    text: Option<(&str, &str)>,
    sources: &Sources,
    file: Option<&Path>,
    mut mistakes: Vec<Mistake>,
) -> (Config, Vec<PathBuf>, Vec<Mistake>) {
    let document = text.map(|(name, text)| Document::parse(name, text, CONFIG_RANK, &mut mistakes));
    let mut reader = Reader::new(document.as_ref(), &sources.environment, mistakes);
    let config = parse::config(&mut reader, &sources.environment, &sources.flags, file);
    (config, reader.files, reader.mistakes)
}

/// The offer of a text with its name; where there is none, the mistakes say why.
pub(crate) fn offer_of(name: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Option<Offer> {
    let document = Document::parse(name, text, OFFER_RANK, mistakes);
    offer::offer(&document, mistakes)
}

/// The file to read, and how its place is called if it cannot be.
fn origin(sources: &Sources) -> Option<(PathBuf, String)> {
    if let Some(path) = &sources.flags.config {
        return Some((path.clone(), "--config".to_owned()));
    }
    if let Some(path) = sources.environment.get("TOLLFREE_CONFIG") {
        return Some((PathBuf::from(path), "TOLLFREE_CONFIG".to_owned()));
    }
    let path = &sources.default_file;
    path.exists()
        .then(|| (path.clone(), path.display().to_string()))
}

fn unreadable(path: &Path, place: &str, why: &str) -> Mistake {
    Mistake {
        message: format!("cannot read {}: {why}", path.display()),
        place: place.to_owned(),
        excerpt: None,
        form: "a TOML file that can be read".to_owned(),
        help: None,
        order: (CONFIG_RANK, 0),
    }
}
