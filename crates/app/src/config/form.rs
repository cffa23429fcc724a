//! The forms values are written in, the same for file, variable and flag: each reads one value or
//! says what the right form is.
//!
//! It must not know which key a value belongs to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use meter::{Coverage, SharedProjects, UsageTier};
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use super::data_dir::DataDir;
use super::document::nearest;
use super::mistake::Wrong;
use super::settings::{LogFormat, Secret};

use super::upstream_url::UpstreamUrl;
use crate::cli::layout::grouped;

/// Bytes of an organization's or project's name that are believed.
const MOST_NAME_BYTES: usize = 256;
/// Names in one list.
const MOST_NAMES: usize = 10_000;
/// Tokens of an allowance or a call that are believed.
const MOST_TOKENS: u64 = meter::Usage::MAX;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A value as it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Raw<'a> {
    /// In a file.
    Toml(&'a DeValue<'a>),
    /// In a variable or a flag.
    Text(&'a str),
}

impl<'a> Raw<'a> {
    pub(super) fn text(self, form: &str) -> Result<&'a str, Wrong> {
        match self {
            Raw::Text(text) => Ok(text),
            Raw::Toml(value) => value
                .as_str()
                .ok_or_else(|| Wrong::form(format!("{form}, in quotes"))),
        }
    }

    /// A whole number, if it is one and fits.
    fn whole(self) -> Option<u64> {
        match self {
            Raw::Text(text) => text.trim().parse().ok(),
            Raw::Toml(value) => value
                .as_integer()
                .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok()),
        }
    }
}

/// `true` or `false`.
pub(crate) fn boolean(raw: Raw<'_>) -> Result<bool, Wrong> {
    match raw {
        Raw::Text("true") => Ok(true),
        Raw::Text("false") => Ok(false),
        Raw::Text(_) => Err(Wrong::form("true or false")),
        Raw::Toml(value) => value
            .as_bool()
            .ok_or_else(|| Wrong::form("true or false, without quotes")),
    }
}

/// A whole number within bounds.
pub(crate) fn count(
    bounds: RangeInclusive<usize>,
) -> impl Fn(Raw<'_>) -> Result<usize, Wrong> + Clone {
    move |raw| {
        raw.whole()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| {
                let (least, most) = (*bounds.start() as u64, *bounds.end() as u64);
                Wrong::form(format!(
                    "a number from {} to {}",
                    grouped(least),
                    grouped(most)
                ))
            })
    }
}

/// A number of tokens.
pub(crate) fn tokens(raw: Raw<'_>) -> Result<u64, Wrong> {
    raw.whole()
        .filter(|tokens| *tokens <= MOST_TOKENS)
        .ok_or_else(|| Wrong::form("a number of tokens, like 250_000"))
}

/// Bytes within bounds: `"64 KiB"`, `"8 MiB"`, `"1 GiB"`, or a plain number.
pub(crate) fn size(
    bounds: RangeInclusive<usize>,
) -> impl Fn(Raw<'_>) -> Result<usize, Wrong> + Clone {
    move |raw| {
        let bytes = raw.whole().or_else(|| {
            let text = raw.text("").ok()?.trim();
            let digits = text.find(|c: char| !c.is_ascii_digit())?;
            let (number, unit) = text.split_at_checked(digits)?;
            let unit = match unit.trim() {
                "B" => 1,
                "KiB" => KIB,
                "MiB" => MIB,
                "GiB" => GIB,
                _ => return None,
            };
            number.parse::<u64>().ok()?.checked_mul(unit)
        });
        bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .filter(|bytes| bounds.contains(bytes))
            .ok_or_else(|| {
                Wrong::form(format!(
                    "a size from {} to {}, like \"1 MiB\", \"64 KiB\" or a number of bytes",
                    show_size(*bounds.start()),
                    show_size(*bounds.end())
                ))
            })
    }
}

fn show_size(bytes: usize) -> String {
    let bytes = bytes as u64;
    for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} B")
}

/// A span of time within bounds: `"500 ms"`, `"10 s"`, `"2 min"`, `"1 h"`.
pub(crate) fn duration(
    bounds: RangeInclusive<Duration>,
) -> impl Fn(Raw<'_>) -> Result<Duration, Wrong> + Clone {
    move |raw| {
        let text = raw.text("").unwrap_or_default().trim();
        text.parse::<SignedDuration>()
            .ok()
            .and_then(|span| Duration::try_from(span).ok())
            .or_else(|| (text == "0").then_some(Duration::ZERO))
            .filter(|span| bounds.contains(span))
            .ok_or_else(|| {
                Wrong::form(format!(
                    "a duration from {} to {}, like \"500 ms\", \"10 s\" or \"2 min\"",
                    show_duration(*bounds.start()),
                    show_duration(*bounds.end())
                ))
            })
    }
}

