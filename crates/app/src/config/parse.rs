//! From keys to settings: which form and which bounds each key has, and what must agree.
//!
//! It must not know where a value came from, nor how a form is read.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::Durability;
use meter::{AfterCrossing, Terms};
use proxy::ClientGone;

use super::Flags;
use super::data_dir::data_dir;
use super::environment::Environment;
use super::form;
use super::keys::{KEYS, ORGANIZATION, name_of, section_of};
use super::mistake::Wrong;
use super::organizations;
use super::read::{Reader, beside, opened};
use super::settings::{
    Admin, Config, DrainSettings, EnvironmentProxy, LedgerSettings, Limits, Listener, Log,
    OfferSettings, Secret, Streams, TlsFiles, Upstream,
};
use super::sharing::sharing;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// Waits that would never end, or end at once, are mistakes.
const WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);
/// A stop may be at once and may take as long as a day.
const STOP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
/// Numbers of things held at once.
const COUNT: RangeInclusive<usize> = 1..=1_000_000;
/// Bytes of one thing that is held.
const ONE: RangeInclusive<usize> = 0..=GIB;
/// Bytes held over all calls.
const ALL: RangeInclusive<usize> = 0..=64 * GIB;

/// Days the ledger goes back: a hundred years at most.
const DAYS: RangeInclusive<usize> = 1..=36_500;

/// Everything that was set, with the defaults for the rest. Mistakes stay in the reader.
pub(crate) fn config(
    reader: &mut Reader<'_>,
    environment: &Environment,
    flags: &Flags,
    file: Option<&Path>,
) -> Config {
    known_names(reader);
    let default = Config::default();
    let listen = reader.value("listen", form::address);
    let config = Config {
        listen: flags.listen.or(listen).unwrap_or(default.listen),
        data_dir: data_dir(reader, environment, flags, file),
        terms: terms(reader, flags),
        organizations: organizations::declared(reader),
        listener: listener(reader, file),
        upstream: upstream(reader, environment, flags, file),
        streams: streams(reader),
        limits: limits(reader),
        ledger: ledger(reader),
        share: sharing(reader, file),
        admin: admin(reader),
        offer: offer(reader, file),
        drain: drain(reader),
        log: log(reader, flags),
    };
    loop_to_itself(reader, flags, &config);
    page_on_proxy(reader, &config);
    config
}

/// Reports each section and key of the file that nothing reads.
fn known_names(reader: &mut Reader<'_>) {
    let Some(root) = reader.root() else { return };
    let mut sections: Vec<&str> = KEYS.iter().map(|key| section_of(key.path)).collect();
    sections.dedup();
    for section in sections {
        let names: Vec<&str> = KEYS
            .iter()
            .filter(|key| section_of(key.path) == section)
            .map(|key| name_of(key.path))
            .collect();
        if section.is_empty() {
            let tables = KEYS.iter().map(|key| section_of(key.path));
            let tables = tables.filter(|section| !section.is_empty());
            let mut known = names;
            known.extend(tables);
            known.push("organizations");
            known.dedup();
            root.only(
                &known,
                |name| elsewhere(name, section),
                &mut reader.mistakes,
            );
        } else if let Some(table) = root.section(section, &mut reader.mistakes) {
            table.only(
                &names,
                |name| elsewhere(name, section),
                &mut reader.mistakes,
            );
        }
    }
}

/// Where a key belongs that stands in the wrong section.
fn elsewhere(name: &str, section: &str) -> Option<String> {
    let key = KEYS
        .iter()
        .find(|key| name_of(key.path) == name && section_of(key.path) != section);
    match key.map(|key| section_of(key.path)) {
        Some("") => {
            Some("it belongs at the top of the file, before the first [section]".to_owned())
        }
        Some(right) => Some(format!("it belongs in [{right}]")),
        None if ORGANIZATION.contains(&name) => Some("it belongs in [[organizations]]".to_owned()),
        None => None,
    }
}

