//! The order in which packages are configured: dpkg's own, as far as it has one.
//!
//! A package comes after all that it depends on (Debian Policy 6.5 and 7.2). Essential packages come first, since nobody
//! declares a dependency on them; then those of priority `required`; then the others, each time in order of name.
//! Where dependencies go in a circle, dpkg breaks it at a package that has no `postinst`, and so do we; when all of the
//! circle have one, at its first member in that order. The order of `packages` does not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::debian::PackageName;
use crate::debian::control::{Stanza, only_stanza};
use crate::debian::relation::Relations;
use crate::rootfs::UnpackedPackage;

/// Indexes into `packages`, in the order of configuration.
pub(super) fn configure_order(packages: &[UnpackedPackage]) -> Vec<usize> {
    let texts: Vec<String> = packages.iter().map(control_text).collect();
    let stanzas: Vec<Option<Stanza<'_>>> = texts.iter().map(|text| only_stanza(text).ok()).collect();
    let providers = providers(packages, &stanzas);
    let needs: Vec<Vec<usize>> = stanzas.iter().map(|stanza| needs_of(stanza.as_ref(), &providers)).collect();
    let mut queue: Vec<usize> = (0..packages.len()).collect();
    queue.sort_by_key(|&index| (rank(stanzas[index].as_ref()), &packages[index].name));
    let silent: Vec<bool> = packages.iter().map(|package| !package.control.contains_key("postinst")).collect();
    let mut order = Ordering { needs, silent, state: vec![State::New; packages.len()], out: Vec::new() };
    for index in queue {
        order.visit(index);
    }
    order.out
}

/// Indexes of `package` and of all packages that need it, directly or not, in order.
pub fn dependents(packages: &[UnpackedPackage], package: &PackageName) -> BTreeSet<usize> {
    let texts: Vec<String> = packages.iter().map(control_text).collect();
    let stanzas: Vec<Option<Stanza<'_>>> = texts.iter().map(|text| only_stanza(text).ok()).collect();
    let providers = providers(packages, &stanzas);
    let needs: Vec<Vec<usize>> = stanzas.iter().map(|stanza| needs_of(stanza.as_ref(), &providers)).collect();
    let mut found: BTreeSet<usize> = (0..packages.len()).filter(|&index| packages[index].name == *package).collect();
    loop {
        let more: BTreeSet<usize> = (0..packages.len())
            .filter(|index| !found.contains(index) && needs[*index].iter().any(|need| found.contains(need)))
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The control stanza's text.
pub(super) fn control_text(package: &UnpackedPackage) -> String {
    package.control.get("control").map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

fn rank(stanza: Option<&Stanza<'_>>) -> u8 {
    let is = |field: &str, value: &str| stanza.and_then(|stanza| stanza.get(field)) == Some(value);
    match () {
        () if is("Essential", "yes") => 0,
        () if is("Priority", "required") => 1,
        () => 2,
    }
}

/// Who is, or provides, each name.
fn providers(packages: &[UnpackedPackage], stanzas: &[Option<Stanza<'_>>]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut providers: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (index, package) in packages.iter().enumerate() {
        providers.entry(package.name.to_string()).or_default().insert(index);
        for name in stanzas[index].as_ref().map(|stanza| names_in(stanza, "Provides")).unwrap_or_default() {
            providers.entry(name).or_default().insert(index);
        }
    }
    providers
}

fn needs_of(stanza: Option<&Stanza<'_>>, providers: &BTreeMap<String, BTreeSet<usize>>) -> Vec<usize> {
    let Some(stanza) = stanza else { return Vec::new() };
    let names = ["Pre-Depends", "Depends"].into_iter().flat_map(|field| names_in(stanza, field));
    let found: BTreeSet<usize> = names.filter_map(|name| providers.get(&name)).flatten().copied().collect();
    found.into_iter().collect()
}

/// Every name of a relation field, alternatives included. A field that cannot be read counts as empty: the resolver has
/// refused such a package before.
fn names_in(stanza: &Stanza<'_>, field: &str) -> Vec<String> {
    let relations: Relations = stanza.get(field).and_then(|text| text.parse().ok()).unwrap_or_default();
    relations.iter().flat_map(|alternatives| &alternatives.0).map(|relation| relation.name.to_string()).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Visiting,
    Done,
}

struct Ordering {
    needs: Vec<Vec<usize>>,
    /// Whether the package has no `postinst`.
    silent: Vec<bool>,
    state: Vec<State>,
    out: Vec<usize>,
}

impl Ordering {
    /// Depth first, with a stack of its own: dependencies can be deeper than the machine's.
    fn visit(&mut self, start: usize) {
        if self.state[start] != State::New {
            return;
        }
        let mut stack = vec![(start, 0)];
        self.state[start] = State::Visiting;
        while let Some((index, next)) = stack.pop() {
            let Some(&need) = self.needs[index].get(next) else {
                self.state[index] = State::Done;
                self.out.push(index);
                continue;
            };
            stack.push((index, next + 1));
            if self.state[need] == State::New {
                self.state[need] = State::Visiting;
                stack.push((need, 0));
            } else if self.state[need] == State::Visiting && self.silent[need] && need != index {
                // A circle that closes at a package without a postinst: it is configured here, before the others.
                self.state[need] = State::Done;
                self.out.push(need);
                stack.retain(|(open, _)| *open != need);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::Root;

    fn package(name: &str, control: &str, scripts: &[&str]) -> UnpackedPackage {
        let text = format!("Package: {name}\nVersion: 1\nArchitecture: all\n{control}");
        let members = scripts.iter().map(|script| ((*script).to_owned(), b"#!/bin/sh\n".to_vec()));
        UnpackedPackage {
            name: name.parse().unwrap(),
            version: "1".parse().unwrap(),
            architecture: "all".parse().unwrap(),
            control: members.chain([("control".to_owned(), text.into_bytes())]).collect(),
            tree: Root::new(),
        }
    }

    fn order(packages: &[UnpackedPackage]) -> Vec<&str> {
        configure_order(packages).into_iter().map(|index| packages[index].name.as_str()).collect()
    }

    #[test]
    fn dependencies_come_first_and_essential_packages_before_all() {
        let packages = [
            package("app", "Depends: awk, lib | other, zlib (>= 1)\n", &["postinst"]),
            package("dash", "Essential: yes\nPre-Depends: libc\n", &[]),
            package("lib", "", &[]),
            package("libc", "", &[]),
            package("mawk", "Provides: awk\n", &[]),
            package("required", "Priority: required\n", &[]),
            package("zlib", "", &[]),
        ];
        assert_eq!(order(&packages), ["libc", "dash", "required", "lib", "mawk", "zlib", "app"]);
    }

    #[test]
    fn a_circle_is_broken_at_a_package_without_a_postinst() {
        let packages = [
            package("aa", "Depends: bb\n", &["postinst"]),
            package("bb", "Depends: cc\n", &[]),
            package("cc", "Depends: bb, aa\n", &["postinst"]),
            package("self", "Depends: self\n", &[]),
        ];
        assert_eq!(order(&packages), ["bb", "cc", "aa", "self"]);
    }
}
