//! Debconf: the questions that packages ask while they are installed, and the answers.
//!
//! A package declares questions in its `templates` control member ([`templates`]); its `config` and `postinst` scripts
//! talk about them in the protocol of debconf-devel(7) ([`protocol`]). Nobody is asked: every answer is the recipe's
//! ([`answers`]) or the template's default, exactly as with `DEBIAN_FRONTEND=noninteractive`.
//!
//! What is written down here follows debconf 1.5.91, statuses and texts included, for scripts test both.
//!
//! `/var/cache/debconf/config.dat`, `templates.dat` and `passwords.dat` are left out of the image: only `dpkg-reconfigure`
//! reads them, which runs maintainer scripts, and an image keeps none (its root is read-only; a recipe's `[debconf]`
//! is the place to change an answer). A password that a script puts into a question therefore stays nowhere else.

pub mod templates;
pub mod protocol;
pub mod answers;

use std::collections::{BTreeMap, BTreeSet};

use templates::{Fields, TemplateError};

/// A question: a template's, or one that a script has registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Name of its template; empty when a script has only preset it.
    pub template: String,
    /// Its answer; the template's default without.
    pub value: Option<String>,
    /// Flags by name; `seen` above all.
    pub flags: BTreeMap<String, String>,
    /// What `${VARIABLE}` stands for in its texts.
    pub variables: BTreeMap<String, String>,
    /// The packages that have it.
    pub owners: BTreeSet<String>,
    /// What it was asked with last.
    pub priority: Option<String>,
}

/// A template, and the questions that are made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Its fields, names in lower case.
    pub fields: Fields,
    /// Names of its questions.
    pub owners: BTreeSet<String>,
}

/// What one running script has told debconf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Session {
    /// The package that talks.
    owner: String,
    /// Which of its scripts.
    script: String,
    /// Whether values go through [`escape`].
    escaping: bool,
    /// The questions that `GO` will put.
    elements: Vec<String>,
    /// Of those, what may not be unregistered.
    busy: Vec<String>,
}

/// The database and the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Debconf {
    templates: BTreeMap<String, Template>,
    questions: BTreeMap<String, Question>,
    /// The recipes' answers by question, as debconf spells values.
    answers: BTreeMap<String, String>,
    /// Packages whose templates have been loaded.
    loaded: BTreeSet<String>,
    session: Session,
}

impl Debconf {
    /// No questions yet; these are the recipes' answers, as [`answers::check`] has found them right.
    pub fn new(answers: BTreeMap<String, String>) -> Self {
        Self { answers, ..Self::default() }
    }

    /// The question of this name.
    pub fn question(&self, name: &str) -> Option<&Question> {
        self.questions.get(name)
    }

    /// All questions by name.
    pub fn questions(&self) -> impl Iterator<Item = (&str, &Question)> {
        self.questions.iter().map(|(name, question)| (name.as_str(), question))
    }

    /// The type of a question; empty without a template.
    pub fn kind(&self, question: &Question) -> String {
        self.field(&question.template, "type")
    }

    /// Whether the templates of `package` have been loaded already.
    pub fn has_loaded(&self, package: &str) -> bool {
        self.loaded.contains(package)
    }

    /// Loads the templates of `owner`, with a question for each, answered by the recipes where they do.
    pub fn load(&mut self, text: &str, owner: &str) -> Result<(), TemplateError> {
        self.loaded.insert(owner.to_owned());
        for fields in templates::parse(text)? {
            let name = fields.get("template").cloned().unwrap_or_default();
            let kind = fields.get("type").cloned().unwrap_or_default();
            self.add_template(&name, owner, &kind);
            if let Some(template) = self.templates.get_mut(&name) {
                template.fields = fields;
                template.fields.remove("template");
            }
        }
        Ok(())
    }

    /// The template `name`, made when it is not there, and the question of its name, which gets another owner.
    fn add_template(&mut self, name: &str, owner: &str, kind: &str) {
        let template = self.templates.entry(name.to_owned()).or_default();
        template.fields.entry("type".to_owned()).or_insert_with(|| kind.to_owned());
        template.owners.insert(name.to_owned());
        let answer = self.answers.get(name);
        let question = self.questions.entry(name.to_owned()).or_insert_with(|| Question {
            value: answer.cloned(),
            flags: [("seen".to_owned(), answer.is_some().to_string())].into(),
            ..Question::default()
        });
        question.owners.insert(owner.to_owned());
        if question.template.is_empty() {
            question.template = name.to_owned();
        }
    }

