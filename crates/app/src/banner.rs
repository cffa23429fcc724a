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

/// Columns in front of what stands beside a label.
const INDENT: usize = 10;

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
    eprint!("{}", text(loaded, address, today, took, terminal));
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
    let head = format!(
        "tollfree {} {dot} to {} {dot} {origin}",
        env!("CARGO_PKG_VERSION"),
        config.upstream.url
    );
    // To be pasted, so in one line on any width.
    let base_url = format!(
        "  use     export OPENAI_BASE_URL={scheme}://{}/v1\n",
        reachable(address)
    );
    let date = loaded.offer.list_date();
    let file = config.offer.file.as_deref().map(Path::display);
    let file = file.map_or_else(String::new, |file| format!(" {dot} {file}"));
    let offer = format!("model list of {date}, {}{file}", age(date, today));
    let ready = format!(
        "ready in {} ms {dot} waiting for the first call",
        took.as_millis()
    );
    [
        wrapped(&head, terminal.width),
        base_url,
        beside("offer", &[offer], terminal.width),
        beside("assume", &assumptions(loaded), terminal.width),
        wrapped(&ready, terminal.width),
    ]
    .concat()
}

/// Texts beside their label, in as many lines as they take.
fn beside(label: &str, texts: &[String], width: usize) -> String {
    let room = width.saturating_sub(INDENT);
    let lines: String = texts.iter().map(|text| wrapped(text, room)).collect();
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let lines = lines.lines().zip(labels);
    let labelled: Vec<String> = lines
        .map(|(line, label)| format!("  {label:<8}{line}"))
        .collect();
    labelled.join("\n") + "\n"
}

/// Where a program of this machine finds a listener: one on all addresses is on the loopback too.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// What is taken for granted because nobody declared it, and what nobody can declare.
fn assumptions(loaded: &Loaded) -> Vec<String> {
    // Where organizations are declared one by one, the others are rare.
    let mut all = if loaded.config.organizations.is_empty() {
        undeclared(loaded)
    } else {
        Vec::new()
    };
    all.push("totals begin now: free verdicts of today are marked assumed (day-start)".to_owned());
    all
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
mod tests {
    use std::path::PathBuf;

    use insta::assert_snapshot;

    use super::*;
    use crate::cli::terminal::Colour;
    use crate::config::{Environment, Flags, Sources, load};

    /// The banner with these variables, on a terminal so wide, in this locale, on 2026-11-22.
    fn banner(variables: &[(&str, &str)], address: &str, width: usize, locale: &str) -> String {
        let environment = |variables: &[(&str, &str)]| -> Environment {
            let owned = variables.iter().map(|(n, v)| (n.into(), v.into()));
            owned.collect()
        };
        let sources = Sources {
            flags: Flags::default(),
            environment: environment(variables),
            default_file: PathBuf::from("/nowhere/tollfree.toml"),
        };
        let locale = environment(&[("LC_ALL", locale)]);
        text(
            &load(&sources).unwrap(),
            address.parse().unwrap(),
            Day::of_date(2026, 11, 22).unwrap(),
            Duration::from_millis(12),
            &Terminal::from_facts(true, Some(width), Colour::Auto, &locale),
        )
    }

    #[test]
    fn the_readme_shows_what_is_printed() {
        let banner = banner(&[], "127.0.0.1:8800", 200, "C.UTF-8");
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&banner), "{banner}");
    }

    #[test]
    fn at_the_usual_width_nothing_is_left_to_the_terminal_to_break() {
        let eighty = banner(&[], "127.0.0.1:8800", 80, "C.UTF-8");
        assert!(eighty.lines().all(|line| line.chars().count() <= 80));
        assert_snapshot!(eighty, @"
        tollfree 0.1.0 · to https://api.openai.com · no config file, defaults
          use     export OPENAI_BASE_URL=http://127.0.0.1:8800/v1
          offer   model list of 2026-09-28, 55 days old
          assume  usage tier 1: 250,000 large and 2,500,000 small tokens free a day
                  (declare yours: TOLLFREE_USAGE_TIER=3)
                  enrolment and coverage are not declared: free verdicts are marked
                  assumed (TOLLFREE_ENROLLED=true, TOLLFREE_COVERAGE=all)
                  totals begin now: free verdicts of today are marked assumed
                  (day-start)
        ready in 12 ms · waiting for the first call
        ");
    }

    #[test]
    fn narrow_and_without_a_utf8_locale() {
        let variables = [("TOLLFREE_ENROLLED", "true")];
        assert_snapshot!(banner(&variables, "[::]:80", 44, "C"), @"
        tollfree 0.1.0 - to https://api.openai.com -
        no config file, defaults
          use     export OPENAI_BASE_URL=http://[::1]:80/v1
          offer   model list of 2026-09-28, 55 days
                  old
          assume  usage tier 1: 250,000 large and
                  2,500,000 small tokens free a day
                  (declare yours:
                  TOLLFREE_USAGE_TIER=3)
                  coverage is not declared: free
                  verdicts are marked assumed
                  (TOLLFREE_COVERAGE=all)
                  totals begin now: free verdicts of
                  today are marked assumed
                  (day-start)
        ready in 12 ms - waiting for the first call
        ");
    }

    #[test]
    fn what_is_declared_is_not_assumed() {
        let variables = [
            ("TOLLFREE_USAGE_TIER", "3"),
            ("TOLLFREE_ENROLLED", "true"),
            ("TOLLFREE_COVERAGE", "part"),
        ];
        let declared = banner(&variables, "0.0.0.0:8810", 80, "C.UTF-8");
        assert!(!declared.contains("declare"), "{declared}");
        assert!(
            declared.contains("\n  assume  totals begin now"),
            "{declared}"
        );
        assert!(
            declared.contains("=http://127.0.0.1:8810/v1\n"),
            "{declared}"
        );
    }
}
