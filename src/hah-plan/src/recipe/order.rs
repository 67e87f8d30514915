//! Which recipes take part, in which order: what a recipe requires stands before it, and the image's list decides the rest.

use std::collections::BTreeMap;

use super::model::{Image, Recipe};
use super::parse::Parser;
use super::problem::{Located, Problem, Report};
use super::sources::Sources;

/// Most recipes of one image, and so the depth of the walk.
const RECIPES_MAX: usize = 256;

/// The recipes of an image.
#[derive(Debug)]
pub(super) struct Order {
    /// In merge order.
    pub(super) recipes: Vec<Recipe>,
    /// Whether all of them could be read, so that a name that is not among them is really absent.
    pub(super) is_complete: bool,
}

enum State {
    /// On the path from the image to the recipe at hand.
    Open,
    /// In the order, or missing.
    Done,
}

struct Walk<'a> {
    sources: &'a Sources,
    states: BTreeMap<String, State>,
    path: Vec<String>,
    order: Order,
}

/// Reads the recipes of `image` and what they require.
pub(super) fn read(sources: &Sources, image: &Image, report: &mut Report) -> Order {
    let order = Order { recipes: Vec::new(), is_complete: true };
    let mut walk = Walk { sources, states: BTreeMap::new(), path: Vec::new(), order };
    for (index, name) in image.recipes.iter().enumerate() {
        if image.recipes[..index].iter().any(|earlier| earlier.value == name.value) {
            report.at(&name.place, Problem::ListedTwice(name.value.clone()));
        }
        walk.visit(name, report);
    }
    walk.order
}

impl Walk<'_> {
    fn visit(&mut self, name: &Located<String>, report: &mut Report) {
        match self.states.get(&name.value) {
            Some(State::Done) => return,
            Some(State::Open) => {
                let start = self.path.iter().position(|open| *open == name.value).unwrap_or_default();
                let chain = self.path[start..].iter().chain([&name.value]).cloned().collect();
                report.at(&name.place, Problem::Cycle(chain));
                self.order.is_complete = false;
                return;
            }
            None if self.states.len() >= RECIPES_MAX => {
                report.at(&name.place, Problem::TooMany { key: "recipes".to_owned(), max: RECIPES_MAX });
                self.order.is_complete = false;
                return;
            }
            None => {}
        }
        self.states.insert(name.value.clone(), State::Open);
        self.path.push(name.value.clone());
        match self.recipe(name, report) {
            Some(recipe) => {
                for required in &recipe.requires {
                    self.visit(required, report);
                }
                self.order.recipes.push(recipe);
            }
            None => self.order.is_complete = false,
        }
        self.path.pop();
        self.states.insert(name.value.clone(), State::Done);
    }

    fn recipe(&self, name: &Located<String>, report: &mut Report) -> Option<Recipe> {
        if self.sources.bytes(&format!("recipes/{}.toml", name.value)).is_none() {
            let known = self.sources.recipes().into_iter().map(str::to_owned).collect();
            report.at(&name.place, Problem::NoSuchFile { what: "recipe", name: name.value.clone(), known });
            return None;
        }
        let text = self.sources.toml("recipe", &name.value, report)?;
        Parser { sources: self.sources, directory: "recipes", report }.recipe(&name.value, &text)
    }
}