/// The shortest way to write a duration: `2 min`, `10 s`, `500 ms`.
fn show_duration(span: Duration) -> String {
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    match (seconds, millis) {
        (0, 0) => "0 s".to_owned(),
        (_, 1..) => format!("{} ms", span.as_millis()),
        (seconds, _) if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        (seconds, _) if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        (seconds, _) => format!("{seconds} s"),
    }
}

/// One of a few words.
pub(crate) fn word<T: Clone>(
    words: &'static [(&'static str, T)],
) -> impl Fn(Raw<'_>) -> Result<T, Wrong> + Clone {
    move |raw| {
        let quoted = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect::<Vec<_>>()
            .join(" or ");
        let text = raw.text(&quoted).map_err(|_| Wrong::form(&quoted))?;
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(meant.clone());
        }
        Err(Wrong::form(meant(
            text,
            words.iter().map(|(word, _)| *word),
            quoted,
        )))
    }
}

/// The form of what is right, behind the word of `words` that may be meant.
fn meant<'w>(word: &str, words: impl Iterator<Item = &'w str>, form: String) -> String {
    match nearest(word, words) {
        Some(near) => format!("did you mean \"{near}\"? ({form})"),
        None => form,
    }
}

/// `127.0.0.1:8800`, `[::1]:8800`, `0.0.0.0:8800` or `localhost:8800`.
pub(crate) fn address(raw: Raw<'_>) -> Result<SocketAddr, Wrong> {
    const FORM: &str = "an address and a port, like \"127.0.0.1:8800\" or \"[::1]:8800\"";
    let text = raw.text("").map_err(|_| Wrong::form(FORM))?;
    if let Some(port) = text.strip_prefix("localhost:")
        && let Ok(port) = port.parse()
    {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| Wrong::form(FORM))
}

/// An address and a port, or no listener at all.
pub(crate) fn admin_address(raw: Raw<'_>) -> Result<Option<SocketAddr>, Wrong> {
    const FORM: &str = "an address and a port, like \"127.0.0.1:8801\", or \"off\"";
    if raw.text("").is_ok_and(|text| text == "off") {
        return Ok(None);
    }
    address(raw).map(Some).map_err(|_| Wrong::form(FORM))
}

/// What is asked of those who read the page.
pub(crate) fn token(raw: Raw<'_>) -> Result<Secret, Wrong> {
    const FORM: &str = "a text of at least 16 characters, such as openssl rand -hex 16 gives";
    let text = raw.text("").map_err(|_| Wrong::form(FORM))?;
    let fits = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(text.to_owned()))
        .ok_or_else(|| Wrong::form(FORM))
}

/// Names of hosts.
pub(crate) fn hosts(raw: Raw<'_>) -> Result<Vec<Box<str>>, Wrong> {
    match raw {
        Raw::Text(text) => text
            .split(',')
            .map(|host| name(Raw::Text(host.trim())))
            .collect::<Result<_, _>>()
            .map_err(|_| Wrong::form("names separated by commas: tollfree.internal,metrics")),
        list @ Raw::Toml(_) => names(list),
    }
}

/// The base URL of the API.
pub(crate) fn upstream_url(raw: Raw<'_>) -> Result<UpstreamUrl, Wrong> {
    UpstreamUrl::parse(raw.text("a URL")?).map_err(|no| Wrong::form(no.to_string()))
}

/// The URL of an HTTP proxy, possibly with a name and a password.
pub(crate) fn proxy_url(raw: Raw<'_>) -> Result<Secret, Wrong> {
    const FORM: &str = "a URL like \"http://proxy.internal:3128\"";
    let text = raw.text("").map_err(|_| Wrong::form(FORM))?;
    let authority = text
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    match authority.map(str::parse::<http::uri::Authority>) {
        Some(Ok(authority)) if !authority.host().is_empty() => Ok(Secret::new(text.to_owned())),
        _ => Err(Wrong::form(FORM)),
    }
}

/// The shape of a log line.
pub(crate) fn log_format(raw: Raw<'_>) -> Result<LogFormat, Wrong> {
    word(&[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)])(raw)
}

/// Parts that a log filter may name: `call` has a line for each settled call, `tollfree` is the program around the others,
/// and the last ones are libraries.
const LOG_PARTS: [&str; 13] = [
    "call",
    "tollfree",
    "proxy",
    "net",
    "ledger",
    "admin",
    "share",
    "hyper",
    "hyper_util",
    "h2",
    "rustls",
    "notify",
    "redis",
];
const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Which log lines are written, in the words of `EnvFilter`. It takes a word alone for a part and writes nothing else then,
/// so a slip in a level would silence the log: a word alone has to be a level, and a part one that there is.
pub(crate) fn log_filter(raw: Raw<'_>) -> Result<String, Wrong> {
    const FORM: &str = "a level like \"info\", or \"info,proxy=debug\"";
    let text = raw.text("").map_err(|_| Wrong::form(FORM))?;
    for piece in text.split(',').filter(|piece| !piece.is_empty()) {
        let (part, level) = match piece.split_once('=') {
            Some(("", _)) => return Err(Wrong::form(FORM)),
            Some((part, level)) => (Some(part), level),
            None => (None, piece),
        };
        // One of its modules is a part, too.
        let part = part.map(|part| part.split("::").next().unwrap_or(part));
        if let Some(part) = part.filter(|part| !LOG_PARTS.contains(part)) {
            return Err(not_among("the log has no part", part, &LOG_PARTS));
        }
        if !LOG_LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(not_among("there is no log level", level, &LOG_LEVELS));
        }
    }
    match EnvFilter::try_new(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(Wrong::form(FORM)),
    }
}

