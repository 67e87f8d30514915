//! Merging: recipes in order, then the image, into one [`System`].
//!
//! Two that say the same thing about one name are a conflict, reported with both places, unless the later one says
//! `replace = true`. Saying the very same is no conflict, except for contents of files, which have one author.

mod packages;
mod jobs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hah_format::path::TreePath;

use super::answers::Answers;
use super::artifacts::{self, Rendered};
use super::hardware::BoardFile;
use super::model::{
    Access, Beside, Body, Content, Directory, Entry, File, Group, Image, Remove, Replace, Script, Template, Unit, User,
};
use super::order::Order;
use super::problem::{Place, Problem, Report};
use super::template::Scope;
use crate::board::Table;
use crate::debian::{Architecture, PackageName};
use crate::line_ends;
use crate::scripts::{ScriptAction, ScriptChoice, ScriptKind};
use crate::system::{
    DirectorySpec, FileSpec, GroupSpec, OwnArchive, PackageRequest, Password, Provided, RemoveSpec, Suite, SymlinkSpec,
    System, UnitSpec, UnitState, UserSpec,
};

/// Units and drop-ins of recipes go here, where they take precedence over the packages' own in `/usr/lib`.
const UNITS: &str = "etc/systemd/system";
/// Kernel variables go here, one file a recipe.
const SYSCTL: &str = "etc/sysctl.d";

/// Everything that has been read and found good.
pub(super) struct Parts {
    pub(super) image: Image,
    pub(super) board: BoardFile,
    pub(super) table: Table,
    pub(super) order: Order,
}

/// A declared thing and who declared it.
pub(super) struct Claim<T> {
    pub(super) value: T,
    pub(super) place: Place,
    author: String,
}

/// Things of one kind by name.
pub(super) struct Claims<K, T> {
    what: &'static str,
    by_name: BTreeMap<K, Claim<T>>,
}

/// Whether two authors may say the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sameness {
    Agrees,
    Conflicts,
}

impl<K: Ord + ToString, T> Claims<K, T> {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, by_name: BTreeMap::new() }
    }

    fn add(&mut self, name: K, claim: Claim<T>, rule: (Replace, Sameness), report: &mut Report) {
        match self.by_name.get(&name) {
            Some(earlier) if rule == (Replace::Refuse, Sameness::Conflicts) => {
                let problem = Problem::Conflict {
                    what: self.what,
                    name: name.to_string(),
                    first: earlier.author.clone(),
                    second: claim.author.clone(),
                };
                report.at_both(&claim.place, problem, (&earlier.place, "first declared here"));
            }
            Some(_) if rule.0 == Replace::Refuse => {}
            _ => {
                self.by_name.insert(name, claim);
            }
        }
    }

    /// Adds a thing that may be said twice if it is said alike.
    pub(super) fn agree(&mut self, name: K, claim: Claim<T>, replace: Replace, report: &mut Report)
    where
        T: PartialEq,
    {
        let same = self.by_name.get(&name).is_some_and(|earlier| earlier.value == claim.value);
        let sameness = if same { Sameness::Agrees } else { Sameness::Conflicts };
        self.add(name, claim, (replace, sameness), report);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Claim<T>)> {
        self.by_name.iter()
    }

    pub(super) fn into_vec<U>(self, mut f: impl FnMut(K, T, String) -> U) -> Vec<U> {
        self.by_name.into_iter().map(|(name, claim)| f(name, claim.value, claim.author)).collect()
    }
}

/// A maintainer script, as messages call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ScriptName {
    package: PackageName,
    kind: ScriptKind,
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind, self.package)
    }
}

/// A body and who wrote it.
pub(super) struct Contribution<'a> {
    /// `base`, or `image lab`.
    author: String,
    /// The recipe whose parameters templates see; for an image, a name that no recipe has.
    pub(super) scope: &'a str,
    pub(super) body: &'a Body,
}

impl Contribution<'_> {
    pub(super) fn claim<T>(&self, value: T, place: &Place) -> Claim<T> {
        Claim { value, place: place.clone(), author: self.author.clone() }
    }
}

