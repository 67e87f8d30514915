//! What an image may set: the parameters of its recipes, spelled as an image file spells them, for whoever writes one.

use super::order;
use super::params::{Initial, Kind, Param, Setting};
use super::parse::Parser;
use super::problem::{Problem, Report};
use super::sources::Sources;
use crate::diagnostic::Diagnostics;

/// A recipe of an image, and what it lets the image decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeParameters {
    /// Its name.
    pub recipe: String,
    /// What it adds to a node, in one line.
    pub summary: String,
    /// Its parameters, by name.
    pub parameters: Vec<Parameter>,
}

/// A parameter as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `consul.role`.
    pub name: String,
    /// What it is for, in one line.
    pub doc: String,
    /// What it may be, where the default does not show that: `server or client`, `1 to 9`.
    pub allowed: Option<String>,
    /// The default in TOML; nothing when the image must say.
    pub default: Option<String>,
}

/// The recipes of `image` in the order in which they apply, with their parameters.
///
/// # Errors
/// Everything that is wrong with the image's and the recipes' files.
pub fn parameters(sources: &Sources, image: &str) -> Result<Vec<RecipeParameters>, Diagnostics> {
    let mut report = Report::default();
    if sources.bytes(&format!("images/{image}.toml")).is_none() {
        let known = sources.images().into_iter().map(str::to_owned).collect();
        report.anywhere(Problem::NoSuchFile { what: "image", name: image.to_owned(), known });
    }
    let recipes = sources.toml("image", image, &mut report).and_then(|text| {
        let image = Parser { sources, directory: "images", report: &mut report }.image(image, &text)?;
        Some(order::read(sources, &image, &mut report).recipes)
    });
    let recipes = recipes.map(|recipes| {
        let of = |recipe: super::model::Recipe| RecipeParameters {
            parameters: recipe.params.iter().map(|(name, param)| parameter(&recipe.name, name, param)).collect(),
            recipe: recipe.name,
            summary: recipe.summary,
        };
        recipes.into_iter().map(of).collect()
    });
    report.finish(recipes)
}

fn parameter(recipe: &str, name: &str, param: &Param) -> Parameter {
    let default = match &param.default {
        Initial::Value(setting) => Some(in_toml(param, setting)),
        Initial::Unset | Initial::Refused => None,
    };
    Parameter { name: format!("{recipe}.{name}"), doc: param.doc.clone(), allowed: allowed(param), default }
}

fn allowed(param: &Param) -> Option<String> {
    if !param.choices.is_empty() {
        return Some(param.choices.join(" or "));
    }
    match (param.min, param.max) {
        (Some(min), Some(max)) => Some(format!("{} to {}", param.measured(min), param.measured(max))),
        (Some(min), None) => Some(format!("at least {}", param.measured(min))),
        (None, Some(max)) => Some(format!("at most {}", param.measured(max))),
        (None, None) => None,
    }
}

fn in_toml(param: &Param, setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => quoted(text),
        Setting::Boolean(boolean) => boolean.to_string(),
        Setting::Integer(number) if matches!(param.kind, Kind::Size | Kind::Duration) => {
            quoted(&param.measured(*number))
        }
        Setting::Integer(number) => number.to_string(),
        Setting::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// `text` as a TOML basic string on one line, whatever is in it.
///
/// The `toml` crate chooses among TOML's four forms, two of which may take several lines; a commented line must not.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_the_same_in_toml() {
        for text in ["", "plain", "a \"b\" \\ 'c'", "two\nlines\tand\u{1}\u{7f}\u{85}", "Küche 🍳"] {
            let line = quoted(text);
            assert!(!line.contains('\n'), "{line}");
            let table: toml::Table = format!("a = {line}").parse().unwrap();
            assert_eq!(table["a"].as_str(), Some(text));
        }
    }
}