fn terms(reader: &mut Reader<'_>, flags: &Flags) -> Terms {
    let usage_tier = reader.value("usage_tier", form::usage_tier);
    let enrolled = reader.value("enrolled", form::boolean);
    let shared_projects = reader.value("shared_projects", form::shared_projects);
    let coverage = reader.value("coverage", form::coverage);
    Terms {
        usage_tier: flags.usage_tier.or(usage_tier),
        enrolled: flags.enrolled.or(enrolled),
        shared_projects: flags.shared_projects.clone().or(shared_projects),
        coverage: flags.coverage.or(coverage),
    }
}

fn listener(reader: &mut Reader<'_>, file: Option<&Path>) -> Listener {
    let default = Listener::default();
    let certificate = read_again(reader, "listener.tls_certificate", file);
    let key = read_again(reader, "listener.tls_key", file);
    let tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (Some(_), None) => {
            one_without_other(reader, "listener.tls_certificate", "tls_key");
            None
        }
        (None, Some(_)) => {
            one_without_other(reader, "listener.tls_key", "tls_certificate");
            None
        }
        (None, None) => None,
    };
    Listener {
        tls,
        most_connections: reader
            .value("listener.most_connections", form::count(COUNT))
            .unwrap_or(default.most_connections),
        tls_handshake: reader
            .value("listener.tls_handshake", form::duration(WAIT))
            .unwrap_or(default.tls_handshake),
        head_timeout: reader
            .value("listener.head_timeout", form::duration(WAIT))
            .unwrap_or(default.head_timeout),
        idle_timeout: reader
            .value("listener.idle_timeout", form::duration(WAIT))
            .unwrap_or(default.idle_timeout),
        write_stall: reader
            .value("listener.write_stall", form::duration(WAIT))
            .unwrap_or(default.write_stall),
        read_stall: reader
            .value("listener.read_stall", form::duration(WAIT))
            .unwrap_or(default.read_stall),
        most_head_bytes: reader
            .value("listener.most_head_bytes", form::size(8 * KIB..=MIB))
            .unwrap_or(default.most_head_bytes),
        most_headers: reader
            .value("listener.most_headers", form::count(16..=1_000))
            .unwrap_or(default.most_headers),
    }
}

fn one_without_other(reader: &mut Reader<'_>, path: &str, missing: &str) {
    if reader
        .value(&format!("listener.{missing}"), |_| Ok(()))
        .is_some()
    {
        return; // It is there; what is wrong with it was said.
    }
    let message = format!("`{}` without `{missing}`", name_of(path));
    reader.refuse(
        path,
        Wrong::because(message, format!("`{missing}` belongs with it")),
    );
}

fn upstream(
    reader: &mut Reader<'_>,
    environment: &Environment,
    flags: &Flags,
    file: Option<&Path>,
) -> Upstream {
    let default = Upstream::default();
    let url = reader.value("upstream.url", form::upstream_url);
    let ca_file = read_again(reader, "upstream.ca_file", file).or_else(|| {
        let everyones = PathBuf::from(environment.get("SSL_CERT_FILE")?);
        reader.files.push(everyones.clone());
        Some(everyones)
    });
    Upstream {
        url: flags.upstream.clone().or(url).unwrap_or(default.url),
        ca_file,
        proxy: reader.value("upstream.proxy", form::proxy_url),
        environment_proxy: environment_proxy(environment),
        connect_timeout: reader
            .value("upstream.connect_timeout", form::duration(WAIT))
            .unwrap_or(default.connect_timeout),
        idle_timeout: reader
            .value("upstream.idle_timeout", form::duration(WAIT))
            .unwrap_or(default.idle_timeout),
        most_idle: reader
            .value("upstream.most_idle", form::count(0..=1_000_000))
            .unwrap_or(default.most_idle),
    }
}

fn environment_proxy(environment: &Environment) -> EnvironmentProxy {
    let first = |names: &[&str]| {
        let mut found = names
            .iter()
            .filter_map(|name| environment.text(name).ok().flatten());
        found.next().map(str::to_owned)
    };
    EnvironmentProxy {
        https: first(&["HTTPS_PROXY", "https_proxy"]).map(Secret::new),
        http: first(&["http_proxy"]).map(Secret::new),
        all: first(&["ALL_PROXY", "all_proxy"]).map(Secret::new),
        except: first(&["NO_PROXY", "no_proxy"]),
    }
}

