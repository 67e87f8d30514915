//! Circles among the modules of a crate.
//!
//! A module is what stands in `src`: a file, a directory, or both of one name. The modules of a crate must form a graph
//! without circles, so that whoever reads one of them needs only those further down; in the crates of [`DEEP`] those of each
//! directory, too. Parents and children may know each other: they are one thing in two files. Tests do not count.
//!
//! The graph is read from the text, which is enough for code that rustfmt has formatted: every path that begins with
//! `crate::` or `super::`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The crates without circles.
pub(super) const CRATES: [&str; 3] = ["hah-image", "hah-plan", "hah-agent"];
/// Those whose directories have none either.
const DEEP: [&str; 1] = ["hah-image"];
/// The one knot that is left. A native command may start another program, whose script the shell evaluates, and the passes
/// share systemd's enablement with `systemctl`: these modules stand for one thing, the evaluation of scripts.
const KNOT: (&str, [&str; 4]) = ("hah-plan", ["commands", "configure", "scripts", "shell"]);

/// A module's path below the crate's root.
type ModulePath = Vec<String>;

/// The sources of a crate, one by one.
#[derive(Default)]
pub(super) struct Modules {
    /// Name of the crate.
    name: &'static str,
    /// What each module refers to, and on which line first.
    references: BTreeMap<ModulePath, BTreeMap<ModulePath, usize>>,
    /// Modules that exist for tests only.
    tests: BTreeSet<ModulePath>,
}

impl Modules {
    /// None yet, of the crate `name`.
    pub(super) fn of(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Adds a source: its path below the crate's `src`, and its text.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        let path = module_path(name);
        let mut lines = (1..).zip(text.lines());
        let mut references: BTreeMap<ModulePath, usize> = BTreeMap::new();
        while let Some((number, line)) = lines.next() {
            if line == "#[cfg(test)]" {
                let Some((_, next)) = lines.next() else { break };
                match next.rsplit_once("mod ").and_then(|(_, name)| name.strip_suffix(';')) {
                    Some(module) => {
                        let above = path.iter().flatten().cloned();
                        self.tests.insert(above.chain([module.to_owned()]).collect());
                    }
                    // A module in place is the last thing of its file.
                    None if next.ends_with('{') && next.contains("mod ") => break,
                    None => {}
                }
                continue;
            }
            let code = line.split("//").next().unwrap_or_default();
            for target in path.iter().flat_map(|path| targets(code, path)) {
                references.entry(target).or_insert(number);
            }
        }
        if let Some(path) = path {
            self.references.insert(path, references);
        }
    }

    fn is_test(&self, path: &[String]) -> bool {
        self.tests.iter().any(|test| path.starts_with(test))
    }

    fn is_knot(&self, scope: &[String], from: &str, to: &str) -> bool {
        let (name, knot) = KNOT;
        scope.is_empty() && self.name == name && knot.contains(&from) && knot.contains(&to)
    }

    /// One sentence for each circle.
    pub(super) fn circles(&self) -> Vec<String> {
        let mut scopes: BTreeMap<ModulePath, BTreeMap<&str, BTreeMap<&str, String>>> = BTreeMap::new();
        for (from, targets) in self.references.iter().filter(|(from, _)| !self.is_test(from)) {
            for (to, line) in targets.iter().filter(|(to, _)| !self.is_test(to)) {
                let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
                let (Some(left), Some(right)) = (from.get(shared), to.get(shared)) else { continue };
                let counts = shared == 0 || DEEP.contains(&self.name);
                if counts && self.is_module(&to[..=shared]) && !self.is_knot(&from[..shared], left, right) {
                    let edges = scopes.entry(from[..shared].to_vec()).or_default().entry(left).or_default();
                    edges.entry(right).or_insert_with(|| format!("{}:{line}", from.join("::")));
                }
            }
        }
        let mut found = Vec::new();
        for (scope, edges) in &scopes {
            for circle in circles(edges) {
                let mut text = format!("{}modules in a circle:", prefix(scope));
                for (from, to) in circle.iter().zip(circle.iter().cycle().skip(1)) {
                    let place = edges.get(from).and_then(|targets| targets.get(to)).map_or("", String::as_str);
                    let _ = write!(text, " {from} → {to} ({place});");
                }
                found.push(text);
            }
        }
        found
    }

    fn is_module(&self, path: &[String]) -> bool {
        self.references.keys().any(|module| module.starts_with(path))
    }
}

fn prefix(scope: &[String]) -> String {
    if scope.is_empty() { String::new() } else { format!("{}: ", scope.join("::")) }
}