    /// Whoever talks from now on; what was left unsaid by another script is forgotten.
    pub fn begin(&mut self, owner: &str, script: &str) {
        if self.session.owner != owner || self.session.script != script {
            self.session = Session { owner: owner.to_owned(), script: script.to_owned(), ..Session::default() };
        }
    }

    /// Presets an answer as debconf-set-selections(1) does.
    pub fn preset(&mut self, owner: &str, name: &str, kind: &str, value: &str) {
        if !self.templates.contains_key(name) {
            self.add_template(name, owner, kind);
            if let Some(template) = self.templates.get_mut(name) {
                template.fields.insert("description".to_owned(), "Dummy template".to_owned());
            }
        }
        let is_answered = self.answers.contains_key(name);
        let Some(question) = self.questions.get_mut(name) else { return };
        question.owners.insert(owner.to_owned());
        // The recipe's answer is the last word.
        if !is_answered {
            question.value = Some(value.to_owned());
        }
        question.flags.insert("seen".to_owned(), "true".to_owned());
    }

    /// Sets a flag of a question; `None` when there is no such question.
    pub fn set_flag(&mut self, name: &str, flag: &str, value: &str) -> Option<()> {
        let question = self.questions.get_mut(name)?;
        question.flags.insert(flag.to_owned(), value.to_owned());
        Some(())
    }

    /// The answer: the question's own, else the template's default, else nothing.
    pub fn value(&self, question: &Question) -> String {
        question.value.clone().unwrap_or_else(|| self.field(&question.template, "default"))
    }

    /// A field of a template in English, as the locale C.UTF-8 has it: `Default-en`, else `Default`. A field with a suffix
    /// falls back to the one without; what is not there is empty.
    ///
    /// `Default-en.UTF-8` counts only where debconf-i18n is installed, which no image needs.
    fn field(&self, template: &str, field: &str) -> String {
        let Some(Template { fields, .. }) = self.templates.get(template) else { return String::new() };
        let found = fields.get(&format!("{field}-en")).or_else(|| fields.get(field));
        let plain = field.split_once('-').map_or(field, |(plain, _)| plain);
        found.or_else(|| fields.get(plain)).cloned().unwrap_or_default()
    }

    /// A field as scripts see it: `Choices-C` where there is one, else `Choices`.
    fn field_in_c(&self, template: &str, field: &str) -> String {
        let fields = self.templates.get(template).map(|template| &template.fields);
        let found = fields.and_then(|fields| fields.get(&format!("{field}-c")).or_else(|| fields.get(field)));
        found.cloned().unwrap_or_default()
    }

    /// `text` with the question's variables filled in.
    fn expand(question: &Question, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, tail) = rest.split_at(start);
            let inner = tail.get(2..).unwrap_or_default();
            let Some(end) = inner.find(['{', '}']).filter(|end| *end > 0 && inner[*end..].starts_with('}')) else {
                out.push_str(before);
                out.push_str("${");
                rest = inner;
                continue;
            };
            let name = &inner[..end];
            match before.strip_suffix('\\') {
                Some(before) => {
                    out.push_str(before);
                    out.push_str(&format!("${{{name}}}"));
                }
                None => {
                    out.push_str(before);
                    out.push_str(question.variables.get(name).map_or("", String::as_str));
                }
            }
            rest = inner.get(end + 1..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    /// The choices of a question, as scripts spell them.
    fn choices(&self, question: &Question) -> Vec<String> {
        answers::split_list(&Self::expand(question, &self.field_in_c(&question.template, "choices")))
    }

    /// Takes `owner` away from the question, which goes when it was the last one.
    fn disown(&mut self, name: &str, owner: &str) {
        let Some(question) = self.questions.get_mut(name) else { return };
        if !question.owners.remove(owner) || !question.owners.is_empty() {
            return;
        }
        let template = question.template.clone();
        self.questions.remove(name);
        let Some(found) = self.templates.get_mut(&template) else { return };
        found.owners.remove(name);
        if found.owners.is_empty() {
            self.templates.remove(&template);
        }
    }
}

/// As debconf-escape(1) with `-e`: backslashes and line ends.
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// As debconf-escape(1) with `-u`.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests;
