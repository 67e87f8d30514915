//! The table of differences that are right: `explained.toml`.
//!
//! ```toml
//! [[difference]]                   # a path that differs, or that one side does not have
//! paths = ["/var/cache/man/**"]    # `*` matches within a name, `**` anything
//! side = "theirs"                  # who has it: "ours", "theirs", or "both", with what differs in `of`
//! of = ["content"]
//! groups = ["services"]            # where something else than the usual packages is needed for it
//! reason = "…"
//!
//! [[package]]                      # a package that only dpkg installs: its files, its entries in the database
//! names = ["adduser"]
//! reason = "…"
//!
//! [[meaning]]                      # files whose bytes differ and which must say the same
//! paths = ["/var/lib/dpkg/status"]
//! as = "stanzas"
//! reason = "…"
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::tree::{Facts, Tree};

const TABLE: &str = include_str!("explained.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    difference: Vec<Difference>,
    package: Vec<Package>,
    meaning: Vec<Meaning>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Ours,
    Theirs,
    Both,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    paths: Vec<String>,
    side: Side,
    #[serde(default)]
    of: BTreeSet<String>,
    #[serde(default)]
    groups: Vec<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    names: BTreeSet<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meaning {
    paths: Vec<String>,
    #[serde(rename = "as")]
    form: Form,
    #[serde(default)]
    groups: Vec<String>,
    reason: String,
}

/// How two texts are compared that need not be the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// Lines in any order.
    Lines,
    /// Groups of three lines in any order.
    Triples,
    /// passwd(5), group(5) and shadow(5): lines in any order, without ids and without the day of the last change.
    Accounts,
    /// Paragraphs of control data in any order, of the packages that both have.
    Stanzas,
}

/// The table, and which of its rows have explained something so far: each pattern and name counts on its own.
pub(super) struct Explanations {
    table: Table,
    used: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// Packages of the group that only dpkg installs, in the table or not.
    extra: BTreeSet<String>,
    common: BTreeSet<String>,
}

impl Explanations {
    pub(super) fn read() -> Self {
        let table: Table = toml::from_str(TABLE).unwrap();
        let empty = BTreeSet::new;
        Self { table, used: empty(), groups: empty(), extra: empty(), common: empty() }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.table.difference.len() + self.table.package.len() + self.table.meaning.len()
    }

    /// Turns to the next group.
    pub(super) fn begin(&mut self, group: &str, ours: &Tree, theirs: &Tree) {
        self.groups.insert(group.to_owned());
        self.extra = theirs.packages.difference(&ours.packages).cloned().collect();
        self.common = theirs.packages.intersection(&ours.packages).cloned().collect();
    }

    /// What differs at `path` and no row explains.
    pub(super) fn unexplained(&mut self, path: &str, ours: &Tree, theirs: &Tree) -> Vec<String> {
        match (ours.nodes.get(path), theirs.nodes.get(path)) {
            (Some(here), None) if !self.explains(path, Side::Ours, "") => vec![format!("only ours: {path} {here:?}")],
            (None, Some(there)) if !self.explains_package(path, theirs) && !self.explains(path, Side::Theirs, "") => {
                vec![format!("only dpkg's: {path} {there:?}")]
            }
            (Some(here), Some(there)) => {
                let mut left = Vec::new();
                for what in different(here, there) {
                    if what == "content" && self.means_the_same(path, ours, theirs) {
                        continue;
                    }
                    if !self.explains(path, Side::Both, &what) {
                        let none = "none".to_owned();
                        let (here, there) = (here.get(&what).unwrap_or(&none), there.get(&what).unwrap_or(&none));
                        left.push(format!("{path}: {what} is {here}, dpkg's is {there}"));
                    }
                }
                left
            }
            _ => Vec::new(),
        }
    }

    /// Whether it belongs to packages of the table, and to no other.
    fn explains_package(&mut self, path: &str, theirs: &Tree) -> bool {
        let owners = theirs.owners(path);
        let known = |name: &String| self.table.package.iter().any(|row| row.names.contains(name));
        let is_explained = !owners.is_empty() && owners.iter().all(|owner| self.extra.contains(owner) && known(owner));
        if is_explained {
            self.used.extend(owners);
        }
        is_explained
    }

