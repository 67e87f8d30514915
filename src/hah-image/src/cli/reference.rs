//! `reference`: the documentation of files, recipes and of this command line, as Markdown, from what reads them.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Args, Command, CommandFactory as _, ValueEnum};
use hah_plan::recipe::{self, FileKind};

use super::{Cli, Context};
use crate::failure::Failure;
use crate::project::Project;

/// Arguments of `reference`.
#[derive(Debug, Args)]
pub(super) struct ReferenceArgs {
    /// Of what
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The recipes of the project, the shipped ones among them, with their parameters
    Recipes,
    /// Keys of recipes/NAME.toml
    Recipe,
    /// Keys of images/NAME.toml
    Image,
    /// Keys of recipes/boards/NAME.toml
    Board,
    /// Keys of cluster.toml
    Cluster,
    /// Verbs and flags
    Cli,
}

/// Prints a reference.
pub(super) fn run(context: &Context, args: &ReferenceArgs) -> Result<u8, Failure> {
    let text = match args.what {
        What::Recipes => recipe::reference(Project::open(&context.directory)?.sources())?,
        What::Recipe => recipe::keys(FileKind::Recipe),
        What::Image => recipe::keys(FileKind::Image),
        What::Board => recipe::keys(FileKind::Board),
        What::Cluster => recipe::keys(FileKind::Cluster),
        What::Cli => command_line(),
    };
    context.printer.data(&text);
    Ok(0)
}

/// Every verb with its arguments, and the flags that all have.
fn command_line() -> String {
    // Built, so that usage lines and value names are what `--help` shows.
    let mut cli = Cli::command();
    cli.build();
    let mut out = format!("# `{}`\n\n{}\n", cli.get_name(), prose(&cli));
    if let Some(help) = cli.get_after_help() {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n{help}.\n");
    }
    let _ = write!(out, "\n## Global options\n");
    let is_global = |argument: &&Arg| argument.is_global_set();
    arguments(&mut out, cli.get_arguments().filter(is_global));
    for verb in cli.get_subcommands().filter(|verb| verb.get_name() != "help") {
        section(&mut out, verb, cli.get_name());
    }
    out
}

fn section(out: &mut String, verb: &Command, above: &str) {
    let name = format!("{above} {}", verb.get_name());
    let below: Vec<&Command> = verb.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
    if below.is_empty() {
        let usage = verb.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let _ = write!(out, "\n## `{name}`\n\n{}\n\n```text\n{usage}\n```\n", prose(verb));
        let own = |argument: &&Arg| !argument.is_global_set() && !argument.is_hide_set() && argument.get_id() != "help";
        arguments(out, verb.get_arguments().filter(own));
    }
    for verb in below {
        section(out, verb, &name);
    }
}

fn prose(command: &Command) -> String {
    let text = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    if text.ends_with('.') { text } else { format!("{text}.") }
}

fn arguments<'a>(out: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let mut arguments = arguments.peekable();
    if arguments.peek().is_some() {
        out.push_str("\n| argument | |\n|---|---|\n");
    }
    for argument in arguments {
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<String> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !choices.is_empty() && argument.get_action().takes_values() {
            help.push_str(&format!(": {}", choices.join(", ")));
        }
        let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !default.is_empty() && argument.get_action().takes_values() {
            help.push_str(&format!("; `{}` without", default.join(" ")));
        }
        if let Some(variable) = argument.get_env() {
            help.push_str(&format!("; also from `{}`", variable.to_string_lossy()));
        }
        let _ = writeln!(out, "| `{}` | {} |", spelling(argument), help.replace('|', "\\|").replace('\n', " "));
    }
}

/// `-o, --output <FILE>`.
fn spelling(argument: &Arg) -> String {
    let values: Vec<String> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| if argument.is_positional() { name.to_string() } else { format!("<{name}>") })
        .collect();
    let value = if argument.get_action().takes_values() { values.join(" ") } else { String::new() };
    let repeated = argument.is_positional() && matches!(argument.get_action(), ArgAction::Append);
    let names =
        [argument.get_short().map(|short| format!("-{short}")), argument.get_long().map(|long| format!("--{long}"))];
    let names = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let spelling = format!("{names} {value}{}", if repeated { "…" } else { "" });
    spelling.trim().replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_flag_is_there() {
        let text = command_line();
        for line in [
            "## `hah-image build`",
            "## `hah-image store verify`",
            "| `-o, --output <FILE>` |",
            "| `IMAGE…` | The images: images/NAME.toml; `lab` without |",
            "| `--compress <KIND>` | Also write a compressed copy: `zst` |",
            "Exit codes: 0 done",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("## `hah-image store`\n") && !text.contains("help`"), "{text}");
        assert_eq!(text.matches("--cache-dir").count(), 1, "{text}");
    }
}
