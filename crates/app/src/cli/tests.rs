//! The command line as it is typed, and what is printed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser as _};
use insta::assert_snapshot;
use meter::{Day, Offer};

use super::offer::{Options, show};
use super::terminal::{Colour, Terminal};
use super::{Asked, Cli, Command, help, parse_from};
use crate::config::{ALL_KEYS, Environment, KEYS, VARIABLES, built_in_offer};

fn asked(line: &str) -> Result<Asked, std::process::ExitCode> {
    parse_from(line.split(' ').map(OsString::from))
}

fn flags(line: &str) -> crate::config::Flags {
    match asked(line).unwrap().command {
        Command::Serve(flags) => flags,
        other => panic!("{other:?}"),
    }
}

fn offer() -> Offer {
    built_in_offer().unwrap()
}

fn shown(terminal: &Terminal, options: &Options) -> String {
    show(
        &offer(),
        None,
        Day::of_date(2026, 11, 21).unwrap(),
        options,
        terminal,
    )
}

fn terminal(is_terminal: bool, width: usize) -> Terminal {
    let locale: [(OsString, OsString); 1] = [("LANG".into(), "C.UTF-8".into())];
    let environment: Environment = locale.into_iter().collect();
    Terminal::from_facts(is_terminal, Some(width), Colour::Never, &environment)
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn serve_is_what_is_run_if_nothing_is_named() {
    let line = "--listen 127.0.0.1:1 --usage-tier 3 --enrolled true --coverage part -c x.toml";
    let bare = flags(&format!("tollfree {line}"));
    assert_eq!(bare, flags(&format!("tollfree serve {line}")));
    assert_eq!(bare.config.as_deref(), Some(Path::new("x.toml")));
    assert_eq!(bare.usage_tier.map(meter::UsageTier::get), Some(3));
    assert_eq!(bare.listen, "127.0.0.1:1".parse().ok());
    assert_eq!(bare.enrolled, Some(true));
    assert_eq!(bare.coverage, Some(meter::Coverage::Part));
    assert_eq!(bare, flags(&format!("tollfree {line} serve")));
    let split = flags("tollfree --usage-tier 2 --enrolled true serve --usage-tier 3");
    assert_eq!(split.usage_tier, bare.usage_tier);
    assert_eq!(split.enrolled, bare.enrolled);
    assert_eq!(flags("tollfree"), crate::config::Flags::default());
}

#[test]
fn the_other_commands_have_their_own_flags() {
    assert_eq!(asked("tollfree demo").unwrap().command, Command::Demo(20));
    let asked = asked("tollfree --color never offer --json -c x.toml").unwrap();
    assert_eq!(asked.colour, Colour::Never);
    let options = Options {
        json: true,
        header: false,
        config: Some(PathBuf::from("x.toml")),
    };
    assert_eq!(asked.command, Command::Offer(options));
}

#[test]
fn a_flag_says_the_right_form_itself() {
    let error = Cli::try_parse_from(["tollfree", "--usage-tier", "7"])
        .unwrap_err()
        .to_string();
    let first = error.lines().next().unwrap();
    assert_eq!(
        first,
        "error: invalid value '7' for '--usage-tier <N>': usage tier 7 does not exist: a number from 1 to 5"
    );
    for wrong in [
        "--listen 8800",
        "--upstream ftp://x",
        "--enrolled yes",
        "--log-format xml",
        "statuses",
        "offer --json --header",
        "--usage-tier 3 offer",
    ] {
        let line = format!("tollfree {wrong}");
        assert!(
            Cli::well_formed(line.split(' ').map(OsString::from))
                .unwrap_err()
                .use_stderr(),
            "{wrong}"
        );
    }
}

#[test]
fn short_help_fits_one_screen_and_has_an_example_first() {
    let help = Cli::command().term_width(80).render_help().to_string();
    assert!(help.starts_with("Example: tollfree"), "{help}");
    assert!(help.lines().count() <= 24, "{help}");
    let long = Cli::command().term_width(80).render_long_help().to_string();
    assert!(long.starts_with("Examples:\n  tollfree "), "{long}");
}

#[test]
fn help_on_the_environment_lists_every_variable() {
    let listed = help::environment();
    for name in KEYS
        .iter()
        .map(|key| key.variable)
        .chain(VARIABLES.iter().map(|v| v.name))
    {
        assert!(
            listed
                .lines()
                .any(|line| line.starts_with(&format!("{name} "))),
            "{name}"
        );
    }
    assert!(listed.lines().all(|line| line.len() <= 100), "{listed}");
}

#[test]
fn the_shipped_file_names_each_flag() {
    let command = Cli::command();
    let global = ["config", "color", "version", "help"];
    for argument in command
        .get_arguments()
        .filter(|a| !global.contains(&a.get_id().as_str()))
    {
        let flag = format!("--{}", argument.get_long().unwrap());
        let named = ALL_KEYS
            .split_whitespace()
            .any(|word| word.trim_end_matches(',') == flag);
        assert!(named, "{flag}");
    }
}

#[test]
fn the_version_names_the_date_of_the_list() {
    let version = help::version(&offer());
    assert!(version.starts_with("tollfree ") && version.ends_with(", model list of 2026-09-28\n"));
}

#[test]
fn the_offer_on_a_wide_terminal() {
    assert_snapshot!(shown(&terminal(true, 100), &Options::default()), @r#"
    model list of 2026-09-28, 54 days old (built in)
    GROUP  USAGE TIER 1-2  USAGE TIER 3-5
    large         250,000       1,000,000
    small       2,500,000      10,000,000
    Tokens free a day (UTC) for an organization, input and output together.
    large, 19 models
      gpt-6-astra            gpt-5.4-2026-03-05     gpt-5-2025-08-07       gpt-4o-2024-11-20
      gpt-6-sol              gpt-5.2-2025-12-11     gpt-5-chat-latest      o3-2025-04-16
      gpt-6-luna             gpt-5.1-2025-11-13     gpt-4.1-2025-04-14     o1-preview-2024-09-12
      gpt-5.6-sol            gpt-5.1-codex          gpt-4o-2024-05-13      o1-2024-12-17
      gpt-5.5-2026-04-23     gpt-5-codex            gpt-4o-2024-08-06
    small, 13 models
      gpt-5.6-terra            gpt-5.1-codex-mini       gpt-4.1-nano-2025-04-14  codex-mini-latest
      gpt-5.6-luna             gpt-5-mini-2025-08-07    gpt-4o-mini-2024-07-18
      gpt-5.4-mini-2026-03-17  gpt-5-nano-2025-08-07    o4-mini-2025-04-16
      gpt-5.4-nano-2026-03-17  gpt-4.1-mini-2025-04-14  o1-mini-2024-09-12
    A newer list: tollfree help offer-file > offer.toml, change it, and name it in TOLLFREE_OFFER_FILE
    or as file in [offer].
    "#);
}

#[test]
fn the_offer_on_a_narrow_terminal_has_every_number() {
    let narrow = shown(&terminal(true, 22), &Options::default());
    for number in ["250,000", "1,000,000", "2,500,000", "10,000,000"] {
        assert!(narrow.contains(number), "{narrow}");
    }
    assert_snapshot!(narrow, @r#"
    model list of
    2026-09-28, 54 days
    old (built in)
    large
      usage tier 1-2: 250,000
      usage tier 3-5: 1,000,000
    small
      usage tier 1-2: 2,500,000
      usage tier 3-5: 10,000,000
    Tokens free a day
    (UTC) for an
    organization, input
    and output together.
    large, 19 models
      gpt-6-astra
      gpt-6-sol
      gpt-6-luna
      gpt-5.6-sol
      gpt-5.5-2026-04-23
      gpt-5.4-2026-03-05
      gpt-5.2-2025-12-11
      gpt-5.1-2025-11-13
      gpt-5.1-codex
      gpt-5-codex
      gpt-5-2025-08-07
      gpt-5-chat-latest
      gpt-4.1-2025-04-14
      gpt-4o-2024-05-13
      gpt-4o-2024-08-06
      gpt-4o-2024-11-20
      o3-2025-04-16
      o1-preview…024-09-12
      o1-2024-12-17
    small, 13 models
      gpt-5.6-terra
      gpt-5.6-luna
      gpt-5.4-mi…026-03-17
      gpt-5.4-na…026-03-17
      gpt-5.1-codex-mini
      gpt-5-mini…025-08-07
      gpt-5-nano…025-08-07
      gpt-4.1-mi…025-04-14
      gpt-4.1-na…025-04-14
      gpt-4o-min…024-07-18
      o4-mini-2025-04-16
      o1-mini-2024-09-12
      codex-mini-latest
    A newer list: tollfree
    help offer-file >
    offer.toml, change it,
    and name it in
    TOLLFREE_OFFER_FILE or
    as file in [offer].
    "#);
}

#[test]
fn the_offer_in_a_pipe_is_rows_of_tabs() {
    let rows = shown(&terminal(false, 80), &Options::default());
    assert_eq!(rows.lines().count(), 32);
    assert!(
        rows.lines().all(|row| row.split('\t').count() == 9),
        "{rows}"
    );
    assert!(rows.starts_with(
        "large\tgpt-6-astra\t-\t1050000\t250000\t250000\t1000000\t1000000\t1000000\n"
    ));
    assert!(rows.contains("\nsmall\tcodex-mini-latest\t-\t?\t"));
    assert!(rows.contains("\nlarge\tgpt-5.6-sol\tgpt-5.6\t"));
    let options = Options {
        header: true,
        ..Options::default()
    };
    let with_header = shown(&terminal(false, 80), &options);
    assert_eq!(with_header.lines().nth(1), rows.lines().next());
}

#[test]
fn the_offer_as_json_says_the_same() {
    let options = Options {
        json: true,
        ..Options::default()
    };
    let json = shown(&terminal(true, 80), &options);
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["schema"], 1);
    assert_eq!(object["list_date"], "2026-09-28");
    assert_eq!(object["age_days"], 54);
    assert_eq!(object["file"], serde_json::Value::Null);
    assert_eq!(object["groups"][1]["allowance_tokens"][4], 10_000_000);
    assert_eq!(object["models"].as_array().unwrap().len(), 32);
    assert_eq!(object["models"][3]["aliases"][0], "gpt-5.6");
}

#[test]
fn a_negative_number_is_told_the_right_one() {
    for line in ["tollfree calls --limit -3", "tollfree report --days -3"] {
        let arguments = line.split(' ').map(OsString::from);
        let error = Cli::well_formed(arguments).unwrap_err().to_string();
        assert!(error.contains("a number from 1 to"), "{error}");
        assert!(!error.contains("tip:"), "{error}");
    }
}

#[test]
fn the_help_of_a_command_below_another_is_found() {
    let topic = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        help::topic(&words, Cli::command())
    };
    let is_fine = |code| format!("{code:?}") == format!("{:?}", std::process::ExitCode::SUCCESS);
    assert!(is_fine(topic("total set")));
    assert!(!is_fine(topic("total sat")));
    assert!(asked("tollfree help total set").is_err());
}
