//! `config show`: each setting, its value, and where it comes from; apt's mirrors and their proxies are among them.

use clap::Subcommand;

use super::Context;
use crate::build::downloads;
use crate::failure::Failure;
use crate::fetch::Mirrors;

/// Verbs of `config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Print every setting with its origin
    Show,
}

/// Runs a `config` verb.
pub(super) fn run(context: &Context, verb: &ConfigVerb) -> Result<u8, Failure> {
    let ConfigVerb::Show = verb;
    let mut rows = context.settings.rows();
    let mut apt = Mirrors::new();
    downloads::add_apt_mirrors(&mut apt, &context.settings);
    rows.extend(apt.rows());
    let width = rows.iter().map(|(name, value, _)| name.len() + value.len()).max().unwrap_or(0) + 4;
    for (name, value, origin) in &rows {
        let setting = format!("{name} = {value}");
        if context.printer.mode() != crate::printer::Mode::Json {
            context.printer.data(format!("{setting:width$} # {origin}\n"));
        }
        context
            .printer
            .result(|| serde_json::json!({"event": "result", "setting": name, "value": value, "origin": origin}));
    }
    Ok(0)
}
