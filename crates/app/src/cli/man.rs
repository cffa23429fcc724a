//! `tollfree man FOLDER`: the manual pages, a page a command, made of what the help is made of. It must not know what a
//! flag does.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{exit, help, print, refuse};

/// Commands that are no page: they say all in one line, or only make what is read elsewhere.
const WITHOUT_PAGE: [&str; 3] = ["completions", "help", "man"];

/// Writes `tollfree.1` and `tollfree-COMMAND.1` into the folder, which is made if it is missing, and says their names.
pub(crate) fn write(folder: &Path, cli: clap::Command) -> ExitCode {
    match pages(cli).and_then(|pages| put(folder, &pages)) {
        Ok(names) => print(&names),
        Err(error) => {
            let folder = folder.display();
            let why = format!("error: cannot write into {folder}: {error}\n");
            refuse(&why, exit::FAILED)
        }
    }
}

/// A manual page: its file's name and its text.
type Page = (String, Vec<u8>);

fn put(folder: &Path, pages: &[Page]) -> io::Result<String> {
    std::fs::create_dir_all(folder)?;
    let mut names = Vec::new();
    for (name, text) in pages {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        names.push(path.display().to_string());
    }
    Ok(names.join("\n") + "\n")
}

fn pages(cli: clap::Command) -> io::Result<Vec<Page>> {
    let mut cli = told_in_full(cli);
    // Gives the commands the names they are called by and the flags that hold for all.
    cli.build();
    let mut commands = Vec::new();
    paged(&cli, &mut commands);
    let mut pages = vec![main_page(cli)?];
    for command in commands {
        pages.push(page(command)?);
    }
    Ok(pages)
}

/// The commands that have a page, those of a command after it.
fn paged(command: &clap::Command, all: &mut Vec<clap::Command>) {
    let below = command.get_subcommands();
    for command in below.filter(|command| !WITHOUT_PAGE.contains(&command.get_name())) {
        all.push(command.clone());
        paged(command, all);
    }
}

/// A command's page: what clap says of it, and its example.
fn page(command: clap::Command) -> io::Result<Page> {
    let example = command.get_before_help().map(ToString::to_string);
    let has_commands = command
        .get_subcommands()
        .any(|command| !command.is_hide_set());
    let man = of(command);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if let Some(example) = example {
        let example = example.trim_start_matches(help::EXAMPLE_LABEL);
        verbatim("EXAMPLE", example, &mut text)?;
    }
    man.render_options_section(&mut text)?;
    if has_commands {
        man.render_subcommands_section(&mut text)?;
    }
    Ok((man.get_filename(), text))
}

/// A manual has room for what the short help leaves out.
fn told_in_full(command: clap::Command) -> clap::Command {
    let paged = !WITHOUT_PAGE.contains(&command.get_name());
    command
        .hide(!paged)
        .mut_args(|flag| flag.hide_short_help(false))
        .mut_subcommands(told_in_full)
}

/// The program's own page, with what no command's page says.
fn main_page(cli: clap::Command) -> io::Result<Page> {
    let man = of(cli);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    let examples = help::EXAMPLES.trim_start_matches("Examples:\n");
    verbatim("EXAMPLES", examples, &mut text)?;
    man.render_options_section(&mut text)?;
    man.render_subcommands_section(&mut text)?;
    verbatim("ENVIRONMENT", &help::environment(), &mut text)?;
    verbatim("EXIT STATUS", help::EXIT_CODES, &mut text)?;
    man.render_extra_section(&mut text)?;
    Ok((man.get_filename(), text))
}

fn of(command: clap::Command) -> Man {
    Man::new(command)
        .source(concat!("tollfree ", env!("CARGO_PKG_VERSION")))
        .manual("tollfree")
}

/// A section whose lines stay as they are.
fn verbatim(heading: &str, lines: &str, text: &mut Vec<u8>) -> io::Result<()> {
    let nothing: [&str; 0] = [];
    Roff::new()
        .control("SH", [heading])
        .control("nf", nothing)
        .text([roman(lines.trim_end())])
        .control("fi", nothing)
        .to_writer(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;
    use super::*;

    #[test]
    fn each_command_has_a_page_and_the_main_page_says_what_else_there_is() {
        let pages = pages(Cli::command()).unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names.first(), Some(&"tollfree.1"));
        for name in ["tollfree-serve.1", "tollfree-status.1", "tollfree-health.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        // Each page that another one names is there.
        for (name, text) in &pages {
            let text = String::from_utf8_lossy(text).replace("\\-", "-");
            for after in text.split("tollfree-").skip(1) {
                if let Some((other, _)) = after.split_once("(1)")
                    && !other.contains(char::is_whitespace)
                {
                    let page = format!("tollfree-{other}.1");
                    assert!(names.contains(&&*page), "{name} names {page}");
                }
            }
            let command = name.trim_end_matches(".1").replace('-', " ");
            assert!(
                text.contains(&format!("\n{command} ")) || name == "tollfree.1",
                "no example in {name}:\n{text}"
            );
        }
        let main = String::from_utf8(pages.first().unwrap().1.clone()).unwrap();
        for words in [
            "TOLLFREE_USAGE_TIER",
            "in use by another tollfree",
            "tollfree demo",
            "\\-\\-listen",
            "Which log lines, like debug",
            "tollfree\\-status(1)",
            "tollfree\\-health(1)",
        ] {
            assert!(main.contains(words), "{words} is not in:\n{main}");
        }
        assert!(!main.contains("tollfree\\-help(1)"), "{main}");
    }
}
