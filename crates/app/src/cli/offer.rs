//! `tollfree offer`: the model list in use, for people, for pipes and as JSON.
//!
//! It must not know where the list was read from beyond its name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use meter::{Day, ModelGroup, Offer, UsageTier};
use serde_json::{Value, json};

use super::layout::{columns, grouped, side_by_side, wrapped};
use super::terminal::{Colour, Stream, Terminal};
use super::{json, print, refuse};
use crate::config::{Environment, Flags, Loaded, offer_is_old};

/// How the list is shown, and whose it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// One JSON object.
    pub(crate) json: bool,
    /// Names of the columns also where the output is piped.
    pub(crate) header: bool,
    /// The configuration whose list is shown.
    pub(crate) config: Option<PathBuf>,
}

/// The version of the JSON object's shape.
const SCHEMA: u32 = 1;

impl Options {
    /// The flags under which the configuration is read.
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            ..Flags::default()
        }
    }
}

/// Prints the list in use; what is odd goes to standard error.
pub(crate) fn run(
    loaded: &Loaded,
    options: &Options,
    colour: Colour,
    environment: &Environment,
) -> ExitCode {
    let today = Day::at(Timestamp::now().as_second());
    let terminal = Terminal::of(Stream::Output, colour, environment);
    let warnings = loaded.warnings.iter().cloned();
    for warning in warnings.chain(offer_is_old(&loaded.offer, today)) {
        refuse(&format!("warning: {warning}\n"), 0);
    }
    let file = loaded.config.offer.file.as_deref();
    print(&show(&loaded.offer, file, today, options, &terminal))
}

/// The list as the options and the terminal want it. `file` is where it was read from; none is
/// built in.
pub(crate) fn show(
    offer: &Offer,
    file: Option<&Path>,
    today: Day,
    options: &Options,
    terminal: &Terminal,
) -> String {
    if options.json {
        return as_json(offer, file, today);
    }
    if !terminal.is_terminal {
        return as_rows(offer, options.header);
    }
    let head = format!(
        "model list of {}, {} ({})",
        offer.list_date(),
        age(offer.list_date(), today),
        file.map_or("built in".to_owned(), |file| file.display().to_string()),
    );
    let mut out = wrapped(&head, terminal.width);
    out.push_str(&allowances(offer, terminal));
    let note = "Tokens free a day (UTC) for an organization, input and output together.";
    out.push_str(&terminal.note(note));
    for (_, group) in offer.groups() {
        let models = listed(offer, group);
        let title = format!("{}, {} models", group.name, models.len());
        out.push_str(&title);
        out.push('\n');
        out.push_str(&side_by_side(
            &models,
            terminal.width,
            terminal.glyph("…", "~"),
        ));
    }
    let note = "A newer list: tollfree help offer-file > offer.toml, change it, and name it in \
                TOLLFREE_OFFER_FILE or as file in [offer].";
    out.push_str(&terminal.note(note));
    out
}

/// `54 days old`.
pub(crate) fn age(list_date: Day, today: Day) -> String {
    match today.number() - list_date.number() {
        1 => "1 day old".to_owned(),
        days if days < 0 => "in the future by this clock".to_owned(),
        days => format!("{days} days old"),
    }
}

/// A table of the groups; one group a block where it does not fit.
fn allowances(offer: &Offer, terminal: &Terminal) -> String {
    let spans = usage_tiers(offer);
    let mut head = vec!["GROUP".to_owned()];
    head.extend(
        spans
            .iter()
            .map(|span| format!("USAGE TIER {}", span.label())),
    );
    let mut rows = vec![head];
    for (_, group) in offer.groups() {
        let mut row = vec![group.name.to_string()];
        row.extend(
            spans
                .iter()
                .map(|span| grouped(group.allowance(span.first))),
        );
        rows.push(row);
    }
    let table = columns(&rows);
    if table
        .lines()
        .all(|line| line.chars().count() <= terminal.width)
    {
        return table;
    }
    let mut blocks = String::new();
    for (_, group) in offer.groups() {
        blocks.push_str(&group.name);
        blocks.push('\n');
        for span in &spans {
            let tokens = grouped(group.allowance(span.first));
            blocks.push_str("  usage tier ");
            blocks.push_str(&span.label());
            blocks.push_str(": ");
            blocks.push_str(&tokens);
            blocks.push('\n');
        }
    }
    blocks
}

/// Usage tiers next to each other that have the same allowances in every group.
struct UsageTiers {
    first: UsageTier,
    last: UsageTier,
}

impl UsageTiers {
    fn label(&self) -> String {
        match (self.first.get(), self.last.get()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        }
    }
}

fn usage_tiers(offer: &Offer) -> Vec<UsageTiers> {
    let mut spans: Vec<UsageTiers> = Vec::new();
    for tier in (1..=5).filter_map(UsageTier::new) {
        let same = |span: &&mut UsageTiers| {
            let mut groups = offer.groups();
            groups.all(|(_, group)| group.allowance(span.last) == group.allowance(tier))
        };
        match spans.last_mut().filter(same) {
            Some(span) => span.last = tier,
            None => spans.push(UsageTiers {
                first: tier,
                last: tier,
            }),
        }
    }
    spans
}

fn listed<'o>(offer: &'o Offer, group: &ModelGroup) -> Vec<&'o str> {
    let models = offer
        .models()
        .iter()
        .filter(|model| *model.group == *group.name);
    models.map(|model| model.id.as_ref()).collect()
}

/// One row a model, separated by tabs: group, id, aliases, most tokens of a choice, and the
/// group's allowance at each usage tier.
fn as_rows(offer: &Offer, header: bool) -> String {
    let mut out = String::new();
    if header {
        out.push_str(
            "group\tmodel\taliases\tmost_tokens\tusage_tier_1\tusage_tier_2\tusage_tier_3\tusage_tier_4\tusage_tier_5\n",
        );
    }
    for model in offer.models() {
        let group = offer
            .groups()
            .find(|(_, group)| *group.name == *model.group);
        let mut row = vec![
            model.group.to_string(),
            model.id.to_string(),
            if model.aliases.is_empty() {
                "-".to_owned()
            } else {
                model.aliases.join(",")
            },
            model
                .context
                .map_or("?".to_owned(), |tokens| tokens.to_string()),
        ];
        let allowances = group.map(|(_, group)| group.allowances).unwrap_or_default();
        row.extend(allowances.iter().map(u64::to_string));
        out.push_str(&row.join("\t"));
        out.push('\n');
    }
    out
}

fn as_json(offer: &Offer, file: Option<&Path>, today: Day) -> String {
    json::lines(&as_value(offer, file, today))
}

/// The list as one JSON object, as of this day.
pub(crate) fn as_value(offer: &Offer, file: Option<&Path>, today: Day) -> Value {
    let groups: Vec<_> = offer
        .groups()
        .map(|(_, group)| json!({"name": &*group.name, "allowance_tokens": group.allowances}))
        .collect();
    let models: Vec<_> = offer
        .models()
        .iter()
        .map(|model| {
            json!({
                "id": model.id,
                "group": model.group,
                "aliases": model.aliases,
                "most_tokens": model.context,
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "list_date": offer.list_date().to_string(),
        "age_days": today.number() - offer.list_date().number(),
        "file": file.map(|file| file.display().to_string()),
        "groups": groups,
        "models": models,
    })
}
