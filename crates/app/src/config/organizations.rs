//! The organizations that the file declares one by one.
//!
//! It must not know what follows from a declaration.

use std::collections::HashSet;

use meter::{DeclaredOrganization, Organizations, Terms};

use super::document::Section;
use super::form::{self, Raw};
use super::keys::ORGANIZATION;
use super::mistake::{Mistake, Wrong};
use super::read::Reader;

const TITLE: &str = "[[organizations]]";

/// The declared organizations in the order of the file. Each name and alias is there once.
pub(crate) fn declared(reader: &mut Reader<'_>) -> Vec<DeclaredOrganization> {
    let Some(root) = reader.root() else {
        return Vec::new();
    };
    let mistakes = &mut reader.mistakes;
    let list = root.value("organizations", tables, mistakes);
    if list.is_none() {
        return Vec::new();
    }
    let mut taken = HashSet::new();
    root.get("organizations")
        .and_then(|value| value.get_ref().as_array())
        .into_iter()
        .flatten()
        .filter_map(|value| {
            let section = root.sub(value, TITLE.to_owned(), mistakes)?;
            organization(&section, &mut taken, mistakes)
        })
        .collect()
}

/// An array, each of whose members is a table, within bounds.
fn tables(raw: Raw<'_>) -> Result<(), Wrong> {
    let list = match raw {
        Raw::Toml(value) => value.as_array(),
        Raw::Text(_) => None,
    };
    let list = list.ok_or_else(|| {
        Wrong::because(
            "`organizations` is a list of sections",
            "write [[organizations]], with two brackets",
        )
    })?;
    let most = Organizations::MOST as usize;
    if list.len() > most {
        return Err(Wrong::form(format!("at most {most} of them")));
    }
    Ok(())
}

fn organization(
    section: &Section<'_>,
    taken: &mut HashSet<Box<str>>,
    mistakes: &mut Vec<Mistake>,
) -> Option<DeclaredOrganization> {
    section.only(ORGANIZATION, |_| None, mistakes);
    let name = section.required("name", form::name, mistakes);
    let aliases = section
        .value("aliases", form::names, mistakes)
        .unwrap_or_default();
    let terms = Terms {
        usage_tier: section.value("usage_tier", form::usage_tier, mistakes),
        enrolled: section.value("enrolled", form::boolean, mistakes),
        shared_projects: section.value("shared_projects", form::shared_projects, mistakes),
        coverage: section.value("coverage", form::coverage, mistakes),
    };
    let named = name.iter().map(|name| ("name", name));
    for (key, name) in named.chain(aliases.iter().map(|alias| ("aliases", alias))) {
        if !taken.insert(name.clone()) {
            let message = format!("organization `{name}` is declared twice");
            let wrong = Wrong::because(message, "each name and alias once");
            section.refuse_value(key, wrong, mistakes);
        }
    }
    Some(DeclaredOrganization {
        name: name?,
        aliases,
        terms,
    })
}