struct Merge<'a> {
    scope: &'a Scope,
    architecture: Architecture,
    report: &'a mut Report,
    artifacts: Claims<String, Rendered>,
    files: Claims<TreePath, (Access, Vec<u8>)>,
    directories: Claims<TreePath, (u16, String, String)>,
    symlinks: Claims<TreePath, String>,
    users: Claims<String, (User, Password)>,
    groups: Claims<String, u32>,
    states: Claims<String, UnitState>,
    nomad_jobs: Claims<String, (Vec<u8>, Beside)>,
    sysctl: Claims<String, String>,
    provided: Claims<PackageName, String>,
    os_release: Claims<String, String>,
    answers: Answers,
    suites: Vec<(Suite, Place)>,
    archives: Vec<(OwnArchive, Place)>,
    packages: Vec<(PackageRequest, Place)>,
    removes: Vec<RemoveSpec>,
    cmdline: Vec<String>,
    scripts: Claims<ScriptName, (ScriptAction, String)>,
    persist: Vec<TreePath>,
}

/// Renders and merges. Call it only with parts in which nothing is wrong; `None` goes with a report.
pub(super) fn merge(parts: &Parts, scope: &Scope, report: &mut Report) -> Option<System> {
    let Parts { image, board, table, order } = parts;
    let mut merge = Merge::new(scope, board.board.architecture, report);
    merge.board(board);
    for recipe in &order.recipes {
        merge.body(&Contribution { author: recipe.name.clone(), scope: &recipe.name, body: &recipe.body });
    }
    merge.body(&Contribution { author: format!("image {}", image.name), scope: "", body: &image.body });
    merge.sysctl_files();
    let nomad_jobs = merge.nomad_job_files();
    merge.check_paths();
    merge.check_ids();
    merge.answers.check(merge.report);
    merge.check_packages();
    if !merge.report.is_empty() {
        return None;
    }
    let (debconf, ids) = merge.answers.into_parts();
    let requested: BTreeSet<PackageName> = merge.packages.iter().map(|(request, _)| request.name.clone()).collect();
    Some(System {
        image: image.name.clone(),
        summary: image.summary.clone(),
        architecture: board.board.architecture,
        board: board.board.clone(),
        table: *table,
        recipes: order.recipes.iter().map(|recipe| recipe.name.clone()).collect(),
        suites: merge.suites.into_iter().map(|(suite, _)| suite).collect(),
        archives: merge.archives.into_iter().map(|(archive, _)| archive).collect(),
        packages: merge.packages.into_iter().map(|(request, _)| request).collect(),
        // What somebody asks for is installed, whatever the image could do without.
        provided: (merge.provided.by_name.into_iter())
            .filter(|(name, _)| !requested.contains(name))
            .map(|(name, claim)| (name, Provided { reason: claim.value, recipe: claim.author }))
            .collect(),
        artifacts: merge.artifacts.into_vec(|_, rendered, recipe| rendered.into_artifact(recipe)),
        files: merge.files.into_vec(|path, (Access { mode, owner, group }, bytes), recipe| FileSpec {
            path,
            user: owner,
            group,
            mode,
            bytes,
            recipe,
        }),
        directories: (merge.directories).into_vec(|path, (mode, user, group), recipe| DirectorySpec {
            path,
            user,
            group,
            mode,
            recipe,
        }),
        symlinks: merge.symlinks.into_vec(|path, target, recipe| SymlinkSpec { path, target, recipe }),
        removes: merge.removes,
        users: merge.users.into_vec(user_spec),
        groups: merge.groups.into_vec(|name, gid, recipe| GroupSpec { name, gid, recipe }),
        units: merge.states.into_vec(|name, state, recipe| UnitSpec { name, state, recipe }),
        nomad_jobs,
        kernel_cmdline: merge.cmdline,
        scripts: merge.scripts.into_vec(|ScriptName { package, kind }, (action, reason), recipe| ScriptChoice {
            package,
            kind,
            action,
            reason: reason.into(),
            recipe: recipe.into(),
        }),
        persist: {
            merge.persist.sort();
            merge.persist.dedup();
            merge.persist
        },
        os_release: merge.os_release.by_name.into_iter().map(|(name, claim)| (name, claim.value)).collect(),
        debconf,
        ids,
        hostname_prefix: image.hostname_prefix.clone(),
        boot_bytes: image.boot_bytes,
    })
}

