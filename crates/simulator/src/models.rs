//! The models this simulated OpenAI serves: which ids exist, which snapshot an alias is answered
//! with, which endpoint a model belongs to, and which model group the offer lists it under. The list
//! is of 2026-09-28: exact ids, never name rules.

use std::fmt;

/// A model group of the offer: listed models share one allowance a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// The "1M token group".
    Large,
    /// The "10M token group".
    Small,
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Large => "large",
            Self::Small => "small",
        })
    }
}

/// The models listed under the large group.
const LARGE: [&str; 19] = [
    "gpt-6-astra",
    "gpt-6-sol",
    "gpt-6-luna",
    "gpt-5.6-sol",
    "gpt-5.5-2026-04-23",
    "gpt-5.4-2026-03-05",
    "gpt-5.2-2025-12-11",
    "gpt-5.1-2025-11-13",
    "gpt-5.1-codex",
    "gpt-5-codex",
    "gpt-5-2025-08-07",
    "gpt-5-chat-latest",
    "gpt-4.1-2025-04-14",
    "gpt-4o-2024-05-13",
    "gpt-4o-2024-08-06",
    "gpt-4o-2024-11-20",
    "o3-2025-04-16",
    "o1-preview-2024-09-12",
    "o1-2024-12-17",
];

/// The models listed under the small group.
const SMALL: [&str; 13] = [
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-5.4-mini-2026-03-17",
    "gpt-5.4-nano-2026-03-17",
    "gpt-5.1-codex-mini",
    "gpt-5-mini-2025-08-07",
    "gpt-5-nano-2025-08-07",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano-2025-04-14",
    "gpt-4o-mini-2024-07-18",
    "o4-mini-2025-04-16",
    "o1-mini-2024-09-12",
    "codex-mini-latest",
];

/// Chat models that exist but are on no list of the offer.
const UNLISTED: [&str; 13] = [
    "gpt-6.1-sol",
    "gpt-6.1-terra",
    "gpt-6.2-sol",
    "gpt-6.2-astra",
    "gpt-5.5-pro-2026-04-23",
    "gpt-5.3-codex",
    "gpt-5-pro-2025-10-06",
    "o3-pro-2025-06-10",
    "o3-mini-2025-01-31",
    "gpt-4o-audio-preview-2025-06-03",
    "gpt-4o-search-preview-2025-03-11",
    "gpt-4-turbo-2024-04-09",
    "gpt-3.5-turbo-0125",
];

/// Alias and the snapshot it is answered with.
const ALIASES: [(&str, &str); 32] = [
    ("gpt-5.6", "gpt-5.6-sol"),
    ("gpt-5.5", "gpt-5.5-2026-04-23"),
    ("gpt-5.4", "gpt-5.4-2026-03-05"),
    ("gpt-5.2", "gpt-5.2-2025-12-11"),
    ("gpt-5.1", "gpt-5.1-2025-11-13"),
    ("gpt-5", "gpt-5-2025-08-07"),
    ("gpt-4.1", "gpt-4.1-2025-04-14"),
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("o3", "o3-2025-04-16"),
    ("o1-preview", "o1-preview-2024-09-12"),
    ("o1", "o1-2024-12-17"),
    ("gpt-5.4-mini", "gpt-5.4-mini-2026-03-17"),
    ("gpt-5.4-nano", "gpt-5.4-nano-2026-03-17"),
    ("gpt-5-mini", "gpt-5-mini-2025-08-07"),
    ("gpt-5-nano", "gpt-5-nano-2025-08-07"),
    ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"),
    ("gpt-4.1-nano", "gpt-4.1-nano-2025-04-14"),
    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("o4-mini", "o4-mini-2025-04-16"),
    ("o1-mini", "o1-mini-2024-09-12"),
    ("gpt-5.5-pro", "gpt-5.5-pro-2026-04-23"),
    ("gpt-5-pro", "gpt-5-pro-2025-10-06"),
    ("o3-pro", "o3-pro-2025-06-10"),
    ("o3-mini", "o3-mini-2025-01-31"),
    ("gpt-4o-audio-preview", "gpt-4o-audio-preview-2025-06-03"),
    ("gpt-4o-search-preview", "gpt-4o-search-preview-2025-03-11"),
    ("gpt-4-turbo", "gpt-4-turbo-2024-04-09"),
    ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
    (
        "gpt-3.5-turbo-instruct",
        "gpt-3.5-turbo-instruct:20230824-v2",
    ),
    ("davinci-002", "davinci:2023-07-21-v2"),
    ("babbage-002", "babbage:2023-07-21-v2"),
    ("text-embedding-ada-002", "text-embedding-ada-002-v2"),
];

