//! What `deploy/` offers to copy: files that can be read, that name nothing the program does not know, and that leave
//! it the time it needs. Whether an engine takes them is `deploy/check`'s to say.
//!
//! Must not know how any of them is run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use harness::command::{Ended, Task};
use yaml_rust2::{Yaml, YamlLoader};

/// What the closing of the ledger may take after a drain, in seconds.
const CLOSE: u64 = 4;
/// `drain.grace` where nobody says otherwise, in seconds.
const GRACE: u64 = 25;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_owned()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("text")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn deployed() -> Vec<PathBuf> {
    files(&root().join("deploy"))
}

fn yaml(path: &Path) -> Vec<Yaml> {
    let read = YamlLoader::load_from_str(&text(path));
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of every YAML file with their names; a chart's templates are none before they are rendered.
fn documents() -> Vec<(String, Yaml)> {
    let whole = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "yaml")
            && !path
                .components()
                .any(|part| part.as_os_str() == "templates")
    };
    let named = deployed().into_iter().filter(whole).flat_map(|path| {
        let name = path.strip_prefix(root()).expect("below").to_string_lossy();
        let name = name.into_owned();
        yaml(&path)
            .into_iter()
            .map(move |document| (name.clone(), document))
    });
    named.collect()
}

fn run(arguments: &[&str]) -> Ended {
    Task::new(arguments).run()
}

/// The words of a text that begin like a variable of ours.
fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("TOLLFREE_"))
        .map(str::to_owned)
        .collect()
}

/// Every list of words after a key, wherever it stands: `command: [/tollfree, health]`.
fn lists<'a>(document: &'a Yaml, key: &str, found: &mut Vec<Vec<&'a str>>) {
    match document {
        Yaml::Hash(map) => {
            for (name, value) in map {
                if name.as_str() == Some(key)
                    && let Some(words) = value.as_vec()
                {
                    found.push(words.iter().filter_map(Yaml::as_str).collect());
                }
                lists(value, key, found);
            }
        }
        Yaml::Array(items) => items.iter().for_each(|item| lists(item, key, found)),
        _ => {}
    }
}

/// The first number of a text like `35s`, in seconds; `1 min` is 60.
fn seconds(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().expect("a number");
    number * if text.ends_with("min") { 60 } else { 1 }
}

#[test]
fn no_file_names_a_variable_that_is_not_read() {
    let read = variables(&run(&["help", "environment"]).output);
    let mut texts = deployed();
    texts.push(root().join("docs/deploy.md"));
    let mut seen = BTreeSet::new();
    for path in texts {
        let named = variables(&text(&path));
        let unread: Vec<_> = named.difference(&read).collect();
        assert!(unread.is_empty(), "{}: {unread:?}", path.display());
        seen.extend(named);
    }
    assert!(seen.contains("TOLLFREE_USAGE_TIER"), "{seen:?}");
}

#[test]
fn every_yaml_file_can_be_read_and_runs_only_commands_that_there_are() {
    let mut commands = Vec::new();
    let documents = documents();
    assert!(documents.len() > 10, "{documents:?}");
    for (name, document) in &documents {
        assert!(!document.is_badvalue() && !document.is_null(), "{name}");
        lists(document, "command", &mut commands);
    }
    let dockerfile = text(&root().join("deploy/Dockerfile"));
    let health = r#"CMD ["/tollfree", "health"]"#;
    assert!(dockerfile.contains(health), "{dockerfile}");
    commands.retain(|words| words.first() == Some(&"/tollfree"));
    assert!(commands.len() > 4, "{commands:?}");
    let commands: BTreeSet<_> = commands.into_iter().collect();
    for words in commands {
        let mut arguments = words[1..].to_vec();
        arguments.push("--help");
        let ended = run(&arguments);
        assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.errors);
    }
}

#[test]
fn the_unit_starts_what_there_is_and_waits_long_enough() {
    let unit = text(&root().join("deploy/tollfree.service"));
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key}")).trim()
    };
    let mut words: Vec<&str> = value("ExecStart=").split(' ').skip(1).collect();
    words.push("--help");
    assert_eq!(run(&words).code, Some(0), "{words:?}");
    assert!(seconds(value("TimeoutStopSec=")) > GRACE + CLOSE);
    assert_eq!(value("Type="), "notify");
    // The exit codes that a new start does not mend are those the program ends with.
    let codes = run(&["help", "exit-codes"]).output;
    for code in value("RestartPreventExitStatus=").split(' ') {
        assert!(
            codes.lines().any(|line| line.starts_with(code)),
            "{code} in {codes}"
        );
    }
}