/// A word that is not among those there are, and the one that may be meant.
fn not_among(what: &str, word: &str, known: &[&str]) -> Wrong {
    let all = format!("one of {}", known.join(", "));
    let form = meant(word, known.iter().copied(), all);
    Wrong::because(format!("{what} `{word}`"), form)
}

/// OpenAI's usage tier.
pub(crate) fn usage_tier(raw: Raw<'_>) -> Result<UsageTier, Wrong> {
    const FORM: &str = "a number from 1 to 5";
    const HELP: &str = "the usage tier stands under Settings > Limits on platform.openai.com; \
                        leave it out for tier 1, the cautious reading";
    let number = raw.whole();
    let tier = number.and_then(|number| u8::try_from(number).ok());
    if let Some(tier) = tier.and_then(UsageTier::new) {
        return Ok(tier);
    }
    Err(match (number, raw) {
        (Some(number), _) => Wrong::because(format!("usage tier {number} does not exist"), FORM),
        (None, Raw::Toml(value)) if value.is_str() => {
            Wrong::form(format!("{FORM}, without quotes"))
        }
        (None, _) => Wrong::form(FORM),
    }
    .help(HELP))
}

/// How much of an organization's traffic passes here.
pub(crate) fn coverage(raw: Raw<'_>) -> Result<Coverage, Wrong> {
    word(&[("all", Coverage::All), ("part", Coverage::Part)])(raw)
}

/// `"all"`, or a list of project ids; in a variable or a flag the list is separated by commas.
pub(crate) fn shared_projects(raw: Raw<'_>) -> Result<SharedProjects, Wrong> {
    const FORM: &str = "\"all\", or a list like [\"proj_a\", \"proj_b\"]";
    match raw {
        Raw::Text("all") => Ok(SharedProjects::All),
        Raw::Toml(value) if value.as_str() == Some("all") => Ok(SharedProjects::All),
        Raw::Text(text) => text
            .split(',')
            .map(|id| name(Raw::Text(id.trim())))
            .collect::<Result<_, _>>()
            .map(SharedProjects::Only)
            .map_err(|_| Wrong::form("all, or ids separated by commas: proj_a,proj_b")),
        Raw::Toml(value) if value.is_array() => names(raw).map(SharedProjects::Only),
        Raw::Toml(_) => Err(Wrong::form(FORM)),
    }
}

/// A list of names.
pub(crate) fn names(raw: Raw<'_>) -> Result<Vec<Box<str>>, Wrong> {
    let Raw::Toml(DeValue::Array(list)) = raw else {
        return Err(Wrong::form("a list like [\"one\", \"two\"]"));
    };
    if list.len() > MOST_NAMES {
        return Err(Wrong::form(format!("at most {MOST_NAMES} names")));
    }
    list.iter()
        .map(|item| name(Raw::Toml(item.get_ref())).map_err(|wrong| wrong.at(item.span())))
        .collect()
}

/// The name of an organization, a project, a group or a model.
pub(crate) fn name(raw: Raw<'_>) -> Result<Box<str>, Wrong> {
    let form = || Wrong::form(format!("a name in quotes, at most {MOST_NAME_BYTES} bytes"));
    let text = raw.text("").map_err(|_| form())?;
    let good = !text.trim().is_empty()
        && text.len() <= MOST_NAME_BYTES
        && !text.chars().any(char::is_control);
    if good { Ok(text.into()) } else { Err(form()) }
}

/// The folder of the ledger, or that there is none.
pub(crate) fn data_dir(raw: Raw<'_>) -> Result<DataDir, Wrong> {
    const FORM: &str = "a folder, or \"off\"";
    let text = raw.text("").map_err(|_| Wrong::form(FORM))?;
    if text == "off" {
        return Ok(DataDir::Off);
    }
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Wrong::form(FORM));
    }
    Ok(DataDir::Folder(PathBuf::from(text)))
}

/// A path, as written.
pub(crate) fn path(raw: Raw<'_>) -> Result<PathBuf, Wrong> {
    let text = raw.text("a path")?;
    if text.is_empty() {
        return Err(Wrong::form("a path"));
    }
    Ok(PathBuf::from(text))
}