fn streams(reader: &mut Reader<'_>) -> Streams {
    let default = Streams::default();
    Streams {
        ask_for_usage: reader
            .value("streams.ask_for_usage", form::boolean)
            .unwrap_or(default.ask_for_usage),
        client_gone: reader
            .value(
                "streams.client_gone",
                form::word(&[
                    ("cancel", ClientGone::Cancel),
                    ("finish", ClientGone::Finish),
                ]),
            )
            .unwrap_or(default.client_gone),
        comment: reader
            .value("streams.comment", form::boolean)
            .unwrap_or(default.comment),
    }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let default = Limits::default();
    let mut size =
        |path, bounds, default| reader.value(path, form::size(bounds)).unwrap_or(default);
    let limits = Limits {
        request_inspect_bytes: size(
            "limits.request_inspect_bytes",
            ONE,
            default.request_inspect_bytes,
        ),
        request_inspect_total: size(
            "limits.request_inspect_total",
            ALL,
            default.request_inspect_total,
        ),
        held_answer_bytes: size("limits.held_answer_bytes", ONE, default.held_answer_bytes),
        held_answers_total: size("limits.held_answers_total", ALL, default.held_answers_total),
        ..default
    };
    Limits {
        request_inspect_time: reader
            .value(
                "limits.request_inspect_time",
                form::duration(Duration::ZERO..=Duration::from_mins(1)),
            )
            .unwrap_or(limits.request_inspect_time),
        held_answer_time: reader
            .value(
                "limits.held_answer_time",
                form::duration(Duration::ZERO..=Duration::from_mins(1)),
            )
            .unwrap_or(limits.held_answer_time),
        lookup_wait: reader
            .value(
                "limits.lookup_wait",
                form::duration(Duration::ZERO..=Duration::from_mins(1)),
            )
            .unwrap_or(limits.lookup_wait),
        lookup_waits_per_key: reader
            .value("limits.lookup_waits_per_key", form::count(COUNT))
            .unwrap_or(limits.lookup_waits_per_key),
        lookup_waits_total: reader
            .value("limits.lookup_waits_total", form::count(COUNT))
            .unwrap_or(limits.lookup_waits_total),
        ..limits
    }
}

fn ledger(reader: &mut Reader<'_>) -> LedgerSettings {
    let default = LedgerSettings::default();
    let outlives = form::word(&[
        ("crash", Durability::Crash),
        ("power-loss", Durability::PowerLoss),
    ]);
    let days = reader.value("ledger.keep_days", form::count(DAYS));
    LedgerSettings {
        durability: reader
            .value("ledger.durability", outlives)
            .unwrap_or(default.durability),
        keep_days: days
            .and_then(|days| u32::try_from(days).ok())
            .unwrap_or(default.keep_days),
    }
}

fn admin(reader: &mut Reader<'_>) -> Admin {
    let default = Admin::default();
    let admin = Admin {
        listen: reader
            .value("admin.listen", form::admin_address)
            .unwrap_or(default.listen),
        token: reader.value("admin.token", form::token),
        hosts: reader.value("admin.hosts", form::hosts).unwrap_or_default(),
    };
    let is_open = admin
        .listen
        .is_some_and(|listen| !listen.ip().is_loopback());
    if is_open && admin.token.is_none() {
        let wrong = Wrong::because(
            "others can reach this address, and no token is asked of them",
            "an address of this machine alone, like \"127.0.0.1:8801\", or admin.token beside it",
        );
        reader.refuse("admin.listen", wrong);
    }
    admin
}

fn offer(reader: &mut Reader<'_>, file: Option<&Path>) -> OfferSettings {
    let readings = form::word(&[
        ("billed", AfterCrossing::Billed),
        ("free-if-it-fits", AfterCrossing::FreeIfItFits),
    ]);
    OfferSettings {
        file: read_again(reader, "offer.file", file),
        after_crossing: reader
            .value("offer.after_crossing", readings)
            .unwrap_or(AfterCrossing::Billed),
    }
}

