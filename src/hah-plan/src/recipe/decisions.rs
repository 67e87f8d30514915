//! What a fleet decides for the images of its project: one word in `cluster.toml`, and every parameter that follows.
//!
//! An image that says something else would not fit the identities of the nodes that it is for; it is refused, with both
//! places named.

use super::model::Recipe;
use super::params::{Param, Setting, Settings};
use super::problem::{Place, Problem, Report};

/// A parameter that a closed fleet decides.
struct Decision {
    recipe: &'static str,
    param: &'static str,
    value: Value,
}

enum Value {
    Word(&'static str),
    Yes,
}

const fn word(recipe: &'static str, param: &'static str, word: &'static str) -> Decision {
    Decision { recipe, param, value: Value::Word(word) }
}

const fn yes(recipe: &'static str, param: &'static str) -> Decision {
    Decision { recipe, param, value: Value::Yes }
}

/// Everything that is open by default, closed.
const CLOSED: [Decision; 8] = [
    word("network", "firewall", "cluster"),
    word("consul", "acl", "deny"),
    yes("consul", "tls"),
    word("consul", "http", "tls"),
    yes("nomad", "acl"),
    yes("nomad", "tls"),
    yes("vault", "tls"),
    yes("telemetry", "vault-tls"),
];

impl Decision {
    fn setting(&self) -> Setting {
        match self.value {
            Value::Word(word) => Setting::Text(word.to_owned()),
            Value::Yes => Setting::Boolean(true),
        }
    }

    fn shown(&self) -> String {
        match self.value {
            Value::Word(word) => format!("\"{word}\""),
            Value::Yes => "true".to_owned(),
        }
    }
}

/// That the fleet is closed, and where its file says so.
#[derive(Clone, Debug)]
pub struct Closed {
    pub(super) place: Place,
}

impl Closed {
    /// Sets what the fleet decides. `said` are the places of parameters that the image, or who builds it, has set.
    pub(super) fn decide(
        &self,
        recipes: &[Recipe],
        said: &[((String, String), Place)],
        settings: &mut Settings,
        report: &mut Report,
    ) {
        for decision in &CLOSED {
            let Some(recipe) = recipes.iter().find(|recipe| recipe.name == decision.recipe) else { continue };
            let name = format!("{}.{}", decision.recipe, decision.param);
            if !recipe.params.get(decision.param).is_some_and(|param| admits(param, decision)) {
                let reason =
                    format!("the recipe `{}` cannot be closed: `{name}` cannot be {}", recipe.name, decision.shown());
                let hint = "the project's own recipe is older than the shipped one, which has that parameter";
                report.at(&self.place, Problem::Invalid { reason, hint });
                continue;
            }
            let found = settings.entry(recipe.name.clone()).or_default();
            let before = found.insert(decision.param.to_owned(), decision.setting());
            let key = |known: &(String, String)| known.0 == decision.recipe && known.1 == decision.param;
            if let Some((_, place)) = said.iter().find(|(known, _)| key(known))
                && before != Some(decision.setting())
            {
                let reason = format!("`{name}` is not {}, and the cluster is closed", decision.shown());
                let hint = "drop the line: `security` in cluster.toml decides it for every image";
                report.at_both(place, Problem::Invalid { reason, hint }, (&self.place, "the cluster is closed here"));
            }
        }
    }
}

fn admits(param: &Param, decision: &Decision) -> bool {
    match decision.value {
        Value::Word(word) => param.choices.iter().any(|choice| choice == word),
        Value::Yes => param.kind == super::params::Kind::Boolean,
    }
}
