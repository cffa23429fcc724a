//! The banner of `tollfree` on a terminal: where it is, where it goes, what it takes for granted.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use meter::{Day, Terms, UsageTier};

use crate::cli::layout::grouped;
use crate::cli::terminal::Terminal;
use crate::config::Loaded;

/// Writes the banner to standard error.
#[expect(
    clippy::print_stderr,
    reason = "the banner is for people; standard output is for data"
)]
pub(crate) fn print(
    loaded: &Loaded,
    address: SocketAddr,
    today: Day,
    took: Duration,
    terminal: &Terminal,
) {
    eprintln!("{}", text(loaded, address, today, took, terminal));
}

fn text(
    loaded: &Loaded,
    address: SocketAddr,
    today: Day,
    took: Duration,
    terminal: &Terminal,
) -> String {
    let dot = terminal.glyph("·", "-");
    let config = &loaded.config;
    let origin = loaded.origin.as_deref().map(Path::display).map_or_else(
        || "no config file, defaults".to_owned(),
        |path| path.to_string(),
    );
    let scheme = if config.listener.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let date = loaded.offer.list_date();
    let age = today.start().saturating_sub(date.start()) / 86_400;
    let mut lines = vec![
        format!(
            "tollfree {} {dot} to {} {dot} {origin}",
            env!("CARGO_PKG_VERSION"),
            config.upstream.url
        ),
        format!("  use     export OPENAI_BASE_URL={scheme}://{address}/v1"),
        format!("  offer   model list of {date}, {age} days old"),
    ];
    lines.extend(assumptions(loaded));
    lines.push(format!(
        "ready in {} ms {dot} waiting for the first call",
        took.as_millis()
    ));
    lines.join("\n")
}

/// What is taken for granted because nobody declared it.
fn assumptions(loaded: &Loaded) -> Vec<String> {
    let Terms {
        usage_tier,
        enrolled,
        coverage,
        ..
    } = &loaded.config.terms;
    if !loaded.config.organizations.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let lowest = UsageTier::new(1);
    if let (None, Some(lowest)) = (usage_tier, lowest) {
        let groups: Vec<String> = loaded
            .offer
            .groups()
            .map(|(group, named)| {
                format!(
                    "{} {}",
                    grouped(loaded.offer.allowance(group, lowest)),
                    named.name
                )
            })
            .collect();
        lines.push(format!(
            "  assume  usage tier 1: {} tokens free a day (declare yours: TOLLFREE_USAGE_TIER=3)",
            groups.join(" and ")
        ));
    }
    let undeclared: Vec<&str> = [
        (enrolled.is_none(), "enrolment", "TOLLFREE_ENROLLED=true"),
        (coverage.is_none(), "coverage", "TOLLFREE_COVERAGE=all"),
    ]
    .iter()
    .filter(|(missing, ..)| *missing)
    .flat_map(|(_, word, variable)| [*word, *variable])
    .collect();
    match undeclared.as_slice() {
        [one, how] => lines.push(format!("          {one} is not declared: free verdicts are marked assumed ({how})")),
        [one, how, other, how_other] => lines.push(format!(
            "          {one} and {other} are not declared: free verdicts are marked assumed ({how}, {how_other})"
        )),
        _ => {}
    }
    lines.push(
        "          totals begin now: free verdicts of today are marked assumed (day-start)"
            .to_owned(),
    );
    lines
}