fn drain(reader: &mut Reader<'_>) -> DrainSettings {
    let default = DrainSettings::default();
    DrainSettings {
        keep_accepting: reader
            .value("drain.keep_accepting", form::duration(STOP))
            .unwrap_or(default.keep_accepting),
        grace: reader
            .value("drain.grace", form::duration(STOP))
            .unwrap_or(default.grace),
    }
}

fn log(reader: &mut Reader<'_>, flags: &Flags) -> Log {
    let default = Log::default();
    let format = reader.value("log.format", form::log_format);
    let filter = reader.value("log.filter", form::log_filter);
    Log {
        format: flags.log_format.or(format).unwrap_or(default.format),
        filter: flags
            .log_filter
            .clone()
            .or(filter)
            .unwrap_or(default.filter),
    }
}

/// A path of the file or a variable, to a file that can be opened.
pub(super) fn existing(
    reader: &mut Reader<'_>,
    path: &str,
    file: Option<&Path>,
) -> Option<PathBuf> {
    let found = named(reader, path, file)?;
    readable(reader, path, found)
}

/// The same of a file that a reload reads again.
fn read_again(reader: &mut Reader<'_>, path: &str, file: Option<&Path>) -> Option<PathBuf> {
    let found = named(reader, path, file)?;
    reader.files.push(found.clone());
    readable(reader, path, found)
}

fn named(reader: &mut Reader<'_>, path: &str, file: Option<&Path>) -> Option<PathBuf> {
    let said = reader.value(path, form::path)?;
    if reader.is_from_variable(path) {
        Some(said)
    } else {
        Some(beside(file, said))
    }
}

fn readable(reader: &mut Reader<'_>, path: &str, found: PathBuf) -> Option<PathBuf> {
    match opened(&found) {
        Ok(_) => Some(found),
        Err(why) => {
            let message = format!("cannot read {}: {why}", found.display());
            reader.refuse(path, Wrong::because(message, "a file that can be read"));
            None
        }
    }
}

/// Calls and page on one port, where the page's was named: a port that nobody named is replaced by a free one.
fn page_on_proxy(reader: &mut Reader<'_>, config: &Config) {
    let listen = config.listen;
    let named = config.admin.listen != Admin::default().listen;
    let Some(page) = config.admin.listen.filter(|_| named) else {
        return;
    };
    let any = |address: SocketAddr| address.ip().is_unspecified();
    let is_one = page.port() == listen.port() && listen.port() != 0;
    if is_one && (page.ip() == listen.ip() || any(page) || any(listen)) {
        let message = format!("admin.listen and listen are both port {}", listen.port());
        let form = "a port of its own, like \"127.0.0.1:8801\", or \"off\"";
        reader.refuse("admin.listen", Wrong::because(message, form));
    }
}

/// An upstream that is our own listener would answer each call with itself, one that is our page none.
fn loop_to_itself(reader: &mut Reader<'_>, flags: &Flags, config: &Config) {
    let url = &config.upstream.url;
    let page = config.admin.listen.filter(|page| url.is_listener(*page));
    let (is, form) = if url.is_listener(config.listen) {
        (
            "this proxy",
            format!("tollfree itself listens on {}", config.listen),
        )
    } else if let Some(page) = page {
        (
            "this proxy's page",
            format!("tollfree itself has its page on {page}"),
        )
    } else {
        return;
    };
    let by_variable = reader.is_from_variable("upstream.url");
    let help = match (&flags.upstream, by_variable) {
        (Some(_), _) => "remove --upstream, or name the real API",
        (None, true) => "remove TOLLFREE_UPSTREAM, or name the real API",
        (None, false) => "remove url from [upstream], or name the real API",
    };
    let wrong = Wrong::because(format!("upstream {url} is {is}"), form).help(help);
    match &flags.upstream {
        Some(url) => reader.refuse_flag("--upstream", &url.to_string(), wrong),
        None => reader.refuse("upstream.url", wrong),
    }
}
