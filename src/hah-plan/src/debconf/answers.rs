//! [`Answer`]: what a recipe says to a question, typed by the question's template.
//!
//! | type | in the recipe |
//! |---|---|
//! | `boolean` | `true`, `false` |
//! | `string` | a string or a number |
//! | `select` | one of the choices, as the template spells them for scripts (`Choices-C`, else `Choices`) |
//! | `multiselect` | a list of choices |
//! | `password` | refused: it would be readable in every copy of the image, and in the recipe |
//! | `note`, `text`, `error`, `title` | refused: there is nothing to answer |

use std::collections::{BTreeMap, BTreeSet};

use super::Debconf;
use super::templates::{self, Fields};
use crate::rootfs::UnpackedPackage;

/// A value as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerValue {
    /// `true` or `false`.
    Boolean(bool),
    /// Text, or a number as text.
    Text(String),
    /// Several choices.
    List(Vec<String>),
}

impl AnswerValue {
    /// What it is, for messages.
    fn noun(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "true or false",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
        }
    }
}

/// A recipe's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Name of the question: `postfix/main_mailer_type`.
    pub question: String,
    /// The value.
    pub value: AnswerValue,
    /// The recipe, or `image NAME`.
    pub recipe: String,
}

/// An answer that cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{recipe}: [debconf] \"{question}\": {problem}")]
pub struct AnswerError {
    /// The recipe that answers.
    pub recipe: String,
    /// The question.
    pub question: String,
    /// What is wrong.
    pub problem: AnswerProblem,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerProblem {
    /// No package of the image asks this.
    #[error("no package of the image asks this{}", did_you_mean(near))]
    Unknown {
        /// A question of a similar name.
        near: Option<String>,
    },
    /// The value is not of the template's type.
    #[error("the template wants {wanted}, not {found}")]
    Type {
        /// What the type needs.
        wanted: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// Not among the choices.
    #[error("`{value}` is not among the choices: {}", choices.join(", "))]
    Choice {
        /// What was given.
        value: String,
        /// What there is.
        choices: Vec<String>,
    },
    /// A password.
    #[error("it asks for a password, which everybody who has the image could read")]
    Password,
    /// Nothing is asked.
    #[error("it only tells something (type `{0}`)")]
    Nothing(String),
    /// The package's templates cannot be read.
    #[error("{0}")]
    Templates(String),
}

impl AnswerError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match &self.problem {
            AnswerProblem::Unknown { near: Some(near) } => format!("write \"{near}\""),
            AnswerProblem::Unknown { near: None } => {
                "the package that asks must be in the image; its `templates` file lists the questions".to_owned()
            }
            AnswerProblem::Type { wanted, .. } => format!("give {wanted}"),
            AnswerProblem::Choice { .. } => "take one of the choices".to_owned(),
            AnswerProblem::Password => {
                "leave it out, and set the password on the node, or as a hash in the service's own file".to_owned()
            }
            AnswerProblem::Nothing(_) => "leave it out".to_owned(),
            AnswerProblem::Templates(_) => {
                "the package is damaged; `hah-image store verify` checks the store".to_owned()
            }
        }
    }
}

