//! The offer file: its date, its groups with their allowances, and the models on the list.
//!
//! It must not know what a group means for a call.

use meter::{Day, Model, ModelGroup, Offer, OfferParts};

use super::document::{Document, Section};
use super::form::{self, Raw};
use super::mistake::{Mistake, Wrong, are_enough};
use super::prices;

/// The offer a file describes; where there is none, the mistakes say why.
pub(crate) fn offer(document: &Document<'_>, mistakes: &mut Vec<Mistake>) -> Option<Offer> {
    let before = mistakes.len();
    let root = document.root();
    root.only(
        &["list_date", "price_date", "groups", "models", "prices"],
        |_| None,
        mistakes,
    );
    let list_date = root.required("list_date", day, mistakes);
    let price_date = root.value("price_date", day, mistakes);
    let groups = groups(&root, mistakes);
    let models = models(&root, &groups, mistakes);
    let prices = prices::prices(&root, mistakes);
    let parts = OfferParts {
        list_date: list_date?,
        price_date,
        groups,
        models,
        prices,
    };
    if mistakes.len() > before || are_enough(mistakes) || document.is_broken() {
        return None;
    }
    Offer::new(parts)
        .map_err(|error| {
            // The offer knows names, not places: show where the name it speaks of is written first.
            let place = error.name().map_or(0..0, |name| document.find(name));
            let wrong = Wrong::because(error.to_string(), "the list contradicts itself here");
            mistakes.push(document.mistake(place, wrong));
        })
        .ok()
}

/// Groups among which one is looked for that was meant; an offer has fewer.
const MOST_LISTED: usize = 64;

/// Days after which models that the list does not know are to be expected.
const OLD_AFTER: i32 = 120;

/// What to say about a list that is too old to be right.
pub(crate) fn offer_is_old(offer: &Offer, today: Day) -> Option<String> {
    let listed = offer.list_date();
    let days = today.number() - listed.number();
    (days > OLD_AFTER).then(|| {
        format!(
            "the model list is {days} days old ({listed}). newer models are tagged \
             model-not-listed, so shown as billed. help: tollfree offer says where to put a newer \
             file"
        )
    })
}

/// A day, written as TOML's own date.
pub(crate) fn day(raw: Raw<'_>) -> Result<Day, Wrong> {
    let date = match raw {
        Raw::Toml(value) => value.as_datetime().filter(|value| value.time.is_none()),
        Raw::Text(_) => None,
    };
    date.and_then(|value| value.date)
        .and_then(|date| Day::of_date(date.year, date.month, date.day))
        .ok_or_else(|| Wrong::form("a date like 2026-09-28, without quotes"))
}

fn groups(root: &Section<'_>, mistakes: &mut Vec<Mistake>) -> Vec<ModelGroup> {
    let Some(section) = required_section(root, "groups", mistakes) else {
        return Vec::new();
    };
    let mut groups = Vec::new();
    for (name, value) in section.entries() {
        let name = name.get_ref();
        if let Some(allowances) = section.read(name, value, allowances, mistakes) {
            groups.push(ModelGroup {
                name: name.as_ref().into(),
                allowances,
            });
        }
    }
    groups
}

/// Tokens a day by usage tier 1 to 5.
fn allowances(raw: Raw<'_>) -> Result<[u64; 5], Wrong> {
    let form = || Wrong::form("tokens a day for usage tiers 1 to 5: five numbers in brackets");
    let Raw::Toml(value) = raw else {
        return Err(form());
    };
    let list = value.as_array().ok_or_else(form)?;
    let tokens = list
        .iter()
        .map(|item| {
            let tokens = form::tokens(Raw::Toml(item.get_ref()));
            tokens.map_err(|wrong| wrong.at(item.span()))
        })
        .collect::<Result<Vec<u64>, Wrong>>()?;
    tokens.try_into().map_err(|_| form())
}

fn models(root: &Section<'_>, groups: &[ModelGroup], mistakes: &mut Vec<Mistake>) -> Vec<Model> {
    let Some(section) = required_section(root, "models", mistakes) else {
        return Vec::new();
    };
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_ref()).collect();
    // Groups with mistakes of their own are not among the names: say nothing more about them. Nor where there are more
    // than an offer can have, which is said of them all.
    if names.len() <= MOST_LISTED && section_names(root, "groups") == names.len() {
        section.only(&names, |_| None, mistakes);
    }
    let mut models = Vec::new();
    for (group, _) in section.entries() {
        let group = group.get_ref();
        let Some(listed) = section.section(group, mistakes) else {
            continue;
        };
        for (id, value) in listed.entries() {
            let title = format!("[models.{group}] {}", id.get_ref());
            if let Some(table) = listed.sub(value, title, mistakes) {
                models.push(model(id.get_ref(), group, &table, mistakes));
            }
        }
    }
    models
}

fn model(id: &str, group: &str, table: &Section<'_>, mistakes: &mut Vec<Mistake>) -> Model {
    table.only(&["aliases", "context"], |_| None, mistakes);
    let aliases = table.value("aliases", form::names, mistakes);
    Model {
        id: id.into(),
        group: group.into(),
        aliases: aliases.unwrap_or_default(),
        context: table.value("context", form::tokens, mistakes),
    }
}

fn required_section<'d>(
    root: &Section<'d>,
    name: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<Section<'d>> {
    root.required(name, |_| Ok(()), mistakes)?;
    root.section(name, mistakes)
}

fn section_names(root: &Section<'_>, name: &str) -> usize {
    let section = root.section(name, &mut Vec::new());
    section.map_or(0, |section| section.entries().count())
}
