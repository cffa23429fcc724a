//! One call in full: the sum spelled out, both readings where they differ, its ids to copy, and how to look it up. It
//! must not know where it was found.

use ledger::{Row, SettledCall, Tokens};
use meter::Day;

use crate::cli::figures::{self, UNKNOWN};
use crate::cli::layout::{GAP, grouped, wrapped};
use crate::cli::table::one_line;
use crate::cli::terminal::{Role, Terminal};

/// Characters of the longest label.
const LABEL: usize = 12;

/// For people: a line for each thing that is known.
pub(super) fn shown(row: &Row, terminal: &Terminal) -> String {
    let call = &row.call;
    let (word, role) = super::verdict(row.verdict());
    let painted = role.map_or_else(|| word.clone(), |role| terminal.paint(role, &word));
    let certainty = call
        .certainty
        .as_deref()
        .map_or_else(String::new, |word| format!(", {word}"));
    let mut out = format!("{}\n", one_line(&call.call));
    let verdict = format!(
        "{GAP}{:<LABEL$}{GAP}{painted}{certainty}: {}\n",
        "verdict",
        one_line(&call.reason)
    );
    out.push_str(&verdict);
    for (label, text) in lines(row) {
        out.push_str(&labelled(label, &one_line(&text), terminal));
    }
    // A command is pasted: one that is broken in two would run as two.
    let command = format!("curl -s \"$OPENAI_BASE_URL/_tollfree/calls/{}\"", call.call);
    let label = terminal.paint(Role::Dim, &format!("{:<LABEL$}", "look-up"));
    out.extend([GAP, &label, GAP, &one_line(&command), "\n"]);
    out
}

/// A text beside its label, in as many lines as it takes; ids stay whole.
fn labelled(label: &str, text: &str, terminal: &Terminal) -> String {
    let indent = GAP.len() + LABEL + GAP.len();
    let lines = wrapped(text, terminal.width.saturating_sub(indent));
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let mut out = String::new();
    for (line, label) in lines.lines().zip(labels) {
        let label = terminal.paint(Role::Dim, &format!("{label:<LABEL$}"));
        out.extend([GAP, &label, GAP, line, "\n"]);
    }
    out
}

fn lines(row: &Row) -> Vec<(&'static str, String)> {
    let call = &row.call;
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_ref().map(ToString::to_string);
    let optional = [
        ("sum", sum(call)),
        ("readings", readings(call)),
        (
            "assumes",
            (!call.assumes.is_empty()).then(|| call.assumes.replace(',', ", ")),
        ),
        ("OpenAI", payer(call)),
        ("adjusts", row.adjusts.clone()),
        (
            "counted by",
            row.counted_by
                .map(|number| format!("{number}, in its place")),
        ),
        ("group", text(&call.group)),
        ("model", model(call)),
        ("tokens", call.usage.as_ref().map(tokens)),
        ("uncounted", uncounted(call)),
        ("price", price(call)),
        ("organization", Some(call.organization.to_string())),
        ("project", text(&call.project)),
        ("endpoint", Some(endpoint(call))),
        ("service tier", text(&call.service_tier)),
        ("day", Some(day(call))),
        ("began", Some(admin::instant(call.began_at))),
        ("settled", Some(admin::instant(call.settled_at))),
        ("response id", text(&call.response_id)),
        ("request id", text(&call.request_id)),
        ("client", text(&call.client)),
    ];
    let known = optional.into_iter();
    known
        .filter_map(|(label, text)| Some((label, text?)))
        .collect()
}

/// `before 975,000 + 30,000 = 1,005,000 > 1,000,000: the whole call is billed`.
fn sum(call: &SettledCall<'_>) -> Option<String> {
    let (before, after) = call.span?;
    let allowance = call.allowance?;
    let sign = if after > allowance { ">" } else { "<=" };
    let consequence = match (call.verdict.as_ref(), call.reason.as_ref()) {
        ("billed", "crossing-call") => {
            let remained = grouped(allowance.saturating_sub(before));
            format!(": {remained} remained, the whole call is billed")
        }
        _ => String::new(),
    };
    Some(format!(
        "before {} + {} = {} {sign} {}{consequence}",
        grouped(before),
        grouped(after.saturating_sub(before)),
        grouped(after),
        grouped(allowance)
    ))
}

