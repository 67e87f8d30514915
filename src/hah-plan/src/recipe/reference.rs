//! The reference of the recipes of a project, their artifacts and parameters, as Markdown.

use std::fmt::Write as _;

use super::model::{Entry, Recipe, Verify};
use super::params::{Initial, Param, Setting};
use super::parse::Parser;
use super::problem::Report;
use super::sources::Sources;
use crate::diagnostic::Diagnostics;

/// One section a recipe, by name: what it is, what it requires, its artifacts and parameters.
///
/// # Errors
/// Everything that is wrong with the recipes' files.
pub fn reference(sources: &Sources) -> Result<String, Diagnostics> {
    let mut report = Report::default();
    let mut out = String::from("# Recipes\n");
    for name in sources.recipes() {
        let Some(text) = sources.toml("recipe", name, &mut report) else { continue };
        let recipe = Parser { sources, directory: "recipes", report: &mut report }.recipe(name, &text);
        if let Some(recipe) = recipe {
            // Writing to a String cannot fail.
            let _ = section(&mut out, &recipe);
        }
    }
    report.finish(Some(out))
}

fn section(out: &mut String, recipe: &Recipe) -> std::fmt::Result {
    writeln!(out, "\n## {}\n\n{}", recipe.name, recipe.summary)?;
    if !recipe.requires.is_empty() {
        let names: Vec<String> = recipe.requires.iter().map(|name| format!("`{}`", name.value)).collect();
        writeln!(out, "\nRequires {}.", names.join(", "))?;
    }
    for Entry { value: artifact, .. } in &recipe.body.artifacts {
        let by = match &artifact.verify {
            Verify::OpenPgp { key, .. } => format!("signed by `{}`", key.name()),
            Verify::Sha256Sums { .. } => "listed in an unsigned checksum file".to_owned(),
            Verify::Sha256 { .. } => "pinned by its digest".to_owned(),
        };
        writeln!(out, "\nHas the artifact `{}`, {by}.", artifact.name)?;
    }
    if recipe.params.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| parameter | type | default | what it is for |\n|---|---|---|---|")?;
    for (name, param) in &recipe.params {
        let default = match &param.default {
            Initial::Value(default) => shown(param, default),
            Initial::Unset | Initial::Refused => "must be set".to_owned(),
        };
        let line = format!("| `{}.{name}` | {} | {default} | {} |", recipe.name, kind(param), cell(&param.doc));
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn kind(param: &Param) -> String {
    let mut text = param.kind.name().to_owned();
    if !param.choices.is_empty() {
        let choices: Vec<String> = param.choices.iter().map(|choice| format!("`{}`", cell(choice))).collect();
        let _ = write!(text, ": {}", choices.join(", "));
    }
    let bound = |bound: Option<i64>| bound.map(|bound| param.measured(bound));
    let _ = match (bound(param.min), bound(param.max)) {
        (Some(min), Some(max)) => write!(text, ", {min} to {max}"),
        (Some(min), None) => write!(text, ", at least {min}"),
        (None, Some(max)) => write!(text, ", at most {max}"),
        (None, None) => Ok(()),
    };
    text
}

fn shown(param: &Param, setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => format!("`\"{}\"`", cell(text)),
        Setting::Integer(number) => format!("`{}`", param.measured(*number)),
        Setting::Boolean(boolean) => format!("`{boolean}`"),
        Setting::List(items) => {
            let items: Vec<String> = items.iter().map(|item| format!("\"{}\"", cell(item))).collect();
            format!("`[{}]`", items.join(", "))
        }
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "\\n")
}
