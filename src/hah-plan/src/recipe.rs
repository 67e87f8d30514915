//! Recipes, images and boards: from TOML to a [`System`].
//!
//! | state | is | made by |
//! |---|---|---|
//! | [`document`] | TOML that conforms to a table of [`schema`] | `document::parse` |
//! | [`model`] | recipes and images, every word typed | [`parse`], [`hardware`] |
//! | [`order`] | the recipes that take part, in merge order | `order::read` |
//! | [`params`] | every parameter's value | `params::settle` |
//! | [`System`] | rendered ([`template`]) and merged | `merge::merge` |
//!
//! Everything that is wrong is collected and reported at once, with place and hint; only a stage whose input could not be
//! understood is left out, so that one mistake is not reported twice. Every message has a test in `tests.rs`.

mod kinds;
mod schema;
mod problem;
mod sources;
mod archives;
mod document;
mod units;
mod model;
mod params;
mod decisions;
mod parse;
mod artifacts;
mod answers;
mod hardware;
mod order;
mod template;
mod merge;
mod json_schema;
mod reference;
mod keys;
mod parameters;
mod cluster;
#[cfg(test)]
mod tests;

pub use decisions::Closed;
pub use json_schema::{
    board as json_schema_board, cluster as json_schema_cluster, image as json_schema_image,
    recipe as json_schema_recipe,
};
pub use keys::{FileKind, keys};
pub use parameters::{Parameter, RecipeParameters, parameters, quoted};
pub use params::Override;
pub use reference::reference;
pub use sources::Sources;
pub use units::{ByteSize, ParseUnitError, Seconds};

use crate::board::{Board, Table};
use crate::cluster::Cluster;
use crate::diagnostic::Diagnostics;
use crate::line_ends;
use crate::system::System;
use hardware::BoardFile;
use merge::Parts;
use model::Image;
use params::Settled;
use parse::Parser;
use problem::{Problem, Report};
use template::{ImageFacts, Scope};

/// The system that `image` of `sources` is to be, with `overrides` of its parameters.
///
/// # Errors
/// Everything that is wrong with the image, its board, its recipes and their parameters.
pub fn load(sources: &Sources, image: &str, overrides: &[Override]) -> Result<System, Diagnostics> {
    load_for(sources, image, overrides, None)
}

/// The same for an image of a project whose fleet may be [`closed`].
///
/// # Errors
/// As [`load`], and parameters of the image that contradict the fleet.
pub fn load_for(
    sources: &Sources,
    image: &str,
    overrides: &[Override],
    closed: Option<&Closed>,
) -> Result<System, Diagnostics> {
    let mut report = Report::default();
    sources.check(&mut report);
    let system = read(sources, image, (overrides, closed), &mut report).and_then(|(parts, settings)| {
        let recipes: Vec<&str> = parts.order.recipes.iter().map(|recipe| recipe.name.as_str()).collect();
        let (board, hostname_prefix) = (&parts.board.board, parts.image.hostname_prefix.as_str());
        let facts = ImageFacts { name: image, hostname_prefix, board, recipes: &recipes };
        merge::merge(&parts, &Scope::new(&facts, &settings), &mut report)
    });
    report.finish(system)
}

/// The board `name` of `sources`.
///
/// # Errors
/// Everything that is wrong with its file.
pub fn load_board(sources: &Sources, name: &str) -> Result<Board, Diagnostics> {
    let mut report = Report::default();
    if sources.bytes(&format!("recipes/boards/{name}.toml")).is_none() {
        let known = sources.boards().into_iter().map(str::to_owned).collect();
        report.anywhere(Problem::NoSuchFile { what: "board", name: name.to_owned(), known });
    }
    let text = sources.toml("board", name, &mut report);
    let file = text.and_then(|text| hardware::board(name, &text, &mut report));
    report.finish(file.map(|file| file.board))
}

/// The fleet that the text of a `cluster.toml` describes. `shown` is the file's path in messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_cluster(shown: &str, text: &str) -> Result<Cluster, Diagnostics> {
    let mut report = Report::default();
    let text =
        std::sync::Arc::new(problem::Text { shown: shown.to_owned(), text: line_ends::normalised(text.to_owned()) });
    let cluster = cluster::read(&text, &mut report);
    report.finish(cluster.map(|(cluster, _)| cluster))
}

/// Whether the fleet of a `cluster.toml` is closed, and so decides for images: see [`load_for`].
///
/// # Errors
/// Everything that is wrong with the file.
pub fn closed(shown: &str, text: &str) -> Result<Option<Closed>, Diagnostics> {
    let mut report = Report::default();
    let text =
        std::sync::Arc::new(problem::Text { shown: shown.to_owned(), text: line_ends::normalised(text.to_owned()) });
    let cluster = cluster::read(&text, &mut report);
    report.finish(cluster.map(|(_, closed)| closed))
}

/// Everything up to the point where templates can be rendered. `None` goes with a report.
fn read(
    sources: &Sources,
    name: &str,
    (overrides, closed): (&[Override], Option<&Closed>),
    report: &mut Report,
) -> Option<(Parts, params::Settings)> {
    if sources.bytes(&format!("images/{name}.toml")).is_none() {
        let known = sources.images().into_iter().map(str::to_owned).collect();
        report.anywhere(Problem::NoSuchFile { what: "image", name: name.to_owned(), known });
        return None;
    }
    let text = sources.toml("image", name, report)?;
    let image = Parser { sources, directory: "images", report }.image(name, &text)?;
    let board = board(sources, &image, report);
    let order = order::read(sources, &image, report);
    let settings = order.is_complete.then(|| params::settle(&order.recipes, &image, overrides, report));
    let settings = settings.map(|Settled { mut settings, said }| {
        if let Some(closed) = closed {
            closed.decide(&order.recipes, &said, &mut settings, report);
        }
        settings
    });
    let table = board.as_ref().and_then(|file| table(&file.board, &image, report));
    if !report.is_empty() {
        return None;
    }
    Some((Parts { image, board: board?, table: table?, order }, settings?))
}

fn board(sources: &Sources, image: &Image, report: &mut Report) -> Option<BoardFile> {
    let name = image.board.as_ref()?;
    if sources.bytes(&format!("recipes/boards/{}.toml", name.value)).is_none() {
        let known = sources.boards().into_iter().map(str::to_owned).collect();
        report.at(&name.place, Problem::NoSuchFile { what: "board", name: name.value.clone(), known });
        return None;
    }
    let text = sources.toml("board", &name.value, report)?;
    hardware::board(&name.value, &text, report)
}

/// The image's partition table, or the board's own.
fn table(board: &Board, image: &Image, report: &mut Report) -> Option<Table> {
    let Some(wanted) = &image.table else { return Some(board.table) };
    if let Some(reason) = board.refused_tables.get(&wanted.value) {
        let (board, table, reason) = (board.name.clone(), wanted.value.to_string(), reason.clone());
        report.at(&wanted.place, Problem::RefusedTable { board, table, reason });
        return None;
    }
    Some(wanted.value)
}