/// Both readings of the rule, where they differ: the one that gave the verdict and the other.
fn readings(call: &SettledCall<'_>) -> Option<String> {
    let fits = if call.fitted { "free" } else { "billed" };
    let (_, after) = call.disputed.then_some(call.span)??;
    let counted = if after <= call.allowance? {
        "free"
    } else {
        "billed"
    };
    Some(format!(
        "{counted} if the crossing call counts, {fits} if a smaller call may still fit"
    ))
}

fn payer(call: &SettledCall<'_>) -> Option<String> {
    let says = match call.payer.as_deref()? {
        "openai" => "says that it pays".to_owned(),
        "developer" => "says that the developer pays".to_owned(),
        other => format!("says payer {other}"),
    };
    let ours = if call.ours == call.verdict {
        "; so would we"
    } else {
        "; we would have said otherwise"
    };
    Some(says + ours)
}

fn model(call: &SettledCall<'_>) -> Option<String> {
    match (call.model.as_deref(), call.model_asked.as_deref()) {
        (Some(model), Some(asked)) if model != asked => {
            Some(format!("{model} (asked for {asked})"))
        }
        (Some(model), _) => Some(model.to_owned()),
        (None, Some(asked)) => Some(format!("{UNKNOWN} (asked for {asked})")),
        (None, None) => None,
    }
}

/// `30,000 = 29,000 input (1,000 cached) + 1,000 output (500 reasoning)`.
fn tokens(usage: &Tokens) -> String {
    let parts = |parts: &[(u64, &str)]| {
        let some = parts.iter().filter(|(tokens, _)| *tokens > 0);
        let some: Vec<String> = some
            .map(|(tokens, name)| format!("{} {name}", grouped(*tokens)))
            .collect();
        if some.is_empty() {
            String::new()
        } else {
            format!(" ({})", some.join(", "))
        }
    };
    format!(
        "{} = {} input{} + {} output{}",
        grouped(usage.input.saturating_add(usage.output)),
        grouped(usage.input),
        parts(&[
            (usage.cached_input, "cached"),
            (usage.cache_write, "written to the cache")
        ]),
        grouped(usage.output),
        parts(&[(usage.reasoning, "reasoning")]),
    )
}

/// What it may have taken without being counted.
fn uncounted(call: &SettledCall<'_>) -> Option<String> {
    let slack = call.slack.as_ref()?;
    let most = slack.at_most.map_or_else(
        || "any number of tokens".to_owned(),
        |tokens| format!("at most {} tokens", grouped(tokens)),
    );
    let whose = if slack.any_group {
        ", of any group"
    } else {
        ""
    };
    Some(format!("{most} ({}){whose}", slack.source))
}

fn price(call: &SettledCall<'_>) -> Option<String> {
    match (call.cost, call.saved) {
        (Some(cost), Some(saved)) => Some(format!(
            "cost {}, saved {}",
            figures::dollars(cost),
            figures::dollars(saved)
        )),
        _ if call.usage.is_some() => {
            Some(format!("{UNKNOWN} (no list price of this model is known)"))
        }
        _ => None,
    }
}

fn endpoint(call: &SettledCall<'_>) -> String {
    let stream = if call.stream { ", stream" } else { "" };
    match call.status {
        0 => format!("{}{stream}, no answer", call.endpoint),
        status => format!("{}{stream}, status {status}", call.endpoint),
    }
}

fn day(call: &SettledCall<'_>) -> String {
    let day = Day::of_number(call.day);
    let edge = match call.straddles {
        false => "",
        true if Day::at(call.began_at.div_euclid(1000)) == day => " (within seconds of another)",
        true => " (it began on another)",
    };
    format!("{day} UTC{edge}")
}

/// For programs: name and value of each field, a tab between them; nothing for what is not known.
pub(super) fn as_rows(row: &Row) -> String {
    let mut out = String::new();
    for (name, value) in admin::fields(row) {
        out.extend([name, "\t", &one_line(&admin::text_of(&value)), "\n"]);
    }
    out
}