/// `["a", "b"]` of `a/b.rs`; none of the crate's root and of tests.
fn module_path(name: &str) -> Option<ModulePath> {
    let path: Vec<String> = name.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    let is_root = matches!(name, "lib.rs" | "main.rs" | "build.rs");
    let is_test = path.iter().any(|part| part == "tests");
    (!is_root && !is_test).then_some(path)
}

/// What a line refers to, as paths below the root.
fn targets(code: &str, module: &[String]) -> Vec<ModulePath> {
    let mut found = Vec::new();
    for root in ["crate::", "super::"] {
        let mut rest = code;
        while let Some(at) = rest.find(root) {
            let before = rest[..at].chars().next_back();
            let after = &rest[at + root.len()..];
            let starts = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '$'));
            rest = after;
            if !starts {
                continue;
            }
            let (mut base, mut after) = match root {
                "crate::" => (Vec::new(), after),
                _ => (module[..module.len() - 1].to_vec(), after),
            };
            while let Some(up) = after.strip_prefix("super::") {
                base.pop();
                after = up;
                rest = up;
            }
            found.extend(tails(after).into_iter().map(|tail| base.iter().cloned().chain(tail).collect::<Vec<_>>()));
        }
    }
    found
}

/// The names that a path goes on with: of `a::b::C` one, of `{a::B, c}` two.
fn tails(text: &str) -> Vec<ModulePath> {
    let mut found = Vec::new();
    let Some(group) = text.strip_prefix('{') else {
        found.push(names(text));
        return found;
    };
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(names(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|names| !names.is_empty());
    found
}

fn names(text: &str) -> ModulePath {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c: char| !is_name(c) && c != ':').unwrap_or(text.len());
    text[..end].split("::").take_while(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A circle of each knot of the graph: the shortest through its first member.
fn circles<'a>(edges: &BTreeMap<&'a str, BTreeMap<&'a str, String>>) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    let mut seen = BTreeSet::new();
    for start in edges.keys() {
        if seen.contains(start) {
            continue;
        }
        if let Some(circle) = circle_through(start, edges) {
            seen.extend(circle.iter().copied());
            found.push(circle);
        }
    }
    found
}

fn circle_through<'a>(start: &'a str, edges: &BTreeMap<&'a str, BTreeMap<&'a str, String>>) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = std::collections::VecDeque::from([start]);
    while let Some(at) = waiting.pop_front() {
        for next in edges.get(at).into_iter().flat_map(BTreeMap::keys) {
            if *next == start {
                let mut circle = vec![at];
                while let Some(before) = came_from.get(circle.last().copied().unwrap_or(start)) {
                    circle.push(before);
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, at);
                waiting.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(name: &'static str, sources: &[(&str, &str)]) -> Vec<String> {
        let mut modules = Modules::of(name);
        sources.iter().for_each(|(name, text)| modules.add(name, text));
        modules.circles()
    }

    #[test]
    fn circles_are_found_and_told_with_their_lines() {
        let sources = [
            ("lib.rs", "mod a;\nuse crate::a;"),
            ("a.rs", "//! Not crate::c.\nuse crate::b::{B, C};"),
            ("b/inner.rs", "use crate::{c, Root};"),
            ("b.rs", "mod inner;"),
            ("c.rs", "use super::a::A;\n#[cfg(test)]\nmod tests { use crate::d; }"),
            ("d.rs", "use crate::a::A; use hah_plan::crate::c;"),
            ("e.rs", "#[cfg(test)]\npub(crate) mod only;\nuse crate::d;"),
            ("e/only.rs", "use crate::d;\nuse crate::e;"),
            ("shell.rs", "use crate::commands;"),
            ("commands.rs", "use crate::shell;"),
        ];
        assert_eq!(
            circles_of("hah-plan", &sources),
            ["modules in a circle: a → b (a:2); b → c (b::inner:1); c → a (c:1);"]
        );
    }

    #[test]
    fn below_a_directory_too_and_not_with_the_parent() {
        let sources = [
            ("a.rs", "mod x; mod y; use x::X;"),
            ("a/x.rs", "use super::{y::Y, Parent};"),
            ("a/y.rs", "use super::x::X;"),
            ("a/x/deep.rs", "use super::super::y;\nuse super::X;"),
            ("a/x/tests.rs", "use crate::b;"),
        ];
        let found = ["a: modules in a circle: x → y (a::x:1); y → x (a::y:1);"];
        assert_eq!(circles_of("hah-image", &sources), found);
        assert_eq!(circles_of("hah-plan", &sources), [""; 0]);
        assert_eq!(
            circles_of("hah-image", &[("a.rs", "use crate::a::b;"), ("a/b.rs", "use crate::a::A; use super::A;")]),
            [""; 0]
        );
    }
}
