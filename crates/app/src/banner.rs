//! The banner of `tollfree` on a terminal: where it is, where it goes, what it takes for granted. It must not know
//! how any of it was read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use meter::{Day, Terms, UsageTier};

use crate::cli::layout::{grouped, wrapped};
use crate::cli::offer::age;
use crate::cli::terminal::Terminal;
use crate::config::Loaded;
use crate::open_ledger::{Found, database};

/// Columns in front of what stands beside a label.
const INDENT: usize = 10;

/// What there is to say once the proxy takes calls.
pub(crate) struct Started<'a> {
    pub(crate) loaded: &'a Loaded,
    /// The user's home, which stands as `~` in paths.
    pub(crate) home: Option<&'a Path>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where the page is; none where there is to be none.
    pub(crate) page: Option<SocketAddr>,
    /// Variables say something of the configuration.
    pub(crate) has_variables: bool,
    /// What was found in the ledger; none where none is kept.
    pub(crate) found: Option<&'a Found>,
    /// Now, Unix milliseconds.
    pub(crate) now_ms: i64,
    /// How long the start took.
    pub(crate) took: Duration,
}

/// People get the banner, a log gets one line with the same fields.
#[expect(
    clippy::print_stderr,
    reason = "the banner is for people; standard output is for data"
)]
pub(crate) fn announce(started: &Started<'_>, terminal: &Terminal) {
    if terminal.is_terminal {
        eprint!("{}", text(started, terminal));
        return;
    }
    let Started { loaded, found, .. } = started;
    let shown = |path: &Path| path.display().to_string();
    tracing::info!(
        address = %started.address,
        page = started.page.map(|page| format!("http://{}/", reachable(page))),
        upstream = %loaded.config.upstream.url,
        config = loaded.origin.as_deref().map(shown),
        ledger = loaded.config.data_dir.folder().map(database).as_deref().map(shown),
        calls_restored = found.map(|found| found.calls_today),
        offer = %loaded.offer.list_date(),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
}

fn text(started: &Started<'_>, terminal: &Terminal) -> String {
    let dot = terminal.glyph("·", "-");
    let Started {
        loaded,
        address,
        took,
        ..
    } = started;
    let config = &loaded.config;
    let origin = loaded.origin.as_deref().map(Path::display).map_or_else(
        || no_file(started.has_variables).to_owned(),
        |path| path.to_string(),
    );
    let scheme = if config.listener.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let head = format!(
        "tollfree {} {dot} to {} {dot} {origin}",
        env!("CARGO_PKG_VERSION"),
        config.upstream.url
    );
    // To be pasted, so in one line on any width.
    let base_url = format!(
        "  use     export OPENAI_BASE_URL={scheme}://{}/v1\n",
        reachable(*address)
    );
    let page = started.page.map_or_else(String::new, |page| {
        format!("  page    http://{}/\n", reachable(page))
    });
    let date = loaded.offer.list_date();
    let file = config.offer.file.as_deref().map(Path::display);
    let file = file.map_or_else(String::new, |file| format!(" {dot} {file}"));
    let today = Day::at_milliseconds(started.now_ms);
    let offer = format!("model list of {date}, {}{file}", age(date, today));
    let ready = format!(
        "ready in {} ms {dot} waiting for the first call",
        took.as_millis()
    );
    [
        wrapped(&head, terminal.width),
        base_url,
        page,
        beside("ledger", &[ledger(started, dot)], terminal.width),
        beside("offer", &[offer], terminal.width),
        beside("assume", &assumptions(started), terminal.width),
        wrapped(&ready, terminal.width),
    ]
    .concat()
}

/// Where the configuration comes from without a file.
fn no_file(has_variables: bool) -> &'static str {
    if has_variables {
        "no config file, defaults and variables"
    } else {
        "no config file, defaults"
    }
}

