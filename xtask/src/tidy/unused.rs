//! Dependencies that no source names.
//!
//! A name counts as used when `name::`, `use name` or `#[name` stands in a source of the crate, its tests included;
//! comments do not count.

use serde_json::Value;

/// Packages whose library has another name.
const LIBRARIES: [(&str, &str); 1] = [("md-5", "md5")];

/// A crate of the workspace.
pub(super) struct Crate {
    /// Its name.
    pub(super) name: String,
    /// Names of its dependencies as code writes them.
    pub(super) dependencies: Vec<String>,
    /// All of its sources, without comments.
    pub(super) code: String,
}

impl Crate {
    /// What `cargo metadata` says of a package; `code` is everything that its targets are compiled from.
    pub(super) fn of(package: &Value, code: String) -> Option<Self> {
        let name = package.get("name")?.as_str()?.to_owned();
        let dependency = |one: &Value| {
            let name = one.get("rename").and_then(Value::as_str).or(one.get("name").and_then(Value::as_str))?;
            let library = LIBRARIES.iter().find(|(package, _)| *package == name).map(|(_, library)| *library);
            Some(library.map_or_else(|| name.replace('-', "_"), str::to_owned))
        };
        let dependencies = package.get("dependencies")?.as_array()?.iter().filter_map(dependency).collect();
        Some(Self { name, dependencies, code })
    }

    /// One sentence for each dependency that nothing uses.
    pub(super) fn unused(&self) -> Vec<String> {
        let mut unused: Vec<&String> = self.dependencies.iter().filter(|name| !self.uses(name)).collect();
        unused.sort();
        unused.dedup();
        unused.iter().map(|name| format!("{}: nothing uses its dependency `{name}`", self.name)).collect()
    }

    fn uses(&self, name: &str) -> bool {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let stands_alone = |at: usize| {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + name.len()..].chars().next();
            !before.is_some_and(is_name) && !after.is_some_and(is_name)
        };
        let names_a_crate = |at: usize| {
            let rest = self.code[at + name.len()..].trim_start();
            let before = self.code[..at].trim_end();
            rest.starts_with("::") && !before.ends_with("::")
                || before.ends_with("use") && (rest.starts_with(';') || rest.starts_with("as "))
                || before.ends_with("#[")
        };
        self.code.match_indices(name).any(|(at, _)| stands_alone(at) && names_a_crate(at))
    }
}

/// A source without its comments.
pub(super) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        code.push_str(line);
        code.push('\n');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_that_no_source_names() {
        let check = |source: &str| {
            let package = serde_json::json!({"name": "hah-a", "dependencies": [
                {"name": "fs-err"}, {"name": "left-pad", "rename": "pad"}, {"name": "serde"}]});
            Crate::of(&package, code(source)).unwrap().unused()
        };
        let told = |name: &str| format!("hah-a: nothing uses its dependency `{name}`");
        assert_eq!(check("use fs_err as fs;\nfn a() { pad::left(serde::de) }\n"), [""; 0]);
        assert_eq!(check("// use fs_err;\nuse pad::Left;\n    //! serde::de\n"), [told("fs_err"), told("serde")]);
        assert_eq!(check("use my_fs_err::x; use a::pad::Left; #[serde(x)] struct A;"), [told("fs_err"), told("pad")]);
    }
}