fn user_spec(name: String, (user, password): (User, Password), recipe: String) -> UserSpec {
    let User { uid, group, groups, home, home_kind, shell, comment, .. } = user;
    UserSpec { name, uid, group, groups, home, home_kind, shell, comment, password, recipe }
}

impl<'a> Merge<'a> {
    fn new(scope: &'a Scope, architecture: Architecture, report: &'a mut Report) -> Self {
        Self {
            scope,
            architecture,
            report,
            artifacts: Claims::new("artifact"),
            files: Claims::new("file"),
            directories: Claims::new("directory"),
            symlinks: Claims::new("symbolic link"),
            users: Claims::new("user"),
            groups: Claims::new("group"),
            states: Claims::new("the state of unit"),
            nomad_jobs: Claims::new("Nomad job"),
            sysctl: Claims::new("kernel variable"),
            provided: Claims::new("the reason to provide"),
            os_release: Claims::new("os-release field"),
            answers: Answers::new(),
            suites: Vec::new(),
            archives: Vec::new(),
            packages: Vec::new(),
            removes: Vec::new(),
            cmdline: Vec::new(),
            scripts: Claims::new("what becomes of the script"),
            persist: Vec::new(),
        }
    }

    fn board(&mut self, file: &BoardFile) {
        let author = format!("board {}", file.board.name);
        self.cmdline.extend(file.board.cmdline.iter().cloned());
        for provided in &file.provides {
            let (name, reason) = provided.value.clone();
            let claim = Claim { value: reason, place: provided.place.clone(), author: author.clone() };
            self.provided.add(name, claim, (Replace::Refuse, Sameness::Agrees), self.report);
        }
        self.removes.extend(file.removes.iter().cloned());
        for suite in &file.suites {
            self.suite(suite, &author);
        }
        for package in &file.packages {
            self.package(package, &author);
        }
    }

    fn body(&mut self, from: &Contribution<'_>) {
        let body = from.body;
        self.packages(from);
        for entry in &body.provides {
            let (name, reason) = entry.value.clone();
            // Two reasons are as good as one: the first stays.
            self.provided.add(name, from.claim(reason, &entry.place), (Replace::Refuse, Sameness::Agrees), self.report);
        }
        for entry in &body.os_release {
            let (name, value) = entry.value.clone();
            self.os_release.agree(name, from.claim(value, &entry.place), entry.replace, self.report);
        }
        for entry in &body.scripts {
            let Script { package, kind, action, reason } = entry.value.clone();
            let claim = from.claim((action, reason), &entry.place);
            self.scripts.add(ScriptName { package, kind }, claim, (entry.replace, Sameness::Conflicts), self.report);
        }
        self.answers.add(from, self.scope, self.report);
        self.artifacts(from);
        self.persist.extend(body.persist.iter().map(|entry| entry.value.clone()));
        self.tree(from);
        for entry in body.removes.iter().filter(|entry| self.counts(from, entry)).collect::<Vec<_>>() {
            let Remove { pattern, except } = &entry.value;
            let recipe = from.author.clone();
            self.removes.push(RemoveSpec { pattern: pattern.clone(), except: except.clone(), recipe });
        }
        self.accounts(from);
        self.units(from);
        for entry in &body.nomad_jobs {
            if self.counts(from, entry)
                && let Some(bytes) = self.scope.content(from.scope, &entry.value.content, self.report)
            {
                let claim = from.claim((bytes, entry.value.beside.clone()), &entry.place);
                self.nomad_jobs.add(entry.value.name.clone(), claim, (entry.replace, Sameness::Conflicts), self.report);
            }
        }
        for entry in body.sysctl.iter() {
            if self.counts(from, entry)
                && let Some(value) = self.line(from, &entry.value.value)
            {
                let name = entry.value.name.clone();
                self.sysctl.agree(name, from.claim(value, &entry.place), entry.replace, self.report);
            }
        }
        for entry in body.cmdline.iter() {
            if self.counts(from, entry)
                && let Some(word) = self.line(from, &entry.value)
            {
                if word.contains(char::is_whitespace) {
                    let reason = format!("`{word}` is not one word of the kernel command line");
                    self.report.at(&entry.place, Problem::Invalid { reason, hint: "give each word its own entry" });
                }
                self.cmdline.extend((!word.is_empty()).then_some(word));
            }
        }
    }

