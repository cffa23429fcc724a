//! The rules of the house that no compiler checks: who may import whom, how a file begins, how long
//! it may be, where our header names are written.
//!
//! Must not know what the code does, only where it lives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Which of our crates each may import. A new edge changes this table in the same commit, with the
/// reason; a crate that is not in it may not exist.
const MAY_IMPORT: [(&str, &[&str]); 9] = [
    ("meter", &[]),
    ("net", &[]),
    ("simulator", &[]),
    ("wire", &["meter"]),
    ("ledger", &["meter"]),
    ("share", &["meter"]),
    // The call's own task appends its settlement: the commit is a function call, not a message.
    // It asks for its span of shared totals in the same way.
    ("proxy", &["meter", "wire", "net", "ledger", "share"]),
    ("admin", &["meter", "net", "ledger", "proxy"]),
    (
        "app",
        &[
            "meter",
            "wire",
            "net",
            "ledger",
            "share",
            "proxy",
            "admin",
            "simulator",
        ],
    ),
];

/// What a crate must never know of the outside, because its tests run without it.
const MUST_NOT_KNOW: [(&str, &[&str]); 3] = [
    (
        "meter",
        &[
            "http",
            "hyper",
            "hyper-util",
            "serde",
            "serde_json",
            "tokio",
            "tracing",
        ],
    ),
    ("wire", &["http", "hyper", "hyper-util", "tokio"]),
    ("net", &["serde_json"]),
];

/// The longest source file, in lines.
const MOST_LINES: usize = 500;

/// File names that say nothing about what the file knows.
const EMPTY_NAMES: [&str; 7] = [
    "backend", "common", "helper", "manager", "misc", "types", "util",
];

/// Where our header names are written; everyone else takes them from there.
const TAGS: &str = "crates/proxy/src/tags";

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_owned()
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.exec().expect("cargo metadata")
}

/// The names that each crate of `crates/` depends on, tests aside, ours and others.
fn imports(metadata: &Metadata) -> BTreeMap<String, Vec<String>> {
    let crates = metadata.workspace_root.join("crates");
    let members = metadata.workspace_packages();
    let rooms = members
        .into_iter()
        .filter(|package| package.manifest_path.starts_with(&crates));
    let named = rooms.map(|package| {
        let lasting = package
            .dependencies
            .iter()
            .filter(|one| one.kind != DependencyKind::Development);
        let names = lasting.map(|one| one.name.clone()).collect();
        (package.name.to_string(), names)
    });
    named.collect()
}

/// What the imports do against the two tables.
fn trespasses(imports: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let may: BTreeMap<_, _> = MAY_IMPORT.into_iter().collect();
    let must_not: BTreeMap<_, _> = MUST_NOT_KNOW.into_iter().collect();
    let mut found = Vec::new();
    for (room, names) in imports {
        let Some(allowed) = may.get(&**room) else {
            found.push(format!("{room} is not in the table"));
            continue;
        };
        let banned = must_not.get(&**room).copied().unwrap_or_default();
        for name in names.iter().map(|name| &**name) {
            let ours = imports.contains_key(name) || ["e2e", "benches"].contains(&name);
            if (ours && !allowed.contains(&name)) || banned.contains(&name) {
                found.push(format!("{room} may not import {name}"));
            }
        }
    }
    found
}

/// Every `.rs` file that belongs to the repository.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            // Build results (target, target-loom) and hidden folders are not the repository's.
            let skipped = name.starts_with("target") || name.starts_with('.');
            if path.is_dir() && !skipped && name != "node_modules" {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What is wrong with each source, by a rule that says it for one; `root/` is cut from the names.
fn judged(rule: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let root = root();
    let judge = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("text");
        let name = path.strip_prefix(&root).expect("below the root");
        let name = name.to_string_lossy();
        rule(&name, &text).map(|wrong| format!("{name}: {wrong}"))
    };
    sources().into_iter().filter_map(judge).collect()
}

fn nothing_wrong(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let imports = imports(&metadata());
    assert!(imports.contains_key("meter"), "no crates were seen");
    nothing_wrong(&trespasses(&imports));
}

#[test]
fn an_import_outside_the_table_is_found() {
    let import = |room: &str, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        (room.to_owned(), names)
    };
    let lawful = BTreeMap::from([import("wire", &["meter", "memchr"]), import("meter", &[])]);
    nothing_wrong(&trespasses(&lawful));
    let backwards = BTreeMap::from([import("wire", &[]), import("meter", &["wire"])]);
    assert_eq!(trespasses(&backwards), ["meter may not import wire"]);
    let impure = BTreeMap::from([import("wire", &["tokio"])]);
    assert_eq!(trespasses(&impure), ["wire may not import tokio"]);
    let unknown = BTreeMap::from([import("common", &[])]);
    assert_eq!(trespasses(&unknown), ["common is not in the table"]);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let metadata = metadata();
    let crates = metadata.workspace_root.join("crates");
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        let whole = manifest.contains("[lints]\nworkspace = true");
        // Tests and benches tell by panicking and printing, so they may have a table of their own.
        let product = package.manifest_path.starts_with(&crates);
        let own = manifest.contains("[lints.rust]\nunsafe_code = \"forbid\"");
        if !whole && (product || !own) {
            found.push(format!("{} has no lints table", package.name));
        }
    }
    nothing_wrong(&found);
}

#[test]
fn every_file_says_first_what_it_is() {
    let rule = |_: &str, text: &str| {
        let silent = !text.starts_with("//!");
        silent.then(|| "does not open with //!".to_owned())
    };
    nothing_wrong(&judged(rule));
}

#[test]
fn no_file_tells_two_stories() {
    let rule = |_: &str, text: &str| {
        let lines = text.lines().count();
        (lines > MOST_LINES).then(|| format!("{lines} lines, at most {MOST_LINES}"))
    };
    nothing_wrong(&judged(rule));
}

#[test]
fn file_names_say_what_the_file_knows() {
    let rule = |name: &str, _: &str| {
        let stem = Path::new(name).file_stem()?.to_string_lossy();
        let empty = |word: &&str| EMPTY_NAMES.contains(word);
        let word = stem.split('_').find(empty)?;
        Some(format!("{word} says nothing"))
    };
    nothing_wrong(&judged(rule));
}

#[test]
fn our_header_names_are_written_in_one_place() {
    let rule = |name: &str, text: &str| {
        let product = name.starts_with("crates/") && name.contains("/src/");
        if !product || name.starts_with(TAGS) || name.ends_with("/tests.rs") {
            return None;
        }
        let line = header_name_outside_tests(text)?;
        Some(format!("line {line} spells a header name; {TAGS} has it"))
    };
    nothing_wrong(&judged(rule));
}

/// The line of the first of our header names in code: comments and tests may spell them.
fn header_name_outside_tests(text: &str) -> Option<usize> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    // A sentence may name a header for its reader; a literal that begins with one is a name.
    let spelled = |line: &str| {
        let line = line.trim_start();
        !line.starts_with("//") && line.contains("\"x-tollfree-")
    };
    code.lines().position(spelled).map(|index| index + 1)
}

#[test]
fn a_header_name_in_code_is_found_and_elsewhere_is_not() {
    let found = header_name_outside_tests;
    assert_eq!(found("//! x\nlet a = \"x-tollfree-call\";"), Some(2));
    assert_eq!(found("/// `x-tollfree-call`\nfn f() {}"), None);
    assert_eq!(found("let help = \"ask by x-tollfree-call\";"), None);
    assert_eq!(
        found("#[cfg(test)]\nmod tests {\n \"x-tollfree-call\" }"),
        None
    );
}