#[test]
fn whoever_stops_a_container_waits_until_it_has_drained() {
    let shipped = text(&root().join("config/tollfree.toml"));
    assert!(
        shipped.contains(&format!("#grace = \"{GRACE} s\"")),
        "{shipped}"
    );
    let mut pods = 0;
    for (name, document) in documents() {
        if let Some(services) = document["services"].as_hash() {
            let ours = services
                .values()
                .filter(|one| one["image"].as_str() == Some("tollfree"));
            for service in ours {
                let period = service["stop_grace_period"].as_str().map_or(10, seconds);
                assert!(period > GRACE + CLOSE, "{name}: {period} s");
                pods += 1;
            }
        }
        let pod = &document["spec"]["template"]["spec"];
        let containers = ["initContainers", "containers"].map(|key| pod[key].as_vec());
        let ours = containers
            .into_iter()
            .flatten()
            .flatten()
            .find(|one| one["name"].as_str() == Some("tollfree"));
        if let Some(container) = ours {
            let said = |variable: &str, usual: u64| {
                let list = container["env"].as_vec().into_iter().flatten();
                let mut known = list.filter(|one| one["name"].as_str() == Some(variable));
                known
                    .next()
                    .map_or(usual, |one| seconds(one["value"].as_str().expect("text")))
            };
            let drain =
                said("TOLLFREE_DRAIN_KEEP_ACCEPTING", 0) + said("TOLLFREE_DRAIN_GRACE", GRACE);
            let period = pod["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
            let period = u64::try_from(period).expect("a period");
            assert!(period > drain + CLOSE, "{name}: {period} s for {drain} s");
            pods += 1;
        }
    }
    assert_eq!(pods, 5, "two in compose, three in Kubernetes");
}

#[test]
fn several_replicas_share_and_one_keeps_its_ledger_to_itself() {
    let mut kinds = BTreeSet::new();
    for (name, document) in documents() {
        let Some(replicas) = document["spec"]["replicas"].as_i64() else {
            continue;
        };
        let pod = &document["spec"]["template"]["spec"];
        assert_eq!(pod["enableServiceLinks"].as_bool(), Some(false), "{name}");
        let shares = format!("{document:?}").contains("TOLLFREE_SHARE_URL");
        let strategy = document["spec"]["strategy"]["type"].as_str();
        if replicas == 1 {
            assert_eq!(strategy, Some("Recreate"), "{name}");
        } else {
            assert!(
                shares,
                "{name}: each replica would hand out the whole allowance"
            );
        }
        kinds.insert(shares);
    }
    assert_eq!(kinds.len(), 2, "with a store and without");
}

#[test]
fn the_configuration_that_the_chart_proposes_is_taken() {
    let values = yaml(&root().join("deploy/helm/tollfree/values.yaml")).remove(0);
    let proposed = values["config"].as_str().expect("a configuration");
    let lines = proposed
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .collect::<Vec<_>>();
    assert!(lines.len() > 2, "{proposed}");
    let task = Task::new(["offer", "--json"]).file("tollfree.toml", &lines.join("\n"));
    let ended = task.run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let broken = Task::new(["offer", "--json"]).file("tollfree.toml", "usage_teir = 3");
    assert_eq!(broken.run().code, Some(78), "a mistake would not be seen");
}

#[test]
fn the_chart_is_of_this_version_and_every_part_stands_in_the_documentation() {
    let chart = yaml(&root().join("deploy/helm/tollfree/Chart.yaml")).remove(0);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(chart["version"].as_str(), Some(version));
    assert_eq!(chart["appVersion"].as_str(), Some(version));
    let dockerfile = text(&root().join("deploy/Dockerfile"));
    assert!(dockerfile.contains(&format!("ARG VERSION={version}\n")));

    let page = text(&root().join("docs/deploy.md"));
    for path in deployed() {
        let name = path.strip_prefix(root()).expect("below").to_string_lossy();
        // A chart is one part, and so is what looks after the others.
        let part = if name.starts_with("deploy/helm/") {
            "deploy/helm/tollfree".into()
        } else {
            name
        };
        assert!(page.contains(&format!("../{part}")), "no link to {part}");
    }
    let links = page.split("](").skip(1);
    for link in links.filter_map(|rest| rest.split([')', '#']).next()) {
        let inside = !link.is_empty() && !link.starts_with("http");
        let there = root().join("docs").join(link).exists();
        assert!(!inside || there, "{link} is not there");
    }
}
