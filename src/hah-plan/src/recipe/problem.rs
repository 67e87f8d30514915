//! What can be wrong with recipes, images and boards, and the report that collects it.

use std::ops::Range;
use std::sync::Arc;

use hah_node::host::Reason;

use crate::debian::Architecture;
use crate::diagnostic::{Diagnostic, Diagnostics, Excerpt, did_you_mean};
use crate::nomad_job::JobError;

/// A text file under its shown name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) shown: String,
    pub(super) text: String,
}

/// A range of bytes of a text.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) text: Arc<Text>,
    pub(super) range: Range<usize>,
}

impl Place {
    pub(super) fn excerpt(&self) -> Excerpt {
        Excerpt::new(&self.text.shown, &self.text.text, self.range.clone())
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T> Located<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: f(self.value), place: self.place }
    }
}

/// One thing that is wrong. Variants stand in the order of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("there is no {what} `{name}`")]
    NoSuchFile { what: &'static str, name: String, known: Vec<String> },
    #[error("`{path}` is {bytes} bytes long; {what} may have at most {max}")]
    TooLarge { path: String, what: &'static str, bytes: usize, max: usize },
    #[error("`{0}` is not UTF-8")]
    NotUtf8(String),
    #[error("{0}")]
    Syntax(String),
    #[error("unknown key `{key}` in {object}")]
    UnknownKey { key: String, object: &'static str, known: Vec<&'static str> },
    #[error("`{key}` is {got}, expected {want}")]
    WrongType { key: String, got: &'static str, want: String },
    #[error("{object} needs `{key}`")]
    MissingKey { object: &'static str, key: &'static str, doc: &'static str },
    #[error("`{key}` cannot be `{got}`")]
    NotAChoice { key: String, got: String, choices: Vec<String> },
    #[error("`{key}` is {got}, expected {min} to {max}")]
    OutOfRange { key: String, got: String, min: String, max: String },
    #[error("{reason}")]
    Invalid { reason: String, hint: &'static str },
    #[error("more than {max} entries in `{key}`")]
    TooMany { key: String, max: usize },
    #[error("{object} has no content")]
    NoContent { object: &'static str },
    #[error("{object} has both `{first}` and `{second}`")]
    TwoContents { object: &'static str, first: &'static str, second: &'static str },
    #[error("`{key}` has no meaning with {with}")]
    NoMeaning { key: &'static str, with: &'static str },
    #[error("there is no file `{path}`")]
    NoSuchSource { path: String, near: Option<String> },
    #[error("recipes require each other: {}", .0.join(" → "))]
    Cycle(Vec<String>),
    #[error("recipe `{0}` is listed twice")]
    ListedTwice(String),
    #[error("`{name}` is {what}, so no parameter of that name can be seen")]
    ReservedParam { name: String, what: &'static str },
    #[error("recipe `{recipe}` has no parameter `{param}`")]
    NoSuchParam { recipe: String, param: String, known: Vec<String> },
    #[error("recipe `{recipe}` is not part of image `{image}`, so `{recipe}.{param}` sets nothing")]
    AbsentRecipe { recipe: String, param: String, image: String, known: Vec<String> },
    #[error("parameter `{recipe}.{param}` has no value")]
    NoValue { recipe: String, param: String, doc: String },
    #[error("parameter `{param}` is {got}, expected {want}")]
    ParamType { param: String, got: String, want: String },
    #[error("parameter `{param}` is {got}, expected {bounds}")]
    ParamRange { param: String, got: String, bounds: String },
    #[error("parameter `{param}` cannot be `{got}`")]
    ParamChoice { param: String, got: String, choices: Vec<String> },
    #[error("parameter `{param}`: `{got}` does not match `{pattern}`")]
    ParamPattern { param: String, got: String, pattern: String },
    #[error("parameter `{param}`: `{got}` {reason}")]
    ParamFormat { param: String, got: String, reason: Reason },
    #[error("`{key}` has no meaning for a parameter of type {kind}")]
    ParamConstraint { key: &'static str, kind: &'static str },
    #[error("`{0}` is not `RECIPE.PARAMETER=VALUE`")]
    BadOverride(String),
    #[error("in a template: {0}")]
    Template(String),
    #[error("`{name}` is not defined here")]
    Undefined { name: String, known: Vec<String> },
    #[error("the rendered text is longer than {0} bytes")]
    RenderedTooLong(usize),
    #[error("`when` gives a value of type {0}, expected true or false")]
    NotACondition(String),
    #[error("{what} `{name}` is declared by {first} and by {second}")]
    Conflict { what: &'static str, name: String, first: String, second: String },
    #[error("{first} and {second} have the same id {id}")]
    SameId { first: String, second: String, id: u32 },
    #[error("`{path}` is a {first} and also a {second}")]
    PathKinds { path: String, first: &'static str, second: &'static str },
    #[error("`{path}` lies below `{above}`, which is a {kind}")]
    BelowFile { path: String, above: String, kind: &'static str },
    #[error("artifact `{artifact}` has no build for {architecture}{}", .reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NoBuild { artifact: String, architecture: Architecture, reason: Option<String>, known: Vec<Architecture> },
    #[error("package `{package}` is asked for from suite `{first}` and from suite `{second}`")]
    TwoSuites { package: String, first: String, second: String },
    #[error("there is no suite `{suite}`")]
    NoSuchSuite { suite: String, known: Vec<String> },
    #[error("no recipe of the image declares a suite, so there is nowhere to take packages from")]
    NoSuites,
    #[error("Nomad job `{name}`: {error}")]
    NomadJob { name: String, error: JobError },
    #[error("board `{board}` cannot boot from {table}: {reason}")]
    RefusedTable { board: String, table: String, reason: String },
}

impl Problem {
    /// What to do next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchFile { name, known, what } => {
                Some(suggest(name, known).unwrap_or_else(|| match known.is_empty() {
                    true => format!("the project has no file of {what}s; `hah-image init` writes one"),
                    false => format!("there are: {}", known.join(", ")),
                }))
            }
            Self::UnknownKey { key, known, .. } => {
                let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
                suggest(key, &known).or_else(|| Some(format!("known keys: {}", known.join(", "))))
            }
            Self::NotAChoice { got, choices, .. } | Self::ParamChoice { got, choices, .. } => {
                suggest(got, choices).or_else(|| Some(format!("expected one of: {}", choices.join(", "))))
            }
            Self::MissingKey { doc, key, .. } => Some(format!("add `{key}`: {doc}")),
            Self::Invalid { hint, .. } => (!hint.is_empty()).then(|| (*hint).to_owned()),
            Self::NotUtf8(_) => Some("save it as UTF-8".to_owned()),
            Self::TooLarge { .. } => Some("large data belongs into a package, not into a recipe".to_owned()),
            Self::TooMany { .. } => Some("split it over several recipes".to_owned()),
            Self::NoContent { .. } => {
                Some("add one of `content`, `source`, `template` and `template-source`".to_owned())
            }
            Self::TwoContents { .. } => Some("keep one of them".to_owned()),
            Self::NoSuchSource { near, .. } => Some(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the path is relative to the directory of this file".to_owned(),
            }),
            Self::NoMeaning { .. } => Some("drop it".to_owned()),
            Self::NoBuild { known, .. } => {
                let known: Vec<&str> = known.iter().map(|architecture| architecture.as_str()).collect();
                Some(match known.is_empty() {
                    true => "leave its recipe out of images for this board".to_owned(),
                    false => {
                        format!("it has builds for {}; leave its recipe out of images for this board", known.join(", "))
                    }
                })
            }
            Self::Cycle(_) => Some("take one of these out of `requires`".to_owned()),
            Self::ListedTwice(_) => Some("list it once; `requires` may name it as often as it likes".to_owned()),
            Self::ReservedParam { .. } => Some("rename the parameter".to_owned()),
            Self::NoSuchParam { param, known, recipe } => {
                Some(suggest(param, known).unwrap_or_else(|| match known.is_empty() {
                    true => format!("`{recipe}` has no parameters"),
                    false => format!("its parameters: {}", known.join(", ")),
                }))
            }
            Self::AbsentRecipe { recipe, known, .. } => {
                suggest(recipe, known).or_else(|| Some(format!("add `{recipe}` to `recipes`, or drop the line")))
            }
            Self::NoValue { recipe, param, doc } => {
                Some(format!("{doc}\nset it in the image: `[params]` with `{recipe}.{param} = …`"))
            }
            Self::ParamConstraint { .. } => Some("drop it".to_owned()),
            Self::BadOverride(_) => Some("for example `consul.role=client`".to_owned()),
            Self::Undefined { name, known } => {
                suggest(name, known).or_else(|| Some(format!("defined here: {}", known.join(", "))))
            }
            Self::NotACondition(_) => Some("compare it, for example `role == 'server'`".to_owned()),
            Self::Conflict {
                what: "suite" | "os-release field" | "the answer to" | "the id of user" | "the id of group",
                ..
            } => Some("drop one of them".to_owned()),
            Self::Conflict { .. } => Some("drop one of them, or let the later one say `replace = true`".to_owned()),
            Self::SameId { .. } => Some("give one of them another id".to_owned()),
            Self::PathKinds { .. } | Self::BelowFile { .. } => Some("drop one of them".to_owned()),
            Self::TwoSuites { .. } => Some("one version can be installed; agree on a suite".to_owned()),
            Self::NoSuchSuite { suite, known } => {
                suggest(suite, known).or_else(|| Some("declare it with `[[suite]]`".to_owned()))
            }
            Self::NoSuites => Some("add the recipe `base`, or a `[[suite]]` entry".to_owned()),
            Self::NomadJob { error, .. } => error.hint.clone(),
            Self::RefusedTable { .. } => Some("drop `table`: the board's own is known to boot".to_owned()),
            Self::RenderedTooLong(_) => Some("look for a loop that runs too often".to_owned()),
            Self::Syntax(_)
            | Self::WrongType { .. }
            | Self::OutOfRange { .. }
            | Self::ParamType { .. }
            | Self::ParamRange { .. }
            | Self::ParamPattern { .. }
            | Self::ParamFormat { .. }
            | Self::Template(_) => None,
        }
    }
}

/// `text` with line ends and other control characters made visible.
pub(super) fn shown(text: &str) -> String {
    let visible = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().take(80).map(visible).collect()
}

fn suggest(wrong: &str, known: &[String]) -> Option<String> {
    did_you_mean(wrong, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Report {
    all: Diagnostics,
}

impl Report {
    /// At a place.
    pub(super) fn at(&mut self, place: &Place, problem: Problem) {
        self.push(Some(place), problem, None);
    }

    /// At a place, with another place that has to do with it.
    pub(super) fn at_both(&mut self, place: &Place, problem: Problem, other: (&Place, &str)) {
        self.push(Some(place), problem, Some(other));
    }

    /// In no file, or in a whole one.
    pub(super) fn anywhere(&mut self, problem: Problem) {
        self.push(None, problem, None);
    }

    fn push(&mut self, place: Option<&Place>, problem: Problem, other: Option<(&Place, &str)>) {
        let mut diagnostic = Diagnostic::new(problem.to_string());
        diagnostic.place = place.map(Place::excerpt);
        diagnostic.hint = problem.hint();
        diagnostic.related = other.into_iter().map(|(place, what)| (place.excerpt(), what.to_owned())).collect();
        self.all.push(diagnostic);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// `value`, unless something is wrong.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Diagnostics> {
        self.all.sort();
        match value {
            Some(value) if self.all.is_empty() => Ok(value),
            _ => Err(self.all),
        }
    }
}
