//! The module index: without it udev and modprobe load nothing.
//!
//! For every `/usr/lib/modules/VERSION` with modules, from the facts that packing found in them, the files that
//! depmod(8) of kmod writes, byte for byte ([`trie`] has the `.bin` forms):
//!
//! | file | from |
//! |---|---|
//! | `modules.dep`, `.dep.bin` | imported symbols and who exports them, transitively, a module before what it needs |
//! | `modules.alias`, `.alias.bin` | `alias` of `.modinfo` |
//! | `modules.symbols`, `.symbols.bin` | exported symbols |
//! | `modules.softdep`, `modules.weakdep` | `softdep`, `weakdep` of `.modinfo` |
//! | `modules.builtin.bin`, `modules.builtin.alias.bin` | `modules.builtin`, `modules.builtin.modinfo` |
//! | `modules.devname` | aliases `devname:` with `char-major-` or `block-major-` |
//!
//! The kmod of the image decides two details: since 34 the `.bin` files have parents before children, and since 33 there
//! is `modules.weakdep`. Older depmods read either order; we write `modules.weakdep` always, empty as it mostly is.
//! The search order is depmod's default, `updates built-in`; `/etc/depmod.d` is not read.

mod graph;
mod symbols;
pub mod trie;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hah_format::kmod::ModuleFacts;
use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::{ConfigureError, Problem, Target, path};
use crate::contents::NamedFiles;
use crate::debian::Version;
use crate::plan::keys::DerivedKey;
use crate::plan::{Derivation, DerivedFiles};
use graph::Graph;
use trie::{NodeOrder, Trie, TrieError};

