//! Packages, and the suites and archives that they come from.

use super::{Contribution, Merge};
use crate::recipe::model::{ArchiveEntry, SuiteEntry};
use crate::recipe::problem::Problem;
use crate::system::{Archive, OwnArchive, PackageRequest, Suite};

impl Merge<'_> {
    pub(super) fn packages(&mut self, from: &Contribution<'_>) {
        self.suites(from);
        self.archives(from);
        for entry in &from.body.packages {
            if !self.counts(from, entry) {
                continue;
            }
            let suite = entry.value.suite.as_ref().map(|suite| suite.value.clone());
            let recommends = entry.value.recommends;
            let request =
                PackageRequest { name: entry.value.name.clone(), suite, recommends, recipe: from.author.clone() };
            match self.packages.iter_mut().find(|(earlier, _)| earlier.name == request.name) {
                None => self.packages.push((request, entry.place.clone())),
                Some((earlier, place)) => {
                    let recommends = earlier.recommends || recommends;
                    match (&earlier.suite, &request.suite) {
                        (Some(first), Some(second)) if first != second => {
                            let (package, first, second) = (request.name.to_string(), first.clone(), second.clone());
                            let problem = Problem::TwoSuites { package, first, second };
                            self.report.at_both(&entry.place, problem, (place, "first asked for here"));
                        }
                        (None, Some(_)) => (*earlier, *place) = (request, entry.place.clone()),
                        _ => {}
                    }
                    earlier.recommends = recommends;
                }
            }
        }
    }

    /// Components of one suite add up; in all else two that declare it agree.
    fn suites(&mut self, from: &Contribution<'_>) {
        for entry in &from.body.suites {
            if !self.counts(from, entry) {
                continue;
            }
            let SuiteEntry { name, archive, components, expired, use_for } = entry.value.clone();
            let suite = Suite { name, archive, components, expired, use_for, recipe: from.author.clone() };
            let Some((earlier, place)) = self.suites.iter_mut().find(|(earlier, _)| earlier.name == suite.name) else {
                self.suites.push((suite, entry.place.clone()));
                continue;
            };
            if (&earlier.archive, earlier.expired, earlier.use_for) == (&suite.archive, suite.expired, suite.use_for) {
                for component in suite.components {
                    if !earlier.components.contains(&component) {
                        earlier.components.push(component);
                    }
                }
                continue;
            }
            let problem = Problem::Conflict {
                what: "suite",
                name: suite.name,
                first: earlier.recipe.clone(),
                second: suite.recipe,
            };
            self.report.at_both(&entry.place, problem, (place, "first declared here"));
        }
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
