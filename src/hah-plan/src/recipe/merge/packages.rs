//! Packages, and the suites and archives that they come from.

use super::{Contribution, Merge};
use crate::recipe::model::{ArchiveEntry, Package, SuiteEntry};
use crate::recipe::problem::{Located, Problem};
use crate::system::{Archive, OwnArchive, PackageRequest, Suite};

impl Merge<'_> {
    pub(super) fn packages(&mut self, from: &Contribution<'_>) {
        self.suites(from);
        self.archives(from);
        for entry in &from.body.packages {
            if self.counts(from, entry) {
                self.package(&Located { value: entry.value.clone(), place: entry.place.clone() }, &from.author);
            }
        }
    }

    /// Asks for a package on behalf of `author`.
    pub(super) fn package(&mut self, package: &Located<Package>, author: &str) {
        let Package { name, suite, recommends } = package.value.clone();
        let suite = suite.map(|suite| suite.value);
        let request = PackageRequest { name, suite, recommends, recipe: author.to_owned() };
        let Some((earlier, place)) = self.packages.iter_mut().find(|(earlier, _)| earlier.name == request.name) else {
            self.packages.push((request, package.place.clone()));
            return;
        };
        let recommends = earlier.recommends || recommends;
        match (&earlier.suite, &request.suite) {
            (Some(first), Some(second)) if first != second => {
                let (package_name, first, second) = (request.name.to_string(), first.clone(), second.clone());
                let problem = Problem::TwoSuites { package: package_name, first, second };
                self.report.at_both(&package.place, problem, (place, "first asked for here"));
            }
            (None, Some(_)) => (*earlier, *place) = (request, package.place.clone()),
            _ => {}
        }
        earlier.recommends = recommends;
    }

    fn suites(&mut self, from: &Contribution<'_>) {
        for entry in &from.body.suites {
            if self.counts(from, entry) {
                self.suite(&Located { value: entry.value.clone(), place: entry.place.clone() }, &from.author);
            }
        }
    }

    /// Declares a suite on behalf of `author`. Components of one suite add up; in all else two that declare it agree.
    pub(super) fn suite(&mut self, declared: &Located<SuiteEntry>, author: &str) {
        let SuiteEntry { name, archive, components, expired, use_for } = declared.value.clone();
        let suite = Suite { name, archive, components, expired, use_for, recipe: author.to_owned() };
        let Some((earlier, place)) = self.suites.iter_mut().find(|(earlier, _)| earlier.name == suite.name) else {
            self.suites.push((suite, declared.place.clone()));
            return;
        };
        if (&earlier.archive, earlier.expired, earlier.use_for) == (&suite.archive, suite.expired, suite.use_for) {
            for component in suite.components {
                if !earlier.components.contains(&component) {
                    earlier.components.push(component);
                }
            }
            return;
        }
        let problem =
            Problem::Conflict { what: "suite", name: suite.name, first: earlier.recipe.clone(), second: suite.recipe };
        self.report.at_both(&declared.place, problem, (place, "first declared here"));
    }

    fn archives(&mut self, from: &Contribution<'_>) {
        for entry in &from.body.archives {
            let ArchiveEntry { name, uris, suites, components, key, architectures, expired, use_for } = &entry.value;
            let here = architectures.is_empty() || architectures.iter().any(|one| one == self.architecture.as_str());
            if !self.counts(from, entry) || !here {
                continue;
            }
            if let Some((earlier, place)) = self.archives.iter().find(|(earlier, _)| *earlier.name == **name) {
                let problem = Problem::Conflict {
                    what: "archive",
                    name: name.clone(),
                    first: earlier.recipe.clone(),
                    second: from.author.clone(),
                };
                self.report.at_both(&entry.place, problem, (place, "first declared here"));
                continue;
            }
            let archive = OwnArchive {
                name: name.as_str().into(),
                uris: uris.clone(),
                key: key.clone(),
                recipe: from.author.clone(),
            };
            for suite in suites {
                let suite = Suite {
                    name: format!("{name}/{suite}"),
                    archive: Archive::Own(archive.name.clone()),
                    components: components.clone(),
                    expired: *expired,
                    use_for: *use_for,
                    recipe: from.author.clone(),
                };
                self.suites.push((suite, entry.place.clone()));
            }
            self.archives.push((archive, entry.place.clone()));
        }
    }

    pub(super) fn check_packages(&mut self) {
        if self.suites.is_empty() {
            self.report.anywhere(Problem::NoSuites);
        }
        for (request, place) in &self.packages {
            if let Some(suite) = &request.suite
                && !self.suites.iter().any(|(known, _)| known.name == *suite)
            {
                let known = self.suites.iter().map(|(suite, _)| suite.name.clone()).collect();
                self.report.at(place, Problem::NoSuchSuite { suite: suite.clone(), known });
            }
        }
    }
}