/// Modules of one kernel at most.
const MODULES_MAX: usize = 20_000;

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let order = node_order(target);
    let all = path("usr/lib/modules")?;
    let kernels: Vec<TreePath> =
        target.root.entries(&all).filter(|(_, node)| node.is_dir()).map(|(path, _)| path.clone()).collect();
    for kernel in kernels {
        let mut failed = None;
        let files = target.contents.derived(&step(target, &kernel, order), &mut || {
            indexes(target, &kernel, order).unwrap_or_else(|error| {
                failed = Some(error);
                None
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        for (name, content) in files.map_err(|error| ConfigureError::at(&kernel, error))?.unwrap_or_default() {
            let at = kernel.join(&name).map_err(|error| ConfigureError::syntax(&kernel, 0, error.to_string()))?;
            target.put_node(&at, Node::file(0o644, content))?;
        }
    }
    Ok(())
}

/// The step of the indexes. Its key names all that decides them: the files below `kernel`, and the order of nodes.
fn step(target: &Target<'_>, kernel: &TreePath, order: NodeOrder) -> Derivation {
    let tool = if order == NodeOrder::ParentFirst { "parent first" } else { "children first" };
    let mut key = DerivedKey::new(DerivedFiles::ModuleIndex(kernel.name().to_owned()), tool);
    for (path, node) in target.root.below(kernel) {
        match &node.kind {
            Kind::File(content) => key.file(path.as_str(), Some(content.sha256())),
            kind => key.entry(path.as_str(), kind.noun()),
        }
    }
    key.finish()
}

/// The indexes of one kernel; `None` when it has no modules.
fn indexes(target: &Target<'_>, kernel: &TreePath, order: NodeOrder) -> Result<Option<NamedFiles>, ConfigureError> {
    let set = ModuleSet::of(target, kernel)?;
    if set.modules.is_empty() {
        return Ok(None);
    }
    let files = set.indexes(order).map_err(|error| ConfigureError::at(kernel, error.problem()))?;
    Ok(Some(files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()))
}

/// As the image's own depmod would write it.
fn node_order(target: &Target<'_>) -> NodeOrder {
    let since: Option<Version> = "34~".parse().ok();
    let kmod = target.packages.iter().find(|package| package.name.as_str() == "kmod");
    match (kmod, since) {
        (Some(kmod), Some(since)) if kmod.version < since => NodeOrder::ChildrenFirst,
        _ => NodeOrder::ParentFirst,
    }
}

/// All that depmod looks at below one `/usr/lib/modules/VERSION`.
#[derive(Debug, Default)]
pub struct ModuleSet<'a> {
    /// Modules by path relative to that directory: `kernel/fs/ext4/ext4.ko.xz`.
    pub modules: BTreeMap<String, &'a ModuleFacts>,
    /// `modules.order`: a path with the suffix `.ko` a line.
    pub order: Option<String>,
    /// `modules.builtin`: the same of modules that are part of the kernel.
    pub builtin: Option<String>,
    /// `modules.builtin.modinfo`: NUL-terminated `MODULE.KEY=VALUE`.
    pub builtin_modinfo: Option<Vec<u8>>,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum DepmodError {
    /// Modules that need each other.
    #[error("modules depend on each other in a circle: {}", .0.join(", "))]
    Cycle(Vec<String>),
    /// More modules than anyone has.
    #[error("{0} modules are more than the {MODULES_MAX} that are expected")]
    TooMany(usize),
    /// A string has no place in an index.
    #[error(transparent)]
    Trie(#[from] TrieError),
}

impl DepmodError {
    fn problem(self) -> Problem {
        let hint = "the kernel package is damaged or newer than this code: try another version of it".into();
        Problem::Invalid { reason: self.to_string(), hint }
    }
}

impl<'a> ModuleSet<'a> {
    /// The modules below `kernel`.
    fn of(target: &'a Target<'_>, kernel: &TreePath) -> Result<Self, ConfigureError> {
        let file = |name: &str| kernel.join(name).map_err(|error| ConfigureError::syntax(kernel, 0, error.to_string()));
        let mut set = Self {
            order: target.read_text(&file("modules.order")?)?,
            builtin: target.read_text(&file("modules.builtin")?)?,
            builtin_modinfo: target.read(&file("modules.builtin.modinfo")?)?,
            ..Self::default()
        };
        for (at, node) in target.root.below(kernel) {
            let is_file = matches!(node.kind, Kind::File(_) | Kind::HardLink(_));
            if !is_file || !is_module(at.name()) {
                continue;
            }
            let relative = at.as_str().get(kernel.as_str().len() + 1..).unwrap_or_default().to_owned();
            let content = target.content(at).ok_or_else(|| ConfigureError::syntax(at, 0, "the link leads nowhere"))?;
            let facts = target.contents.module(&content.sha256());
            let facts = facts.ok_or_else(|| {
                ConfigureError::syntax(at, 0, "this is not a kernel module, by its name it should be")
            })?;
            set.modules.insert(relative, facts);
        }
        Ok(set)
    }

    /// The index files by name.
    pub fn indexes(&self, nodes: NodeOrder) -> Result<Vec<(&'static str, Vec<u8>)>, DepmodError> {
        if self.modules.len() > MODULES_MAX {
            return Err(DepmodError::TooMany(self.modules.len()));
        }
        let sorted = self.sorted();
        let exports = symbols::exports(&sorted);
        let graph = Graph::new(&sorted, &exports)?;

        let (mut dep, mut dep_bin) = (String::new(), Trie::default());
        for (index, module) in sorted.iter().enumerate() {
            let mut line = format!("{}:", module.path);
            for needed in graph.all_needed(index) {
                let _ = write!(line, " {}", sorted[needed].path);
            }
            dep_bin.insert(&module.name, &line, index as u32)?;
            let _ = writeln!(dep, "{line}");
        }

        let mut alias = String::from("# Aliases extracted from modules themselves.\n");
        let mut alias_bin = Trie::default();
        for (index, module) in sorted.iter().enumerate() {
            for value in module.values("alias") {
                let _ = writeln!(alias, "alias {value} {}", module.name);
                if let Some(key) = normal_alias(value) {
                    alias_bin.insert(&key, &module.name, index as u32)?;
                }
            }
        }

        let mut symbol = String::from("# Aliases for symbols, used by symbol_request().\n");
        let mut symbol_bin = Trie::default();
        for (name, owner) in symbols::in_hash_order(&exports) {
            let module = &sorted[owner].name;
            let _ = writeln!(symbol, "alias symbol:{name} {module}");
            symbol_bin.insert(&format!("symbol:{name}"), module, owner as u32)?;
        }

        let mut files = vec![
            ("modules.alias", alias.into_bytes()),
            ("modules.alias.bin", alias_bin.encode(nodes)?),
            ("modules.dep", dep.into_bytes()),
            ("modules.dep.bin", dep_bin.encode(nodes)?),
            ("modules.devname", devnames(&sorted).into_bytes()),
            ("modules.softdep", listed(&sorted, "softdep", "# Soft dependencies extracted from modules themselves.\n")),
            ("modules.symbols", symbol.into_bytes()),
            ("modules.symbols.bin", symbol_bin.encode(nodes)?),
            ("modules.weakdep", listed(&sorted, "weakdep", "# Weak dependencies extracted from modules themselves.\n")),
        ];
        files.push(("modules.builtin.bin", self.builtin_names()?.map_or(Ok(Vec::new()), |trie| trie.encode(nodes))?));
        files.push((
            "modules.builtin.alias.bin",
            self.builtin_aliases()?.map_or(Ok(Vec::new()), |trie| trie.encode(nodes))?,
        ));
        files.sort();
        Ok(files)
    }

    /// The modules as `modules.order` has them, those that it lacks last, by path.
    fn sorted(&self) -> Vec<Module<'a>> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, line) in self.order.as_deref().unwrap_or_default().lines().enumerate() {
            places.entry(line).or_insert(place);
        }
        // Of two files for one module, `updates` wins over the rest.
        let mut by_name: BTreeMap<String, (&str, &'a ModuleFacts)> = BTreeMap::new();
        for (path, facts) in &self.modules {
            let name = module_name(path);
            let is_better = by_name
                .get(&name)
                .is_none_or(|(other, _)| path.starts_with("updates/") && !other.starts_with("updates/"));
            if is_better {
                by_name.insert(name, (path, *facts));
            }
        }
        let mut sorted: Vec<Module<'a>> =
            by_name.into_iter().map(|(name, (path, facts))| Module { name, path: path.to_owned(), facts }).collect();
        sorted.sort_by_key(|module| {
            let uncompressed = module.path.find(".ko").map_or(module.path.as_str(), |end| &module.path[..end + 3]);
            (places.get(uncompressed).copied().unwrap_or(usize::MAX), module.path.clone())
        });
        sorted
    }

    fn builtin_names(&self) -> Result<Option<Trie>, TrieError> {
        let Some(builtin) = &self.builtin else { return Ok(None) };
        let mut trie = Trie::default();
        for line in builtin.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic())) {
            trie.insert(&module_name(line), "", 0)?;
        }
        Ok(Some(trie))
    }

    fn builtin_aliases(&self) -> Result<Option<Trie>, TrieError> {
        let Some(modinfo) = &self.builtin_modinfo else { return Ok(None) };
        let mut trie = Trie::default();
        for entry in modinfo.split(|byte| *byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok()) {
            if let Some((module, rest)) = entry.split_once('.')
                && let Some(("alias", value)) = rest.split_once('=')
                && !module.is_empty()
                && !value.is_empty()
                && let Some(alias) = normal_alias(value)
            {
                trie.insert(&alias, module, 0)?;
            }
        }
        Ok(Some(trie))
    }
}

/// One module in its place of the order.
struct Module<'a> {
    name: String,
    path: String,
    facts: &'a ModuleFacts,
}

