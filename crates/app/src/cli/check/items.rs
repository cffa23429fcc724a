//! Each item of a check: what is so, how bad that is, and what to do. It must not know how findings are shown.

use std::net::SocketAddr;
use std::path::Path;

use ledger::{ReadError, Reader};
use meter::Day;
use tokio::net::TcpListener;

use super::upstream::{self, Answered};
use super::{Finding, State};
use crate::busy_port::{BusyPort, proposed};
use crate::cli::control::Control;
use crate::cli::desk::now;
use crate::cli::figures::counted;
use crate::cli::offer::age;
use crate::cli::{exit, figures};
use crate::config::{Admin, DataDir, Loaded, Mistakes, offer_is_old, reason};
use crate::open_ledger;

/// Seconds that a clock may differ from OpenAI's before its date headers are believed instead.
const MOST_DIFFERENCE: i64 = 2;

/// Everything, in the order it is shown.
pub(super) async fn all(loaded: &Loaded) -> Vec<Finding> {
    let asked = upstream::ask(loaded).await;
    let mut findings = config(loaded);
    findings.push(offer(loaded));
    findings.push(clock(&asked));
    let running = running(loaded);
    findings.extend(running.as_ref().and_then(payer));
    let behind = running.as_ref().and_then(|said| said.ledger_notice.clone());
    findings.push(match behind {
        Some(why) => Finding::told("ledger", State::Warn, &why),
        None => ledger(&loaded.config.data_dir),
    });
    let folder = loaded.config.data_dir.folder();
    // A file in its place is told as what cannot be read.
    let open = folder
        .filter(|folder| folder.is_dir())
        .and_then(open_ledger::open_to_others);
    findings.extend(open.map(|open| Finding::told("ledger", State::Warn, &open)));
    findings.extend(ports(loaded, running).await);
    findings.push(upstream(loaded, asked));
    findings
}

/// A configuration that is wrong: nothing else can be looked at.
pub(super) fn of_mistakes(mistakes: &Mistakes) -> Vec<Finding> {
    let text = mistakes.of_command(false);
    let config = Finding::new("config", State::Fail(exit::CONFIG), text.trim_end());
    let others = ["offer", "clock", "ledger", "ports", "upstream"];
    let why = "not checked: the configuration has mistakes";
    let others = others.map(|item| Finding::new(item, State::Unknown, why));
    std::iter::once(config).chain(others).collect()
}

fn config(loaded: &Loaded) -> Vec<Finding> {
    let origin = loaded.origin.as_deref().map(Path::display);
    let origin = origin.map_or_else(
        || "no config file, defaults and variables".to_owned(),
        |file| file.to_string(),
    );
    let read = Finding::new("config", State::Ok, origin);
    let warnings = loaded.warnings.iter();
    let odd = warnings.map(|warning| Finding::told("config", State::Warn, warning));
    std::iter::once(read).chain(odd).collect()
}

fn offer(loaded: &Loaded) -> Finding {
    let today = Day::at(now());
    if let Some(old) = offer_is_old(&loaded.offer, today) {
        return Finding::told("offer", State::Warn, &old);
    }
    let date = loaded.offer.list_date();
    let file = loaded.config.offer.file.as_deref().map(Path::display);
    let file = file.map_or_else(|| "built in".to_owned(), |file| file.to_string());
    let text = format!("model list of {date}, {} ({file})", age(date, today));
    Finding::new("offer", State::Ok, text)
}

fn clock(asked: &Result<Answered, String>) -> Finding {
    let Some(ahead) = asked
        .as_ref()
        .ok()
        .and_then(|answered| answered.clock_ahead)
    else {
        return Finding::new(
            "clock",
            State::Unknown,
            "not checked: upstream did not answer",
        );
    };
    let zone = "days are UTC";
    if ahead.abs() <= MOST_DIFFERENCE {
        return Finding::new(
            "clock",
            State::Ok,
            format!("agrees with upstream's; {zone}"),
        );
    }
    Finding::told("clock", State::Warn, &proxy::wrong_clock(-ahead * 1000))
}

fn ledger(data_dir: &DataDir) -> Finding {
    let folder = match data_dir {
        DataDir::Folder(folder) => folder,
        DataDir::Off => {
            return Finding::new(
                "ledger",
                State::Ok,
                "off: totals are in memory only; a restart begins at zero",
            );
        }
        // A warning of the configuration says why.
        DataDir::Unknown => {
            return Finding::new("ledger", State::Unknown, "no folder is known for it");
        }
    };
    let place = folder.display();
    let reader = match Reader::open(folder) {
        Ok(reader) => reader,
        Err(ReadError::NoLedger) => return none_yet(folder),
        Err(error @ ReadError::Newer) => {
            let text =
                format!("{place}: {error}. help: use the newer tollfree, or another --data-dir");
            return Finding::told("ledger", State::Fail(exit::FAILED), &text);
        }
        Err(ReadError::Unreadable { source }) => return unreadable(folder, &source.to_string()),
    };
    if let Err(error) = writable(folder) {
        let text = format!(
            "{place} cannot be written: {error}. help: tollfree runs all the same, but keeps nothing: make it yours"
        );
        return Finding::told("ledger", State::Warn, &text);
    }
    let today = Day::at(now()).number();
    let sums = reader.days(today, today, None);
    let last = reader.last_settled_at();
    match (sums, last) {
        (Ok(rows), Ok(last)) => {
            let calls = rows.iter().map(|row| row.calls).sum();
            let last = last.map_or_else(String::new, |at| {
                let (day, time) = (figures::day_of(at), figures::time_of_day(at));
                format!(", the last at {day} {time} UTC")
            });
            let text = format!("{place}: {} of today{last}", counted(calls, "call"));
            Finding::new("ledger", State::Ok, text)
        }
        (Err(error), _) | (_, Err(error)) => unreadable(folder, &error.to_string()),
    }
}