    fn counts<T>(&mut self, from: &Contribution<'_>, entry: &Entry<T>) -> bool {
        self.scope.holds(from.scope, entry.when.as_ref(), self.report)
    }

    /// A template whose result must be one line.
    fn line(&mut self, from: &Contribution<'_>, template: &Template) -> Option<String> {
        let text = self.scope.render(from.scope, template, self.report)?;
        if text.chars().any(char::is_control) {
            let reason = "the rendered text is more than one line".to_owned();
            self.report.at(&template.place, Problem::Invalid { reason, hint: "" });
            return None;
        }
        Some(text)
    }

    fn artifacts(&mut self, from: &Contribution<'_>) {
        for entry in &from.body.artifacts {
            if self.counts(from, entry)
                && let Some(rendered) =
                    artifacts::render(entry, (self.scope, from.scope), self.architecture, self.report)
            {
                let claim = from.claim(rendered, &entry.place);
                self.artifacts.add(entry.value.name.clone(), claim, (entry.replace, Sameness::Conflicts), self.report);
            }
        }
    }

    fn tree(&mut self, from: &Contribution<'_>) {
        for entry in &from.body.files {
            if self.counts(from, entry)
                && let Some(bytes) = self.scope.content(from.scope, &entry.value.content, self.report)
            {
                let File { path, access, .. } = &entry.value;
                if let Some(flaw) = line_ends::script_flaw(&bytes) {
                    let reason = format!("`/{}` {}", path.as_str(), flaw.reason());
                    self.report.at(&entry.place, Problem::Invalid { reason, hint: flaw.hint() });
                }
                let claim = from.claim((access.clone(), bytes), &entry.place);
                self.files.add(path.clone(), claim, (entry.replace, Sameness::Conflicts), self.report);
            }
        }
        for entry in &from.body.directories {
            if self.counts(from, entry) {
                let Directory { path, access } = &entry.value;
                let access = (access.mode, access.owner.clone(), access.group.clone());
                self.directories.agree(path.clone(), from.claim(access, &entry.place), entry.replace, self.report);
            }
        }
        for entry in &from.body.symlinks {
            if self.counts(from, entry)
                && let Some(target) = self.line(from, &entry.value.target)
            {
                let path = entry.value.path.clone();
                self.symlinks.agree(path, from.claim(target, &entry.place), entry.replace, self.report);
            }
        }
    }

    fn accounts(&mut self, from: &Contribution<'_>) {
        for entry in &from.body.groups {
            if self.counts(from, entry) {
                let Group { name, gid } = &entry.value;
                self.groups.agree(name.clone(), from.claim(*gid, &entry.place), entry.replace, self.report);
            }
        }
        for entry in &from.body.users {
            if !self.counts(from, entry) {
                continue;
            }
            let hash = match &entry.value.password_hash {
                Some(template) => self.line(from, template),
                None => Some(String::new()),
            };
            let password = match hash {
                None => continue,
                Some(hash) if hash.is_empty() => Password::Locked,
                Some(hash) if hash.contains(':') => {
                    let reason = "the password hash contains a colon, which shadow(5) cannot hold".to_owned();
                    self.report.at(&entry.place, Problem::Invalid { reason, hint: "`openssl passwd -6` makes one" });
                    continue;
                }
                Some(hash) => Password::Hash(hash),
            };
            let claim = from.claim((entry.value.clone(), password), &entry.place);
            self.users.add(entry.value.name.clone(), claim, (entry.replace, Sameness::Conflicts), self.report);
        }
    }