fn did_you_mean(near: &Option<String>) -> String {
    near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The answers as debconf spells values, when every one of them fits a question of `packages`.
///
/// A script may register a question under a name of its own package, with a template that several share: dbconfig-common's
/// `dbconfig-common/dbconfig-install` is asked as `roundcube/dbconfig-install`. So an answer whose name is a template's but
/// for what stands before the first slash is of that template's type; [`check_registered`] sees whether it was asked.
///
/// # Errors
/// All that do not.
pub fn check(answers: &[Answer], packages: &[UnpackedPackage]) -> Result<BTreeMap<String, String>, Vec<AnswerError>> {
    if answers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut known: BTreeMap<String, Fields> = BTreeMap::new();
    let mut broken: Option<String> = None;
    for package in packages {
        let Some(bytes) = package.control.get("templates") else { continue };
        match templates::parse(&String::from_utf8_lossy(bytes)) {
            Ok(all) => known.extend(all.into_iter().map(|fields| (fields["template"].clone(), fields))),
            Err(error) => broken = Some(format!("{}: {error}", package.name)),
        }
    }
    let (mut found, mut errors) = (BTreeMap::new(), Vec::new());
    for answer in answers {
        let shared = || {
            let (_, rest) = answer.question.split_once('/')?;
            known.values().find(|fields| fields["template"].split_once('/').is_some_and(|(_, other)| other == rest))
        };
        let problem = match known.get(&answer.question).or_else(shared) {
            Some(fields) => match spell(&answer.value, fields) {
                Ok(value) => {
                    found.insert(answer.question.clone(), value);
                    continue;
                }
                Err(problem) => problem,
            },
            None => match &broken {
                Some(broken) => AnswerProblem::Templates(broken.clone()),
                None => AnswerProblem::Unknown { near: near(&answer.question, known.keys()) },
            },
        };
        let (recipe, question) = (answer.recipe.clone(), answer.question.clone());
        errors.push(AnswerError { recipe, question, problem });
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Checks, when all scripts have run, that every answer is to a question that there is.
///
/// # Errors
/// Answers to questions that no script has registered.
pub fn check_registered(answers: &[Answer], debconf: &Debconf) -> Result<(), Vec<AnswerError>> {
    let names: BTreeSet<String> = debconf.questions().map(|(name, _)| name.to_owned()).collect();
    let unknown = answers.iter().filter(|answer| !names.contains(&answer.question));
    let errors: Vec<AnswerError> = unknown
        .map(|Answer { question, recipe, .. }| AnswerError {
            recipe: recipe.clone(),
            question: question.clone(),
            problem: AnswerProblem::Unknown { near: near(question, names.iter()) },
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The question whose name is most similar, if it is similar at all.
fn near<'k>(question: &str, known: impl Iterator<Item = &'k String>) -> Option<String> {
    let scored = known.map(|name| (strsim::jaro_winkler(question, name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))?;
    (best.0 > 0.85).then(|| best.1.clone())
}

fn spell(value: &AnswerValue, fields: &Fields) -> Result<String, AnswerProblem> {
    let wrong = |wanted| Err(AnswerProblem::Type { wanted, found: value.noun() });
    let text = fields.get("choices-c").or_else(|| fields.get("choices")).map_or("", String::as_str);
    let choices = split_list(text);
    // Choices that a script fills in are known only when it runs.
    let is_open = text.contains("${");
    let choice = |value: &String| match is_open || choices.contains(value) {
        true => Ok(value.clone()),
        false => Err(AnswerProblem::Choice { value: value.clone(), choices: choices.clone() }),
    };
    match (fields["type"].as_str(), value) {
        ("boolean", AnswerValue::Boolean(value)) => Ok(value.to_string()),
        ("boolean", _) => wrong("true or false"),
        ("string", AnswerValue::Text(text)) if !text.contains('\n') => Ok(text.clone()),
        ("string", _) => wrong("one line of text"),
        ("select", AnswerValue::Text(text)) => choice(text),
        ("select", _) => wrong("one of its choices, a text"),
        ("multiselect", AnswerValue::List(list)) => {
            let list: Result<Vec<String>, AnswerProblem> = list.iter().map(choice).collect();
            Ok(join_list(&list?))
        }
        ("multiselect", _) => wrong("a list of its choices"),
        ("password", _) => Err(AnswerProblem::Password),
        (other, _) => Err(AnswerProblem::Nothing(other.to_owned())),
    }
}

/// Items that a comma and blanks separate; `\,` and `\ ` stand for themselves.
pub fn split_list(text: &str) -> Vec<String> {
    let (mut items, mut item) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let tail = &rest[first.len_utf8()..];
        if first == '\\' && tail.starts_with([',', ' ']) {
            item.push_str(&tail[..1]);
            rest = &tail[1..];
        } else if first == ',' && tail.starts_with(char::is_whitespace) {
            items.push(std::mem::take(&mut item));
            rest = tail.trim_start();
        } else {
            item.push(first);
            rest = tail;
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

/// The reverse of [`split_list`].
fn join_list(items: &[String]) -> String {
    items.iter().map(|item| item.replace(',', "\\,")).collect::<Vec<_>>().join(", ")
}