/// Where the ledger is, and what it brought.
fn ledger(started: &Started<'_>, dot: &str) -> String {
    let folder = started.loaded.config.data_dir.folder();
    let (Some(folder), Some(found)) = (folder, started.found) else {
        return "none: totals are in memory only; a restart begins at zero".to_owned();
    };
    let path = match started.home.and_then(|home| folder.strip_prefix(home).ok()) {
        Some(below) => database(&Path::new("~").join(below)),
        None => database(folder),
    };
    let brought = match found {
        Found { works: false, .. } => "cannot be written now; calls go on without it".to_owned(),
        Found { began_at, .. } if *began_at >= started.began_ms() => "new".to_owned(),
        Found { calls_today: 0, .. } => "no calls today yet".to_owned(),
        Found { calls_today: 1, .. } => "1 call of today restored".to_owned(),
        Found { calls_today, .. } => format!("{} calls of today restored", grouped(*calls_today)),
    };
    format!("{} {dot} {brought}", path.display())
}

impl Started<'_> {
    /// When this start began, Unix milliseconds.
    fn began_ms(&self) -> i64 {
        let took = i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.saturating_sub(took)
    }
}

/// Texts beside their label, in as many lines as they take; nothing for none.
fn beside(label: &str, texts: &[String], width: usize) -> String {
    let room = width.saturating_sub(INDENT);
    let lines: String = texts.iter().map(|text| wrapped(text, room)).collect();
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let lines = lines.lines().zip(labels);
    let labelled: Vec<String> = lines
        .map(|(line, label)| format!("  {label:<8}{line}\n"))
        .collect();
    labelled.concat()
}

/// Where a program of this machine finds a listener: one on all addresses is on the loopback too.
pub(crate) fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// What is taken for granted because nobody declared it, and what nobody can declare.
fn assumptions(started: &Started<'_>) -> Vec<String> {
    // Where organizations are declared one by one, the others are rare.
    let mut all = if started.loaded.config.organizations.is_empty() {
        undeclared(started.loaded)
    } else {
        Vec::new()
    };
    all.extend(begun(started).map(|when| {
        format!("totals begin {when}: free verdicts of today are marked assumed (day-start)")
    }));
    all
}

/// Since when today's totals are counted, unless that is since 00:00 UTC.
fn begun(started: &Started<'_>) -> Option<String> {
    let began_at = started.found.map_or(started.now_ms, |found| found.began_at);
    let today = Day::at_milliseconds(started.now_ms);
    if began_at <= today.start().saturating_mul(1000) {
        return None;
    }
    if began_at >= started.began_ms() {
        return Some("now".to_owned());
    }
    let at = jiff::Timestamp::from_millisecond(began_at).ok()?;
    Some(at.strftime("at %H:%M UTC").to_string())
}

fn undeclared(loaded: &Loaded) -> Vec<String> {
    let Terms {
        usage_tier,
        enrolled,
        coverage,
        ..
    } = &loaded.config.terms;
    let mut all = Vec::new();
    if let (None, Some(lowest)) = (usage_tier, UsageTier::new(1)) {
        let groups: Vec<String> = loaded
            .offer
            .groups()
            .map(|(group, named)| {
                let allowance = grouped(loaded.offer.allowance(group, lowest));
                format!("{allowance} {}", named.name)
            })
            .collect();
        all.push(format!(
            "usage tier 1: {} tokens free a day (declare yours: TOLLFREE_USAGE_TIER=3)",
            groups.join(" and ")
        ));
    }
    let enrolment = ("enrolment", "TOLLFREE_ENROLLED=true");
    let all_passes = ("coverage", "TOLLFREE_COVERAGE=all");
    let (words, how) = match (enrolled, coverage) {
        (None, None) => (
            format!("{} and {} are", enrolment.0, all_passes.0),
            format!("{}, {}", enrolment.1, all_passes.1),
        ),
        (None, Some(_)) => (format!("{} is", enrolment.0), enrolment.1.to_owned()),
        (Some(_), None) => (format!("{} is", all_passes.0), all_passes.1.to_owned()),
        (Some(_), Some(_)) => return all,
    };
    all.push(format!(
        "{words} not declared: free verdicts are marked assumed ({how})"
    ));
    all
}

#[cfg(test)]
mod tests;