    fn explains(&mut self, path: &str, side: Side, what: &str) -> bool {
        let mut is_explained = false;
        for row in &self.table.difference {
            if row.side != side || (side == Side::Both && !row.of.contains(what)) {
                continue;
            }
            for pattern in row.paths.iter().filter(|pattern| matches(pattern, path)) {
                self.used.insert(format!("{side:?} {pattern}"));
                is_explained = true;
            }
        }
        is_explained
    }

    fn means_the_same(&mut self, path: &str, ours: &Tree, theirs: &Tree) -> bool {
        let (Some(here), Some(there)) = (ours.text(path), theirs.text(path)) else { return false };
        for row in &self.table.meaning {
            for pattern in row.paths.iter().filter(|pattern| matches(pattern, path)) {
                if normal(row.form, path, &here, &self.common) == normal(row.form, path, &there, &self.common) {
                    self.used.insert(pattern.clone());
                    return true;
                }
            }
        }
        false
    }

    /// Patterns and names that explained nothing, with their reasons. A row for some groups counts when one of them is there.
    pub(super) fn unused(&self) -> Vec<String> {
        let mut all: Vec<(String, &String)> = Vec::new();
        let counts = |groups: &[String]| groups.is_empty() || groups.iter().any(|group| self.groups.contains(group));
        for row in &self.table.difference {
            if counts(&row.groups) {
                all.extend(row.paths.iter().map(|path| (format!("{:?} {path}", row.side), &row.reason)));
            }
        }
        all.extend(self.table.package.iter().flat_map(|row| row.names.iter().map(|name| (name.clone(), &row.reason))));
        let meanings = self.table.meaning.iter().filter(|row| counts(&row.groups));
        all.extend(meanings.flat_map(|row| row.paths.iter().map(|path| (path.clone(), &row.reason))));
        all.retain(|(word, _)| !self.used.contains(word));
        all.into_iter().map(|(word, reason)| format!("{word}: {reason}")).collect()
    }
}

/// What two nodes do not have in common.
fn different(here: &Facts, there: &Facts) -> BTreeSet<String> {
    let all = here.keys().chain(there.keys());
    all.filter(|what| here.get(*what) != there.get(*what)).cloned().collect()
}

fn normal(form: Form, path: &str, text: &str, common: &BTreeSet<String>) -> Vec<String> {
    let lines = || text.lines().map(str::to_owned);
    let mut parts: Vec<String> = match form {
        Form::Lines => lines().collect(),
        Form::Triples => {
            let lines: Vec<String> = lines().collect();
            lines.chunks(3).map(|triple| triple.join(" ")).collect()
        }
        Form::Accounts => {
            let fields: &[usize] = match path.rsplit('/').next().unwrap() {
                "passwd" => &[2, 3],
                "group" | "shadow" => &[2],
                _ => &[],
            };
            let without = |line: String| {
                let mut words: Vec<&str> = line.split(':').collect();
                for field in fields {
                    words[*field] = "";
                }
                words.join(":")
            };
            lines().map(without).collect()
        }
        Form::Stanzas => {
            let stanzas = text.split("\n\n").map(|stanza| stanza.trim_matches('\n'));
            let name = |stanza: &str| stanza.lines().next().unwrap_or_default().replace("Package: ", "");
            let stanzas = stanzas.filter(|stanza| common.contains(&name(stanza)));
            stanzas.map(|stanza| fields(stanza).into_values().collect::<Vec<_>>().join("\n")).collect()
        }
    };
    parts.sort();
    parts
}

/// The fields of a stanza by name, each with its continuation lines.
fn fields(stanza: &str) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in stanza.lines() {
        if !line.starts_with([' ', '\t']) {
            current = line.split(':').next().unwrap_or_default().to_owned();
        }
        let field = fields.entry(current.clone()).or_default();
        field.push_str(line);
        field.push('\n');
    }
    fields
}

