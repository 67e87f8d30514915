//! [`Sources`]: the files of a project, given by whoever reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::problem::{Problem, Report, Text};
use crate::diagnostic::did_you_mean;
use crate::line_ends;

/// Longest TOML file or template, in bytes.
const TEXT_MAX: usize = 1 << 20;
/// Longest file that a recipe may copy, in bytes.
const BYTES_MAX: usize = 16 << 20;
/// Most files of a project.
pub(super) const FILES_MAX: usize = 10_000;

/// The files of a project by path: `recipes/base.toml`, `recipes/boards/virt.toml`, `recipes/files/motd`, `images/lab.toml`.
///
/// The shipped recipes go in first and a project's own files after them: a later file takes an earlier one's place.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: BTreeMap<String, Source>,
}

#[derive(Clone, Debug)]
struct Source {
    shown: String,
    bytes: Arc<[u8]>,
}

impl Sources {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the file `path`, `/`-separated and relative to the project, which messages call `shown`.
    pub fn insert(&mut self, path: &str, shown: &str, bytes: impl Into<Vec<u8>>) {
        let bytes: Vec<u8> = bytes.into();
        self.files.insert(path.to_owned(), Source { shown: shown.to_owned(), bytes: bytes.into() });
    }

    /// Names of the images, sorted.
    pub fn images(&self) -> Vec<&str> {
        self.names("images")
    }

    /// Names of the recipes, sorted.
    pub fn recipes(&self) -> Vec<&str> {
        self.names("recipes")
    }

    /// Names of the boards, sorted.
    pub fn boards(&self) -> Vec<&str> {
        self.names("recipes/boards")
    }

    fn names(&self, directory: &str) -> Vec<&str> {
        let name = |path: &'_ String| -> Option<std::ops::Range<usize>> {
            let rest = path.strip_prefix(directory)?.strip_prefix('/')?.strip_suffix(".toml")?;
            (!rest.contains('/')).then_some(directory.len() + 1..path.len() - ".toml".len())
        };
        self.files.keys().filter_map(|path| path.get(name(path)?)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The bytes of a file that a recipe copies.
    pub(super) fn bytes(&self, path: &str) -> Option<Arc<[u8]>> {
        self.files.get(path).map(|source| source.bytes.clone())
    }

    /// A TOML file as text. What is wrong with it is reported; `None` also when there is none.
    pub(super) fn toml(&self, what: &'static str, name: &str, report: &mut Report) -> Option<Arc<Text>> {
        let directory = directory_of(what);
        let path = format!("{directory}/{name}.toml");
        let bytes = self.bytes(&path)?;
        self.text(&path, bytes, report)
    }

    /// `bytes` of the file `path` as text, its line ends as [`line_ends`] has them.
    pub(super) fn text(&self, path: &str, bytes: Arc<[u8]>, report: &mut Report) -> Option<Arc<Text>> {
        let shown = self.files.get(path).map_or(path, |source| &source.shown).to_owned();
        if bytes.len() > BYTES_MAX {
            // `check` says so.
            return None;
        }
        if bytes.len() > TEXT_MAX {
            report.anywhere(Problem::TooLarge { path: shown, what: "a text", bytes: bytes.len(), max: TEXT_MAX });
            return None;
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Some(Arc::new(Text { shown, text: line_ends::normalised(text.to_owned()) })),
            Err(_) => {
                report.anywhere(Problem::NotUtf8(shown));
                None
            }
        }
    }

    /// Reports files that are too large or too many, whoever uses them.
    pub(super) fn check(&self, report: &mut Report) {
        if self.len() > FILES_MAX {
            report.anywhere(Problem::TooMany { key: "the project".to_owned(), max: FILES_MAX });
        }
        for source in self.files.values().filter(|source| source.bytes.len() > BYTES_MAX) {
            let (path, bytes) = (source.shown.clone(), source.bytes.len());
            report.anywhere(Problem::TooLarge { path, what: "a file", bytes, max: BYTES_MAX });
        }
    }

    /// A file below `directory` whose path there is nearly `relative`.
    pub(super) fn near(&self, directory: &str, relative: &str) -> Option<String> {
        let below = self.files.keys().filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
        did_you_mean(relative, below).map(str::to_owned)
    }
}

/// Where files of a kind are.
pub(super) fn directory_of(what: &str) -> &'static str {
    match what {
        "image" => "images",
        "board" => "recipes/boards",
        _ => "recipes",
    }
}
