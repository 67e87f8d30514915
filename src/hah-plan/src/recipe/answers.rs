//! `[debconf]` and `[ids]`: what recipes say to packages' questions, and the ids of accounts that packages add.

use std::collections::BTreeMap;

use super::document::{Fields, Item, Value};
use super::merge::{Claim, Claims, Contribution};
use super::model::{Body, Entry, Setting, Template};
use super::parse::{Parser, plain};
use super::problem::{Located, Problem, Report};
use super::template::Scope;
use crate::debconf::answers::{Answer, AnswerValue};
use crate::scripts::Ids;

impl Parser<'_> {
    /// Reads both tables of a recipe or an image.
    pub(super) fn answers(&mut self, fields: &mut Fields, body: &mut Body) {
        for (question, item) in fields.named("debconf") {
            let Some(setting) = self.setting(item) else { continue };
            body.debconf.push(plain(question.map(|question| (question, setting))));
        }
        let mut ids = fields.table("ids");
        for (list, key) in [(&mut body.user_ids, "users"), (&mut body.group_ids, "groups")] {
            for (name, item) in ids.named(key) {
                let Value::Integer(id) = item.value else { continue };
                let Ok(id) = u32::try_from(id) else { continue };
                list.push(plain(name.map(|name| (name, id))));
            }
        }
    }

    fn setting(&mut self, item: Item) -> Option<Setting> {
        let Item { value, place } = item;
        Some(match value {
            Value::Boolean(value) => Setting::Boolean(value),
            Value::Integer(number) => Setting::Number(number),
            Value::Text(value) => Setting::Text(self.template(Located { value, place })),
            Value::List(items) => {
                let mut texts = Vec::new();
                for item in items {
                    let place = item.place.clone();
                    match item.text() {
                        Some(text) => texts.push(self.template(text)),
                        None => {
                            let reason = "an answer's list has something that is not text".to_owned();
                            self.report.at(&place, Problem::Invalid { reason, hint: "choices are texts" });
                        }
                    }
                }
                Setting::List(texts)
            }
            _ => return None,
        })
    }
}

/// What all contributions say.
pub(super) struct Answers {
    debconf: Claims<String, AnswerValue>,
    users: Claims<String, u32>,
    groups: Claims<String, u32>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            debconf: Claims::new("the answer to"),
            users: Claims::new("the id of user"),
            groups: Claims::new("the id of group"),
        }
    }

    /// Adds what one recipe or image says.
    pub(super) fn add(&mut self, from: &Contribution<'_>, scope: &Scope, report: &mut Report) {
        let text = |template: &Template, report: &mut Report| scope.render(from.scope, template, report);
        for Entry { value: (question, setting), place, replace, .. } in &from.body.debconf {
            let value = match setting {
                Setting::Boolean(value) => Some(AnswerValue::Boolean(*value)),
                Setting::Number(number) => Some(AnswerValue::Text(number.to_string())),
                Setting::Text(template) => text(template, report).map(AnswerValue::Text),
                Setting::List(templates) => {
                    let texts: Option<Vec<String>> = templates.iter().map(|template| text(template, report)).collect();
                    texts.map(AnswerValue::List)
                }
            };
            let Some(value) = value else { continue };
            self.debconf.agree(question.clone(), from.claim(value, place), *replace, report);
        }
        for (claims, ids) in [(&mut self.users, &from.body.user_ids), (&mut self.groups, &from.body.group_ids)] {
            for Entry { value: (name, id), place, replace, .. } in ids {
                claims.agree(name.clone(), from.claim(*id, place), *replace, report);
            }
        }
    }

    /// No id twice among those of `[ids]`.
    pub(super) fn check(&self, report: &mut Report) {
        for (what, claims) in [("user", &self.users), ("group", &self.groups)] {
            let mut seen: BTreeMap<u32, (&String, &Claim<u32>)> = BTreeMap::new();
            for (name, claim) in claims.iter() {
                if let Some((first, earlier)) = seen.insert(claim.value, (name, claim)) {
                    let (first, second) = (format!("{what} `{first}`"), format!("{what} `{name}`"));
                    let problem = Problem::SameId { first, second, id: claim.value };
                    report.at_both(&claim.place, problem, (&earlier.place, "first used here"));
                }
            }
        }
    }

    /// The answers by question, and the ids.
    pub(super) fn into_parts(self) -> (Vec<Answer>, Ids) {
        let debconf = self.debconf.into_vec(|question, value, recipe| Answer { question, value, recipe });
        let ids = |claims: Claims<String, u32>| claims.into_vec(|name, id, _| (name.into(), id)).into_iter().collect();
        (debconf, Ids { users: ids(self.users), groups: ids(self.groups) })
    }
}
