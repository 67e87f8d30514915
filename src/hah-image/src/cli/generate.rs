//! `schema`, `completions`, `man`: texts made from the same tables as the parsers.

use clap::{Args, CommandFactory as _, ValueEnum};

use super::{Cli, Context};
use crate::failure::Failure;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which kind of file
    #[arg(value_enum)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Recipe,
    Image,
    Cluster,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints the JSON Schema of a kind of file.
pub(super) fn schema(context: &Context, args: &SchemaArgs) -> Result<u8, Failure> {
    let schema = match args.kind {
        Kind::Recipe => hah_plan::recipe::json_schema_recipe(),
        Kind::Image => hah_plan::recipe::json_schema_image(),
        Kind::Cluster => hah_plan::recipe::json_schema_cluster(),
    };
    context.printer.data(format!("{schema:#}\n"));
    Ok(0)
}

/// Prints a completion script.
pub(super) fn completions(context: &Context, args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hah-image", &mut text);
    context.printer.data(text);
    Ok(0)
}

/// Prints the manual page.
pub(super) fn man(context: &Context) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text)?;
    context.printer.data(text);
    Ok(0)
}