impl Module<'_> {
    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.facts.modinfo.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
    }
}

fn is_module(name: &str) -> bool {
    [".ko", ".ko.gz", ".ko.xz", ".ko.zst"].iter().any(|suffix| name.ends_with(suffix))
}

/// The module's name: the file's up to the first dot, `-` as `_`.
fn module_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split('.').next().unwrap_or_default().replace('-', "_")
}

/// `-` becomes `_` outside of brackets; `None` when brackets do not match.
fn normal_alias(alias: &str) -> Option<String> {
    let mut inside = false;
    let mut out = String::with_capacity(alias.len());
    for letter in alias.chars() {
        match letter {
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            _ => {}
        }
        out.push(if letter == '-' && !inside { '_' } else { letter });
    }
    (!inside).then_some(out)
}

fn listed(sorted: &[Module<'_>], key: &str, head: &str) -> Vec<u8> {
    let mut out = String::from(head);
    for module in sorted {
        for value in module.values(key) {
            let _ = writeln!(out, "{key} {} {value}", module.name);
        }
    }
    out.into_bytes()
}

/// Device nodes of modules that name both the node and its number.
fn devnames(sorted: &[Module<'_>]) -> String {
    let mut out = String::new();
    for module in sorted {
        let (mut name, mut number) = (None, None);
        for value in module.values("alias") {
            if let Some(found) = value.strip_prefix("devname:") {
                name = Some(found);
            } else if let Some(found) = device_number(value) {
                number = Some(found);
            }
            if name.is_some() && number.is_some() {
                break;
            }
        }
        if let (Some(name), Some((kind, major, minor))) = (name, number) {
            if out.is_empty() {
                out.push_str("# Device nodes to trigger on-demand module loading.\n");
            }
            let _ = writeln!(out, "{} {name} {kind}{major}:{minor}", module.name);
        }
    }
    out
}

/// `char-major-10-200` is `('c', 10, 200)`; patterns are not numbers.
fn device_number(alias: &str) -> Option<(char, u32, u32)> {
    let (kind, rest) = alias
        .strip_prefix("char-major-")
        .map(|rest| ('c', rest))
        .or_else(|| alias.strip_prefix("block-major-").map(|rest| ('b', rest)))?;
    let (major, minor) = rest.split_once('-')?;
    let digits = minor.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(minor.len());
    Some((kind, major.parse().ok()?, minor[..digits].parse().ok()?))
}

/// Names of modules, for messages.
fn names(sorted: &[Module<'_>], indexes: &BTreeSet<usize>) -> Vec<String> {
    indexes.iter().take(8).map(|index| sorted[*index].name.clone()).collect()
}

#[cfg(test)]
mod tests;