/// Embedding models that answer with their own name.
const EMBEDDINGS: [&str; 2] = ["text-embedding-3-small", "text-embedding-3-large"];

/// What a model can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completions,
    Embeddings,
}

/// A model that exists: what it is for, and the id it is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) kind: Kind,
    pub(crate) snapshot: String,
}

/// Looks up a model as a request names it; `None` if there is no such model.
pub(crate) fn served(requested: &str) -> Option<Served> {
    if let Some(tuned) = requested.strip_prefix("ft:") {
        let base = tuned.split(':').next()?;
        let kind = served(base)?.kind;
        return Some(Served {
            kind,
            snapshot: requested.to_owned(),
        });
    }
    let snapshot = ALIASES
        .iter()
        .find(|(alias, _)| *alias == requested)
        .map_or(requested, |(_, snapshot)| snapshot);
    Some(Served {
        kind: kind(snapshot)?,
        snapshot: snapshot.to_owned(),
    })
}

fn kind(snapshot: &str) -> Option<Kind> {
    let chat = LARGE.iter().chain(&SMALL).chain(&UNLISTED);
    if chat.into_iter().any(|id| *id == snapshot) {
        return Some(Kind::Chat);
    }
    if EMBEDDINGS.contains(&snapshot) || snapshot == "text-embedding-ada-002-v2" {
        return Some(Kind::Embeddings);
    }
    let completions = ["gpt-3.5-turbo-instruct:", "davinci:", "babbage:"];
    completions
        .iter()
        .any(|stem| snapshot.starts_with(stem))
        .then_some(Kind::Completions)
}

/// The group the offer lists this exact model id under.
pub(crate) fn group(snapshot: &str) -> Option<Group> {
    if LARGE.contains(&snapshot) {
        Some(Group::Large)
    } else if SMALL.contains(&snapshot) {
        Some(Group::Small)
    } else {
        None
    }
}

/// Every id that `GET /v1/models` lists.
pub(crate) fn listed() -> impl Iterator<Item = &'static str> {
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    let rest = LARGE.iter().chain(&SMALL).chain(&UNLISTED);
    aliases.chain(rest.chain(&EMBEDDINGS).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_answered_with_its_snapshot() {
        let snapshot = |id| served(id).map(|model| model.snapshot);
        assert_eq!(snapshot("gpt-4o").as_deref(), Some("gpt-4o-2024-08-06"));
        assert_eq!(snapshot("gpt-5.6").as_deref(), Some("gpt-5.6-sol"));
        assert_eq!(
            snapshot("text-embedding-ada-002").as_deref(),
            Some("text-embedding-ada-002-v2")
        );
        assert_eq!(snapshot("gpt-9"), None);
    }

    #[test]
    fn a_fine_tuned_model_keeps_its_name_and_has_no_group() {
        let id = "ft:gpt-4.1-mini-2025-04-14:acme::BkaILRSh";
        assert_eq!(served(id).map(|model| model.snapshot).as_deref(), Some(id));
        assert_eq!(group(id), None);
    }

    #[test]
    fn groups_go_by_exact_id() {
        assert_eq!(group("gpt-6-luna"), Some(Group::Large));
        assert_eq!(group("gpt-5.6-luna"), Some(Group::Small));
        assert_eq!(group("gpt-4o"), None, "an alias is not on the list");
        assert_eq!(group("gpt-4o-audio-preview-2025-06-03"), None);
    }

    #[test]
    fn every_listed_id_is_served() {
        for id in listed() {
            assert!(served(id).is_some(), "{id}");
        }
    }
}