    fn units(&mut self, from: &Contribution<'_>) {
        for entry in &from.body.units {
            if !self.counts(from, entry) {
                continue;
            }
            let Unit { name, state, content, drop_ins } = &entry.value;
            if let Some(state) = state {
                self.states.agree(name.clone(), from.claim(*state, &entry.place), entry.replace, self.report);
            }
            if let Some(content) = content {
                self.unit_file(from, (name, content), (&entry.place, entry.replace));
            }
            for drop_in in drop_ins {
                if self.counts(from, drop_in) {
                    let path = format!("{name}.d/{}", drop_in.value.name);
                    self.unit_file(from, (&path, &drop_in.value.content), (&drop_in.place, entry.replace));
                }
            }
        }
    }

    fn unit_file(
        &mut self,
        from: &Contribution<'_>,
        (name, content): (&str, &Content),
        (place, replace): (&Place, Replace),
    ) {
        let Some(bytes) = self.scope.content(from.scope, content, self.report) else { return };
        let Ok(path) = TreePath::parse(&format!("{UNITS}/{name}")) else { return };
        let claim = from.claim((root_file(), bytes), place);
        self.files.add(path, claim, (replace, Sameness::Conflicts), self.report);
    }

    fn sysctl_files(&mut self) {
        let mut files: BTreeMap<String, (String, Place)> = BTreeMap::new();
        for (name, claim) in &self.sysctl.by_name {
            let (text, _) = files.entry(claim.author.clone()).or_insert_with(|| (String::new(), claim.place.clone()));
            text.push_str(&format!("{name} = {}\n", claim.value));
        }
        for (author, (text, place)) in files {
            let Ok(path) = TreePath::parse(&format!("{SYSCTL}/60-{}.conf", author.replace(' ', "-"))) else { continue };
            let claim = Claim { value: (root_file(), text.into_bytes()), place, author };
            self.files.add(path, claim, (Replace::Refuse, Sameness::Conflicts), self.report);
        }
    }

    /// A path is one thing, and nothing lies below a file or a link.
    fn check_paths(&mut self) {
        let mut kinds: BTreeMap<&TreePath, (&'static str, &Place)> = BTreeMap::new();
        let files = self.files.by_name.iter().map(|(path, claim)| (path, "file", &claim.place));
        let links = self.symlinks.by_name.iter().map(|(path, claim)| (path, "symbolic link", &claim.place));
        let directories = self.directories.by_name.iter().map(|(path, claim)| (path, "directory", &claim.place));
        let installed = self.artifacts.by_name.values().flat_map(|claim| claim.value.places());
        let installed = installed.map(|(path, place)| (path, "file of an artifact", place));
        for (path, second, place) in files.chain(links).chain(directories).chain(installed) {
            if let Some((first, other)) = kinds.insert(path, (second, place)) {
                let problem = Problem::PathKinds { path: path.to_string(), first, second };
                self.report.at_both(place, problem, (other, "first declared here"));
            }
        }
        for (path, (_, place)) in &kinds {
            for above in path.ancestors() {
                if let Some((kind, other)) = kinds.get(&above).filter(|(kind, _)| *kind != "directory") {
                    let (path, above) = (path.to_string(), above.to_string());
                    self.report.at_both(place, Problem::BelowFile { path, above, kind }, (other, "declared here"));
                }
            }
        }
    }

    fn check_ids(&mut self) {
        let mut seen: BTreeMap<u32, (&String, &Place)> = BTreeMap::new();
        for (name, claim) in &self.users.by_name {
            let id = claim.value.0.uid;
            if let Some((first, place)) = seen.insert(id, (name, &claim.place)) {
                let problem =
                    Problem::SameId { first: format!("user `{first}`"), second: format!("user `{name}`"), id };
                self.report.at_both(&claim.place, problem, (place, "first used here"));
            }
        }
        let mut seen: BTreeMap<u32, (&String, &Place)> = BTreeMap::new();
        for (name, claim) in &self.groups.by_name {
            let id = claim.value;
            if let Some((first, place)) = seen.insert(id, (name, &claim.place)) {
                let problem =
                    Problem::SameId { first: format!("group `{first}`"), second: format!("group `{name}`"), id };
                self.report.at_both(&claim.place, problem, (place, "first used here"));
            }
        }
    }
}

fn root_file() -> Access {
    Access { mode: 0o644, owner: "root".to_owned(), group: "root".to_owned() }
}