/// Whether a pattern with `*` (within a name) and `**` (anything) matches the whole path.
fn matches(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == path };
    let Some(rest) = path.strip_prefix(before) else { return false };
    let (after, is_deep) = after.strip_prefix('*').map_or((after, false), |after| (after, true));
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    let reachable = |end: &usize| is_deep || !rest[..*end].contains('/');
    ends.filter(reachable).any(|end| matches(after, &rest[end..]))
}

#[test]
fn patterns_match_whole_paths() {
    assert!(matches("/run/**", "/run/lock/x") && matches("/etc/passwd", "/etc/passwd"));
    assert!(matches("/etc/*-", "/etc/group-") && matches("**/__pycache__/**", "/usr/lib/a/__pycache__/b.pyc"));
    assert!(!matches("/etc/*-", "/etc/a/group-") && !matches("/etc/passwd", "/etc/passwd-"));
    assert!(!matches("/run/**", "/runs") && !matches("/a*b", "/acd"));
}

#[test]
fn the_table_is_short_and_has_reasons() {
    let Explanations { table, .. } = Explanations::read();
    let reasons = table.difference.iter().map(|row| &row.reason);
    let reasons = reasons.chain(table.package.iter().map(|row| &row.reason));
    let reasons: Vec<&String> = reasons.chain(table.meaning.iter().map(|row| &row.reason)).collect();
    assert!(reasons.len() < 60, "{} rows", reasons.len());
    assert!(reasons.iter().all(|reason| reason.len() > 20), "{reasons:?}");
    let both = table.difference.iter().filter(|row| row.side == Side::Both);
    assert!(both.map(|row| &row.of).all(|of| !of.is_empty()));
}

#[test]
fn a_difference_without_a_row_and_a_row_without_a_difference_are_found() {
    let facts = |content: &str| Facts::from([("content".to_owned(), content.to_owned())]);
    assert_eq!(different(&facts("a"), &facts("b")), BTreeSet::from(["content".to_owned()]));
    assert_eq!(different(&facts("a"), &facts("a")), BTreeSet::new());
    let mut explanations = Explanations::read();
    assert!(!explanations.explains("/usr/bin/dpkg", Side::Both, "mode"));
    let before = explanations.unused().len();
    assert!(explanations.explains("/run/lock/x", Side::Theirs, ""));
    assert_eq!(explanations.unused().len(), before - 1);
}

#[test]
fn order_ids_and_dates_mean_nothing_and_everything_else_does() {
    let none = BTreeSet::new();
    let same =
        |form, path: &str, here: &str, there: &str| normal(form, path, here, &none) == normal(form, path, there, &none);
    assert!(same(Form::Lines, "", "a\nb\n", "b\na\n") && !same(Form::Lines, "", "a\n", "a\na\n"));
    assert!(same(Form::Triples, "", "a\nb\nc\nd\ne\nf\n", "d\ne\nf\na\nb\nc\n"));
    assert!(!same(Form::Triples, "", "a\nb\nc\n", "b\na\nc\n"));
    assert!(same(Form::Accounts, "/etc/passwd", "a:x:1:2:A:/:/s\n", "a:x:3:4:A:/:/s\n"));
    assert!(!same(Form::Accounts, "/etc/passwd", "a:x:1:2:A:/:/s\n", "a:x:1:2:A:/a:/s\n"));
    assert!(same(Form::Accounts, "/etc/shadow", "a:*:1:0:::::\n", "a:*:2:0:::::\n"));
    assert!(!same(Form::Accounts, "/etc/shadow", "a:*:1:0:::::\n", "a:!:1:0:::::\n"));
    let common = BTreeSet::from(["a".to_owned()]);
    let stanzas = "Package: a\nStatus: x\nConffiles:\n /e 1\n\nPackage: b\nStatus: y\n";
    assert_eq!(normal(Form::Stanzas, "", stanzas, &common).len(), 1);
    let other = "Package: a\nConffiles:\n /e 2\nStatus: x\n";
    assert_ne!(normal(Form::Stanzas, "", stanzas, &common), normal(Form::Stanzas, "", other, &common));
}