fn none_yet(folder: &Path) -> Finding {
    let place = folder.display();
    if folder.exists()
        && let Err(error) = writable(folder)
    {
        let text = format!(
            "{place} cannot be written: {error}. help: make it yours, or name another --data-dir"
        );
        return Finding::told("ledger", State::Warn, &text);
    }
    Finding::new(
        "ledger",
        State::Ok,
        format!("{place}: none yet, a start begins one"),
    )
}

fn unreadable(folder: &Path, why: &str) -> Finding {
    let text = format!(
        "{} cannot be read: {why}. help: a start moves a broken ledger aside and begins a new one",
        folder.display()
    );
    Finding::told("ledger", State::Fail(exit::FAILED), &text)
}

/// Whether neither this folder nor one that it would be made in can be written: a proxy with it runs without a ledger.
fn cannot_be_used(folder: &Path) -> bool {
    let there = folder.ancestors().find(|folder| folder.exists());
    there.is_none_or(|there| writable(there).is_err())
}

/// Whether a file can be made there; it is removed again.
fn writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!("check-{}.tmp", std::process::id()));
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe);
    made.and_then(|_| std::fs::remove_file(&probe))
}

/// What the proxy says that runs on the data directory.
fn running(loaded: &Loaded) -> Option<admin::Standings> {
    let folder = loaded.config.data_dir.folder()?;
    Control::reach(folder)?.get(admin::STANDING).ok()
}

/// OpenAI bills what the offer says is free.
fn payer(running: &admin::Standings) -> Option<Finding> {
    let organizations = running.organizations.iter();
    let text = admin::OrganizationStanding::payer_says_billed(organizations)?;
    Some(Finding::told("offer", State::Warn, &text))
}

async fn ports(loaded: &Loaded, running: Option<admin::Standings>) -> Vec<Finding> {
    let config = &loaded.config;
    if let Some(said) = running {
        let proxy = said.proxy;
        let text = format!(
            "{} in use by this tollfree (pid {})",
            proxy.address, proxy.pid
        );
        let page = proxy.page.map(|page| format!("{page} in use by its page"));
        let texts = std::iter::once(text).chain(page);
        return texts
            .map(|text| Finding::new("ports", State::Ok, text))
            .collect();
    }
    let mut findings = vec![port(loaded, config.listen).await];
    let is_named = config.admin.listen != Admin::default().listen;
    match config.admin.listen {
        Some(page) if is_named => findings.push(port(loaded, page).await),
        Some(page) => findings.push(usual_page(page).await),
        None => {}
    }
    findings
}

/// A page's port that nobody named: a start would take a free one in its place.
async fn usual_page(address: SocketAddr) -> Finding {
    if TcpListener::bind(address).await.is_ok() {
        return Finding::new("ports", State::Ok, format!("{address} is free (page)"));
    }
    let other = proposed(address);
    let text = format!(
        "{address} is in use: page, metrics and health would be on any free port. help: stop what has it, or start with \
         TOLLFREE_ADMIN_LISTEN={other}"
    );
    Finding::told("ports", State::Warn, &text)
}

async fn port(loaded: &Loaded, address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::new("ports", State::Ok, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let busy = BusyPort::at(address, &loaded.config).await;
            let folder = loaded.config.data_dir.folder();
            if busy.may_be_ours() && folder.is_some_and(cannot_be_used) {
                // It would say who it is by its data directory.
                let other = proposed(address);
                let text = format!(
                    "{address} is in use by a tollfree: this one, if it runs already. without a data directory it cannot \
                     be asked. help: if it is another, stop it or take another port, such as {other}"
                );
                return Finding::told("ports", State::Warn, &text);
            }
            Finding::told("ports", State::Fail(exit::UNAVAILABLE), &busy.to_string())
        }
        Err(error) => {
            let text = format!(
                "cannot listen on {address}: {}. help: --listen 127.0.0.1:8810",
                reason(&error)
            );
            Finding::told("ports", State::Fail(exit::UNAVAILABLE), &text)
        }
    }
}

fn upstream(loaded: &Loaded, asked: Result<Answered, String>) -> Finding {
    let url = &loaded.config.upstream.url;
    match asked {
        Ok(answered) => {
            let took = answered.took.as_millis();
            let text = format!("{url} answered ({}) in {took} ms", answered.status);
            Finding::new("upstream", State::Ok, text)
        }
        Err(why) => Finding::told("upstream", State::Fail(exit::UNAVAILABLE), &why),
    }
}
