//! Findings as they are shown and counted, and how the program ends.

use insta::assert_snapshot;

use super::{Finding, State, as_object, code, shown};
use crate::cli::exit;
use crate::cli::terminal::{Colour, Terminal};
use crate::config::Environment;

fn findings() -> Vec<Finding> {
    vec![
        Finding::new("config", State::Ok, "tollfree.toml"),
        Finding::told(
            "clock",
            State::Warn,
            "this clock is 3 h 12 min ahead of OpenAI's. help: turn on time sync (timedatectl)",
        ),
        Finding::told(
            "upstream",
            State::Fail(exit::UNAVAILABLE),
            "could not reach api.openai.com:443: name not found (after 2.1 s). help: is the network there",
        ),
    ]
}

fn seen(findings: &[Finding], width: usize) -> String {
    let terminal = Terminal::from_facts(true, Some(width), Colour::Never, &Environment::default());
    shown(findings, &terminal)
}

#[test]
fn a_line_an_item_the_hint_under_it_and_the_count_last() {
    assert_snapshot!(seen(&findings(), 80), @"
    ok    config    tollfree.toml
    warn  clock     this clock is 3 h 12 min ahead of OpenAI's
                    help: turn on time sync (timedatectl)
    FAIL  upstream  could not reach api.openai.com:443: name not found (after 2.1 s)
                    help: is the network there
    1 ok, 1 warning, 1 failed
    ");
    assert_snapshot!(seen(&findings(), 44), @"
    ok    config    tollfree.toml
    warn  clock     this clock is 3 h 12 min
                    ahead of OpenAI's
                    help: turn on time sync
                    (timedatectl)
    FAIL  upstream  could not reach
                    api.openai.com:443: name not
                    found (after 2.1 s)
                    help: is the network there
    1 ok, 1 warning, 1 failed
    ");
}

#[test]
fn an_excerpt_of_a_file_keeps_its_places() {
    let text = "error: usage tier 7 does not exist\n --> tollfree.toml:1:14\n  1 | usage_tier = 7\n    |              ^ 1 to 5";
    let finding = Finding::new("config", State::Fail(exit::CONFIG), text);
    assert_snapshot!(seen(&[finding], 50), @"
    FAIL  config    error: usage tier 7 does not exist
                     --> tollfree.toml:1:14
                      1 | usage_tier = 7
                        |              ^ 1 to 5
    1 failed
    ");
}

#[test]
fn the_program_ends_as_a_start_would_and_warnings_are_fine() {
    let fail = |code| Finding::new("ports", State::Fail(code), "x");
    assert_eq!(code(&findings()[..2]), 0);
    assert_eq!(code(&findings()), exit::UNAVAILABLE);
    assert_eq!(code(&[fail(exit::FAILED)]), exit::FAILED);
    assert_eq!(
        code(&[fail(exit::FAILED), fail(exit::UNAVAILABLE)]),
        exit::UNAVAILABLE
    );
    assert_eq!(
        code(&[fail(exit::CONFIG), fail(exit::UNAVAILABLE)]),
        exit::CONFIG
    );
}

#[test]
fn the_object_says_what_the_lines_say() {
    let object = as_object(&findings());
    let lines = seen(&findings(), 200);
    let items = object["items"].as_array().unwrap();
    for item in items {
        let text = |member: &str| item[member].as_str().unwrap_or_default().to_owned();
        let line = lines
            .lines()
            .find(|line| line.contains(&text("text")))
            .unwrap();
        assert!(line.to_lowercase().starts_with(&text("state")), "{line}");
        assert!(line.contains(&text("item")), "{line}");
        assert!(lines.contains(&text("help")), "{lines}");
    }
    assert_eq!((items.len(), &object["exit_code"]), (3, &69.into()));
    assert_eq!(object["schema"], 1);
}
