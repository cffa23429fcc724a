//! The shipped file says the truth about every key.

use std::collections::BTreeSet;

use meter::{Coverage, DeclaredOrganization, SharedProjects, Terms, UsageTier};

use super::{Setting, uncommented};
use crate::config::keys::{ORGANIZATION, name_of, section_of};
use crate::config::settings::TlsFiles;
use crate::config::{ALL_KEYS, BUILT_IN_OFFER, Config, DataDir, KEYS, Secret, VARIABLES};

/// What the usual folder of the ledger hangs on.
const HOME: [(&str, &str); 2] = [
    ("HOME", "/home/ada"),
    ("XDG_DATA_HOME", "/home/ada/.local/share"),
];

fn usual_folder() -> DataDir {
    DataDir::Folder("/home/ada/.local/share/tollfree".into())
}

#[test]
fn the_shipped_file_changes_nothing() {
    let loaded = Setting::with(ALL_KEYS, &HOME).loaded();
    let expected = Config {
        data_dir: usual_folder(),
        ..Config::default()
    };
    assert_eq!(loaded.config, expected);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn each_key_of_the_shipped_file_shows_its_default() {
    let setting = Setting::with(&uncommented(), &HOME);
    let path = |name: &str| setting.beside(name, "");
    let mut expected = Config {
        data_dir: usual_folder(),
        terms: Terms {
            usage_tier: UsageTier::new(3),
            enrolled: Some(true),
            shared_projects: Some(SharedProjects::All),
            coverage: Some(Coverage::All),
        },
        organizations: vec![DeclaredOrganization {
            name: "acme".into(),
            aliases: vec!["org-acme".into()],
            terms: Terms {
                usage_tier: UsageTier::new(5),
                enrolled: Some(true),
                shared_projects: Some(SharedProjects::Only(vec![
                    "proj_research".into(),
                    "proj_support".into(),
                ])),
                coverage: Some(Coverage::Part),
            },
        }],
        ..Config::default()
    };
    expected.listener.tls = Some(TlsFiles {
        certificate: path("certificate.pem"),
        key: path("key.pem"),
    });
    expected.upstream.ca_file = Some(path("roots.pem"));
    expected.upstream.proxy = Some(Secret::new("http://proxy.internal:3128".to_owned()));
    expected.share.url = Some(Secret::new(
        "rediss://tollfree:7d1c4cf0a1b24e6e8f5a@redis.internal:6379".to_owned(),
    ));
    expected.share.ca_file = Some(path("roots.pem"));
    expected.admin.token = Some(Secret::new("7d1c4cf0a1b24e6e8f5a".to_owned()));
    expected.admin.hosts = vec!["tollfree.internal".into()];
    expected.offer.file = Some(setting.beside("offer.toml", BUILT_IN_OFFER));
    assert_eq!(setting.loaded().config, expected);
}

#[test]
fn the_shipped_file_has_every_key_with_its_variable() {
    let mut section = String::new();
    let mut comment = String::new();
    let mut seen = BTreeSet::new();
    for line in ALL_KEYS.lines() {
        let plain = line.strip_prefix('#').unwrap_or(line);
        if plain.starts_with(' ') {
            comment.push_str(plain);
        } else if plain.starts_with('[') {
            section = plain.trim_matches(['[', ']']).to_owned();
            comment.clear();
        } else if let Some((name, _)) = plain.split_once(" = ") {
            let key = KEYS
                .iter()
                .find(|key| section_of(key.path) == section && name_of(key.path) == name);
            if let Some(key) = key {
                let variable = comment
                    .split([' ', ',', ';'])
                    .any(|word| word == key.variable);
                assert!(variable, "{} without {}", key.path, key.variable);
                seen.insert(key.path);
            } else {
                assert_eq!(section, "organizations", "{name}");
                assert!(ORGANIZATION.contains(&name), "{name}");
            }
        } else {
            comment.clear();
        }
    }
    let all: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(seen, all);
}

#[test]
fn the_readme_names_no_variable_that_is_not_read() {
    let readme = include_str!("../../../../../README.md");
    let named: BTreeSet<&str> = readme
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("TOLLFREE_"))
        .collect();
    assert!(named.contains("TOLLFREE_USAGE_TIER"), "{named:?}");
    let keys = KEYS.iter().map(|key| key.variable);
    let read: BTreeSet<&str> = keys.chain(VARIABLES.iter().map(|v| v.name)).collect();
    let unread: Vec<_> = named.difference(&read).collect();
    assert!(unread.is_empty(), "{unread:?}");
}

#[test]
fn variables_are_called_after_their_keys() {
    for key in KEYS {
        let rule = format!("TOLLFREE_{}", key.path.replace('.', "_").to_uppercase());
        let rule = if key.path == "upstream.url" {
            "TOLLFREE_UPSTREAM"
        } else {
            &rule
        };
        assert_eq!(key.variable, rule);
    }
}

#[test]
fn every_key_is_read_from_its_variable_and_from_the_file() {
    for key in KEYS {
        // No form has this, and no file is called so.
        let nonsense = "/[=\u{1}";
        let mistakes = Setting::with("", &[(key.variable, nonsense)]).mistakes();
        let place = format!(" --> {}\n", key.variable);
        assert_eq!(mistakes.matches(&place).count(), 1, "{mistakes}");

        let (section, name) = (section_of(key.path), name_of(key.path));
        let head = if section.is_empty() {
            String::new()
        } else {
            format!("[{section}]\n")
        };
        let mistakes = Setting::of(&format!("{head}{name} = [1.5]")).mistakes();
        assert!(
            mistakes.contains(&format!("wrong value for `{name}`")),
            "{mistakes}"
        );
        assert!(mistakes.contains("1 mistake, "), "{mistakes}");
    }
}
